//! The ways to a cluster: TLS, proxies, the service account of a pod; and the way out, Ctrl-C.

mod api_server;
mod ways;

use std::path::Path;

use api_server::objects::cluster;
use api_server::{ApiServer, program};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use ways::{Certificates, Clients, Proxy, kubeconfig, kubeconfig_as};

const CHECK: [&str; 2] = ["frontend", "cart:8080"];

fn check(config: &Path) -> assert_cmd::Command {
    let mut command = program();
    command.env("KUBECONFIG", config).args(CHECK);
    command
}

#[test]
fn who_the_server_is_is_looked_at() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster()).with_token("t");
    let port = certificates.before(server.port());
    let known = format!("certificate-authority: {}", certificates.authority().display());
    let at = |host: &str, cluster: &str| kubeconfig(directory.path(), &format!("https://{host}:{port}"), cluster);
    check(&at("127.0.0.1", &known)).assert().code(0).stdout(contains("reachable"));
    check(&at("127.0.0.1", "insecure-skip-tls-verify: true")).assert().code(0);
    check(&at("localhost", &format!("{known}\ntls-server-name: api.test"))).assert().code(0);
    let asked = server.asked().len();
    for (host, cluster, why, advice) in [
        ("127.0.0.1", "", "an authority that the kubeconfig doesn't name", "certificate-authority-data"),
        ("localhost", known.as_str(), "for another name", "tls-server-name"),
        ("127.0.0.1", "certificate-authority: /nonexistent/ca.crt", "can't be used", "kubectl config view"),
    ] {
        check(&at(host, cluster)).assert().code(2).stderr(contains(why).and(contains(advice)));
    }
    assert_eq!(server.asked().len(), asked, "nothing is sent to who isn't trusted");
}

#[test]
fn a_server_of_yesterday_is_not_trusted() {
    let Some(certificates) = Certificates::of("authority", -1) else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster());
    let at = format!("https://127.0.0.1:{}", certificates.before(server.port()));
    let known = format!("certificate-authority: {}", certificates.authority().display());
    check(&kubeconfig(directory.path(), &at, &known)).assert().code(2).stderr(
        contains(format!("error: `{at}` can't be trusted: its certificate has expired\n"))
            .and(contains("renew the API server's certificate, and look at this machine's clock"))
            .and(contains("client").not()),
    );
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

#[test]
fn a_client_certificate_opens_the_door() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster());
    let port = certificates.before_for(server.port(), Clients::Known);
    let known = format!("certificate-authority: {}", certificates.authority().display());
    let at = format!("https://127.0.0.1:{port}");
    let as_user = |user: &str| kubeconfig_as(directory.path(), &at, &known, user);
    let files = |(certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
        format!("client-certificate: {}\nclient-key: {}", certificate.display(), key.display())
    };
    let data = |(certificate, key): &(std::path::PathBuf, std::path::PathBuf)| {
        let (certificate, key) = (certificates.data(certificate), certificates.data(key));
        format!("client-certificate-data: {certificate}\nclient-key-data: {key}")
    };
    let dev = certificates.client("dev", 1);
    for user in [files(&dev), data(&dev)] {
        check(&as_user(&user)).assert().code(0).stdout(contains("reachable"));
    }
    let asked = server.asked().len();

    let others = Certificates::of("other", 2).expect("as before");
    // A cluster that was made anew has an authority of the old one's name.
    let again = Certificates::make().expect("as before");
    let anew = data(&again.client("dev", 1));
    let (stranger, old) = (others.client("dev", 1), certificates.client("old", -1));
    for (user, why, advice) in [
        (
            data(&stranger),
            "refuses the client certificate: it is signed by an authority that the server doesn't know",
            "kubeconfig",
        ),
        (anew, "was not shown a client certificate that counts there", "kubeconfig"),
        ("token: t".to_owned(), "wants a client certificate", "`client-certificate-data` and `client-key-data`"),
        (
            data(&old),
            "does not know you: the client certificate of the kubeconfig expired at 20",
            "get a new kubeconfig",
        ),
        (
            files(&old),
            "does not know you: the client certificate of the kubeconfig expired at 20",
            "get a new kubeconfig",
        ),
    ] {
        check(&as_user(&user)).assert().code(2).stderr(
            contains(format!("error: `{at}` {why}"))
                .and(contains(advice))
                .and(contains("can't be trusted").not())
                .and(predicates::str::is_match("error").unwrap().count(1)),
        );
    }
    assert_eq!(server.asked().len(), asked, "TLS comes first");
}

#[test]
fn an_api_server_that_knows_no_old_certificate_says_401() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let known = format!("certificate-authority: {}", certificates.authority().display());
    let (certificate, key) = certificates.client("old", -1);
    let user = format!("client-certificate: {}\nclient-key: {}", certificate.display(), key.display());
    let says = |date: &str| {
        let server = ApiServer::start(cluster()).with_token("of nobody").with_date(date);
        let at = format!("https://127.0.0.1:{}", certificates.before(server.port()));
        let run = check(&kubeconfig_as(directory.path(), &at, &known, &user)).assert().code(2);
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    };
    let now = says("Sat, 21 Nov 2099 04:02:57 GMT");
    assert!(now.contains("does not know you: the client certificate of the kubeconfig expired at "), "{now}");
    // By the clock of the server, which is the one that counts, it is good.
    let before = says("Sat, 21 Nov 2020 04:02:57 GMT");
    assert!(before.contains("the credentials are missing, wrong or expired"), "{before}");
}

#[test]
fn a_client_certificate_that_is_none_is_the_kubeconfig_s_fault() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (certificates.client("one", 1), certificates.client("other", 1));
    let data = |file: &Path| certificates.data(file);
    let (certificate, key) = (data(&one.0), data(&one.1));
    for (user, why) in [
        (
            format!("client-certificate-data: {certificate}\nclient-key-data: {}", data(&other.1)),
            "don't belong together",
        ),
        (format!("client-certificate-data: {certificate}"), "it has no client key: `client-key-data`"),
        (format!("client-key-data: {key}"), "it has no client certificate"),
        (format!("client-certificate-data: {key}\nclient-key-data: {key}"), "the client certificate is none in PEM"),
        (
            format!("client-certificate-data: {certificate}\nclient-key-data: {certificate}"),
            "the client key is none in PEM",
        ),
        (format!("client-certificate-data: '%%%'\nclient-key-data: {key}"), "`client-certificate-data` is not base64"),
        (
            format!("client-certificate-data: {certificate}\nclient-key: /nonexistent/dev.key"),
            "the client key `/nonexistent/dev.key` can't be read",
        ),
    ] {
        let run = check(&kubeconfig_as(directory.path(), "https://127.0.0.1:1", "", &user)).assert().code(2);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.contains("the kubeconfig can't be used: ") && said.contains(why), "{said}");
        assert!(said.contains("kubectl config view --minify") && said.lines().count() == 2, "{said}");
        assert!(!said.contains(&key[60..90]), "{said}");
    }
}

#[test]
fn proxies_lead_to_names_that_only_they_know() {
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster()).with_token("t");
    let http = |cluster: &str| kubeconfig(directory.path(), "http://api.test:8001", cluster);

    let proxy = Proxy::http(server.port());
    let url = format!("http://dev:p%40ss@127.0.0.1:{}", proxy.port);
    check(&http("")).env("HTTP_PROXY", &url).assert().code(0);
    let asked = proxy.asked();
    // `dev:p@ss` in base64.
    assert!(
        asked.iter().all(|a| a.contains("CONNECT api.test:8001 ") && a.contains("Basic ZGV2OnBAc3M=")),
        "{asked:?}"
    );
    assert!(!asked.is_empty());

    // Without a scheme, as many write it; and where the kubeconfig names one, that alone counts.
    let proxy = Proxy::http(server.port());
    check(&http("")).env("http_proxy", format!("127.0.0.1:{}", proxy.port)).assert().code(0);
    assert!(!proxy.asked().is_empty());
    let socks = Proxy::socks(server.port());
    let other = Proxy::http(server.port());
    check(&http(&format!("proxy-url: socks5h://127.0.0.1:{}", socks.port)))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", other.port))
        .env("NO_PROXY", "127.0.0.1,*")
        .assert()
        .code(0);
    assert!(socks.asked().iter().all(|a| a == "api.test:8001") && !socks.asked().is_empty(), "{:?}", socks.asked());
    assert_eq!(other.asked(), Vec::<String>::new());

    // What NO_PROXY has between two commas is nothing.
    let proxy = Proxy::http(server.port());
    check(&http(""))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port))
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("NO_PROXY", "10.0.0.0/8,,<local>,")
        .assert()
        .code(0);
    assert!(!proxy.asked().is_empty());

    // What is to be reached directly is.
    check(&http(""))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", other.port))
        .env("NO_PROXY", "10.0.0.0/8,.test")
        .assert()
        .code(2)
        .stderr(contains("its name can't be resolved"));
    check(&server.kubeconfig_as("token: t"))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{}", other.port))
        .assert()
        .code(0);
    assert_eq!(other.asked(), Vec::<String>::new(), "nor is loopback ever proxied");
}

#[test]
fn tls_goes_through_a_proxy_to_the_server() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster()).with_token("t");
    let proxy = Proxy::http(certificates.before(server.port()));
    let known = format!("certificate-authority: {}", certificates.authority().display());
    check(&kubeconfig(directory.path(), "https://api.test:6443", &known))
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port))
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .assert()
        .code(0);
    assert!(proxy.asked().iter().all(|a| a.starts_with("CONNECT api.test:6443 ")) && !proxy.asked().is_empty());
}

#[test]
fn a_socks_proxy_is_told_a_name_and_a_password() {
    let Some(certificates) = Certificates::make() else { return };
    let directory = tempfile::tempdir().unwrap();
    let server = ApiServer::start(cluster()).with_token("t");
    let login = Some(("dev", "p@ss:word"));
    let proxy = Proxy::socks_for(server.port(), login);
    let url = |user: &str, port: u16| format!("socks5h://{user}127.0.0.1:{port}");
    let named = |user: &str| format!("proxy-url: {}", url(user, proxy.port));
    let http = |cluster: &str| kubeconfig(directory.path(), "http://api.test:8001", cluster);
    check(&http(&named("dev:p%40ss:word@"))).assert().code(0);
    check(&http("")).env("HTTP_PROXY", url("dev:p%40ss%3Aword@", proxy.port)).assert().code(0);
    let asked = proxy.asked();
    assert!(asked.iter().all(|a| a == "api.test:8001") && !asked.is_empty(), "{asked:?}");

    // TLS and the user's own certificate, as without a proxy.
    let inner = Proxy::socks_for(certificates.before_for(server.port(), Clients::Known), login);
    let (certificate, key) = certificates.client("dev", 1);
    let user = format!("token: t\nclient-certificate: {}\nclient-key: {}", certificate.display(), key.display());
    let known = format!(
        "certificate-authority: {}\nproxy-url: {}",
        certificates.authority().display(),
        url("dev:p%40ss:word@", inner.port)
    );
    check(&kubeconfig_as(directory.path(), "https://api.test:6443", &known, &user)).assert().code(0);
    assert!(inner.asked().iter().all(|a| a == "api.test:6443") && !inner.asked().is_empty(), "{:?}", inner.asked());

    let open = Proxy::socks(server.port());
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let in_like_this = "the proxy does not let in who logs in like this";
    for (user, port, why, advice) in [
        ("dev:hunter2@", proxy.port, "the proxy does not take the name and the password", "NO_PROXY"),
        ("", proxy.port, in_like_this, "it wants a name and a password"),
        ("dev:hunter2@", open.port, in_like_this, "it wants no name and no password"),
        ("dev:hunter2@", dead, "the proxy does not answer", "NO_PROXY"),
        ("", dead, "the proxy does not answer", "NO_PROXY"),
    ] {
        check(&http(&format!("proxy-url: {}", url(user, port)))).assert().code(2).stderr(
            contains(format!("can't reach `http://api.test:8001`: {why}"))
                .and(contains(advice))
                .and(contains(format!("through the proxy `socks5://127.0.0.1:{port}`")))
                .and(contains("hunter2").not()),
        );
    }
}

#[test]
fn a_proxy_that_stands_in_the_way_is_named_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refusing = Proxy::refusing();
    for (port, why) in [(dead, "connection refused"), (refusing.port, "proxy")] {
        check(&kubeconfig(directory.path(), "http://api.test:8001", ""))
            .env("HTTP_PROXY", format!("http://dev:hunter2@127.0.0.1:{port}"))
            .assert()
            .code(2)
            .stderr(
                contains(why)
                    .and(contains(format!("through the proxy `http://127.0.0.1:{port}`")))
                    .and(contains("NO_PROXY"))
                    .and(contains("hunter2").not()),
            );
    }
    check(&kubeconfig(directory.path(), "http://api.test:8001", "proxy-url: ftp://dev:hunter2@proxy"))
        .assert()
        .code(2)
        .stderr(contains("`ftp://proxy`").and(contains("hunter2").not()).and(contains("proxy-url")));
}

/// Runs the program where the files of a service account lie in their place; none where that can't be done.
#[cfg(target_os = "linux")]
fn in_a_pod(account: &Path, environment: &[(&str, String)], args: &[&str]) -> Option<std::process::Output> {
    const SCRIPT: &str = "run=$(readlink -f /var/run) && mount -t tmpfs tmpfs \"$run\" || exit 99
        here=/var/run/secrets/kubernetes.io/serviceaccount
        mkdir -p $here && cp \"$1\"/* $here/ && shift && exec \"$@\"";
    let binary = assert_cmd::cargo::cargo_bin!("netcheck");
    for flags in ["-m", "-rm"] {
        let run = std::process::Command::new("unshare")
            .args([flags, "sh", "-c", SCRIPT, "sh"])
            .arg(account)
            .arg(binary)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", "/nonexistent")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .output();
        match run {
            Ok(run) if run.status.code() != Some(99) && !String::from_utf8_lossy(&run.stderr).contains("unshare") => {
                return Some(run);
            }
            _ => {}
        }
    }
    eprintln!("skipped: no mount namespace can be made here");
    None
}

#[cfg(target_os = "linux")]
#[test]
fn a_pod_asks_its_own_cluster() {
    let Some(certificates) = Certificates::make() else { return };
    let account = tempfile::tempdir().unwrap();
    for (name, text) in [("token", "sa-token"), ("namespace", "shop")] {
        std::fs::write(account.path().join(name), text).unwrap();
    }
    std::fs::copy(certificates.authority(), account.path().join("ca.crt")).unwrap();
    let server = ApiServer::start(cluster()).with_token("sa-token");
    let port = certificates.before(server.port());
    let environment =
        [("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()), ("KUBERNETES_SERVICE_PORT", port.to_string())];
    let Some(run) = in_a_pod(account.path(), &environment, &CHECK) else { return };
    let errors = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(0), "{errors}");
    assert!(String::from_utf8_lossy(&run.stdout).contains("reachable"));
    assert!(server.asked().iter().any(|a| a == "GET /api/v1/namespaces/shop/pods/frontend"), "{:?}", server.asked());

    // The token of a service account is another one every hour: the file is what counts.
    std::fs::write(account.path().join("token"), "another").unwrap();
    let run = in_a_pod(account.path(), &environment, &CHECK).expect("as before");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && errors.contains("does not know you"), "{errors}");
    assert!(!errors.contains("another"), "{errors}");
    std::fs::remove_file(account.path().join("ca.crt")).unwrap();
    let run = in_a_pod(account.path(), &environment, &CHECK).expect("as before");
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(2) && errors.contains("automountServiceAccountToken"), "{errors}");
}

/// On a terminal of the test's own: a line that tells of the wait, Ctrl-C as it is typed, and what is left.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_leaves_a_clean_line() {
    use std::os::unix::process::ExitStatusExt;

    let server = ApiServer::start(cluster()).fault(
        "/pods",
        api_server::What::Slow(std::time::Duration::from_secs(30)),
        usize::MAX,
    );
    let ready = |seen: &str| seen.contains("reading the cluster");
    let run = api_server::terminal::interrupted(&["snapshot", "-A"], &server.kubeconfig(), false, ready);
    let Some((status, text)) = run else { return };
    // A shell says 130 of it.
    assert_eq!(status.signal(), Some(2), "{status:?} {text:?}");
    assert!(text.ends_with("\r\u{1b}[K"), "{text:?}");
}
