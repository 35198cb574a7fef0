//! Which cluster, and as whom: kubeconfig files merged as kubectl merges them, flags over them, or the service account
//! of the pod that this program runs in.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::{ExecAuthCluster, KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::error::{LiveError, Trouble, shorten};

/// How to connect, as typed.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// `--context`.
    pub context: Option<String>,
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--as`.
    pub impersonate: Option<String>,
    /// `--as-group`.
    pub groups: Vec<String>,
    /// `--request-timeout`, for each request.
    pub timeout: Option<Duration>,
}

/// A configuration that can be connected with.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) config: Config,
    /// The name to show for the cluster: its context.
    pub(super) context: String,
    /// The proxy that `proxy-url` of the kubeconfig names.
    proxy: Option<String>,
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Chooses the cluster.
pub(super) async fn choose(options: &ConnectOptions) -> Result<Chosen, LiveError> {
    let (kubeconfig, looked) = read(options)?;
    let empty =
        kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty() && kubeconfig.current_context.is_none();
    let in_cluster = env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty());
    let mut chosen = if empty && options.context.is_none() && in_cluster {
        let config = Config::incluster().map_err(|error| {
            LiveError::new(Trouble::Config, format!("the service account of this pod can't be used: {error}"))
                .help("mount it (`automountServiceAccountToken`), or give a kubeconfig with --kubeconfig")
        })?;
        Chosen { config, context: "in-cluster".to_owned(), proxy: None }
    } else {
        from_file(kubeconfig, options, &looked).await?
    };
    let config = &mut chosen.config;
    if config.default_namespace.is_empty() {
        "default".clone_into(&mut config.default_namespace);
    }
    // As client-go does it: what the kubeconfig says counts alone, and what NO_PROXY names is the cluster, not the proxy.
    config.proxy_url = match &chosen.proxy {
        Some(url) => Some(proxy_url(url, "`proxy-url` in the kubeconfig")?),
        None => {
            let host = config.cluster_url.host().unwrap_or_default();
            let secure = config.cluster_url.scheme_str() == Some("https");
            let url = proxy(secure, host, &|name| env::var(name).ok().filter(|v| !v.is_empty()));
            url.map(|url| proxy_url(&url, "HTTPS_PROXY and HTTP_PROXY")).transpose()?
        }
    };
    if let Some(user) = &options.impersonate {
        config.auth_info.impersonate = Some(user.clone());
    }
    if !options.groups.is_empty() {
        if config.auth_info.impersonate.is_none() {
            return Err(LiveError::new(Trouble::Config, "--as-group needs a user")
                .help("name one with --as, such as --as system:serviceaccount:shop:frontend"));
        }
        config.auth_info.impersonate_groups = Some(options.groups.clone());
    }
    // Retries are ours: the library's know nothing of Retry-After.
    config.default_retry = false;
    config.connect_timeout = Some(options.timeout.map_or(CONNECT, |t| t.min(CONNECT)));
    Ok(chosen)
}

async fn from_file(kubeconfig: Kubeconfig, options: &ConnectOptions, looked: &[PathBuf]) -> Result<Chosen, LiveError> {
    let names: Vec<&str> = kubeconfig.contexts.iter().map(|c| c.name.as_str()).collect();
    let Some(context) = options.context.clone().or_else(|| kubeconfig.current_context.clone()) else {
        if names.is_empty() {
            let places: Vec<String> = looked.iter().map(|p| format!("`{}`", p.display())).collect();
            let mut error = LiveError::new(Trouble::Config, "there is no cluster to ask: no kubeconfig names one");
            if !places.is_empty() {
                error = error.help(format!("looked at {}", places.join(", ")));
            }
            return Err(error.help("give one with --kubeconfig, or read manifests or a dump with -f PATH"));
        }
        return Err(LiveError::new(Trouble::Config, "the kubeconfig has no current context")
            .help(format!("choose one with --context or `kubectl config use-context`: {}", list(&names))));
    };
    if !names.contains(&context.as_str()) {
        let mut error = LiveError::new(Trouble::Config, format!("context `{context}` does not exist"));
        if let Some(near) = crate::model::query::nearest(&context, names.iter().copied()) {
            error = error.help(format!("did you mean `{near}`?"));
        } else if !names.is_empty() {
            error = error.help(format!("the contexts are {}", list(&names)));
        }
        return Err(error);
    }
    let explicit = kubeconfig
        .contexts
        .iter()
        .find(|c| c.name == context)
        .and_then(|c| c.context.as_ref())
        .and_then(|c| kubeconfig.clusters.iter().find(|k| k.name == c.cluster))
        .and_then(|k| k.cluster.as_ref())
        .and_then(|c| c.proxy_url.clone())
        .filter(|p| !p.is_empty());
    let wanted = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = match Config::from_custom_kubeconfig(kubeconfig.clone(), &wanted).await {
        // It refuses what client-go passes over in NO_PROXY; which proxy it is, is worked out here in any case.
        Err(KubeconfigError::ParseNoProxy(_) | KubeconfigError::ParseProxyUrl(_)) => {
            without_proxy(&kubeconfig, &context)
        }
        other => other,
    };
    let config = config.map_err(|error| refused(&error, &context))?;
    Ok(Chosen { config, context, proxy: explicit })
}

/// What the library makes of a context that it knows, but for the proxy.
fn without_proxy(kubeconfig: &Kubeconfig, context: &str) -> Result<Config, KubeconfigError> {
    let missing = || KubeconfigError::LoadContext(context.to_owned());
    let named = kubeconfig.contexts.iter().find(|c| c.name == context).and_then(|c| c.context.as_ref());
    let named = named.ok_or_else(missing)?;
    let cluster = kubeconfig.clusters.iter().find(|c| c.name == named.cluster).and_then(|c| c.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| KubeconfigError::LoadClusterOfContext(named.cluster.clone()))?;
    let user = kubeconfig.auth_infos.iter().find(|u| Some(&u.name) == named.user.as_ref());
    let mut auth_info = user.and_then(|u| u.auth_info.clone()).unwrap_or_default();
    // What a credential plugin is told of the cluster has the authority's certificate in it, wherever that stands.
    let told = ExecAuthCluster::try_from(cluster)?;
    let authority = told.certificate_authority_data.clone();
    if let Some(exec) = auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(told);
    }
    let server = cluster.server.as_deref().ok_or(KubeconfigError::MissingClusterUrl)?;
    let mut config = Config::new(server.parse().map_err(KubeconfigError::ParseClusterUrl)?);
    config.root_cert = match authority {
        Some(pem) => {
            let parsed = pem::parse_many(pem).map_err(KubeconfigError::ParseCertificates)?;
            let certificates = parsed.into_iter().filter(|p| p.tag() == "CERTIFICATE");
            Some(certificates.map(pem::Pem::into_contents).collect())
        }
        None => None,
    };
    config.default_namespace = named.namespace.clone().unwrap_or_default();
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.auth_info = auth_info;
    Ok(config)
}

fn list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(10).map(|n| format!("`{}`", shorten(n))).collect();
    let more = if names.len() > 10 { format!(" and {} more", names.len() - 10) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn refused(error: &KubeconfigError, context: &str) -> LiveError {
    let error = match error {
        KubeconfigError::LoadClusterOfContext(name) => LiveError::new(
            Trouble::Config,
            format!("context `{context}` names cluster `{name}`, which the kubeconfig doesn't have"),
        ),
        KubeconfigError::MissingClusterUrl => {
            LiveError::new(Trouble::Config, format!("the cluster of context `{context}` has no `server`"))
        }
        other => LiveError::new(
            Trouble::Config,
            format!("context `{context}` can't be used: {}", shorten(&other.to_string())),
        ),
    };
    error.help("`kubectl config view` shows the merged kubeconfig")
}

/// The kubeconfig, and where it was looked for.
///
/// As kubectl does it: `--kubeconfig` names one file, which must exist; `KUBECONFIG` is a list whose missing files are
/// skipped; `~/.kube/config` otherwise. The first file to set a value wins.
fn read(options: &ConnectOptions) -> Result<(Kubeconfig, Vec<PathBuf>), LiveError> {
    let (paths, required) = match (&options.kubeconfig, env::var_os("KUBECONFIG").filter(|v| !v.is_empty())) {
        (Some(path), _) => (vec![path.clone()], true),
        (None, Some(list)) => (env::split_paths(&list).filter(|p| !p.as_os_str().is_empty()).collect(), false),
        (None, None) => (env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect(), false),
    };
    let mut merged = Kubeconfig::default();
    for path in &paths {
        if !required && !path.exists() {
            continue;
        }
        let mut next = Kubeconfig::read_from(path).map_err(|error| unreadable(path, &error))?;
        next.current_context = next.current_context.filter(|c| !c.is_empty());
        merged = merged.merge(next).map_err(|error| unreadable(path, &error))?;
    }
    Ok((merged, paths))
}

fn unreadable(path: &std::path::Path, error: &KubeconfigError) -> LiveError {
    let why = match error {
        KubeconfigError::ReadConfig(error, _) if error.kind() == std::io::ErrorKind::NotFound => {
            "no such file or directory".to_owned()
        }
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        // The parser's message may show a line of the file, and with it a token.
        KubeconfigError::Parse(_) => "it is not YAML, or not a kubeconfig".to_owned(),
        other => other.to_string(),
    };
    LiveError::new(Trouble::Config, format!("can't read the kubeconfig `{}`: {why}", path.display()))
        .help("`kubectl config view --kubeconfig` reads the same file")
}

/// The proxy that the environment names for a host, as Go's `http.ProxyFromEnvironment` reads it; loopback is never proxied.
fn proxy(secure: bool, host: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let either = |upper: &str, lower: &str| variable(upper).or_else(|| variable(lower));
    let url = if secure { either("HTTPS_PROXY", "https_proxy") } else { either("HTTP_PROXY", "http_proxy") }?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address: Option<std::net::IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|ip| ip.is_loopback()) {
        return None;
    }
    let excluded = either("NO_PROXY", "no_proxy").unwrap_or_default();
    let direct = excluded.split(',').map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let (Ok(range), Some(ip)) = (entry.parse::<ipnet::IpNet>(), address) {
            return range.contains(&ip);
        }
        let name =
            entry.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(entry.as_str(), |(n, _)| n);
        let (suffix, only_below) = match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
            Some(suffix) => (suffix, true),
            None => (name, false),
        };
        (!only_below && host == suffix) || host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
    });
    if direct {
        return None;
    }
    Some(if url.contains("://") { url } else { format!("http://{url}") })
}

/// A proxy's URL as the library takes it. `from` is where it was named.
fn proxy_url(text: &str, from: &str) -> Result<http::Uri, LiveError> {
    let wrong = |why: &str| {
        LiveError::new(Trouble::Config, format!("the proxy `{}` can't be used: {why}", shorten(&without_user(text))))
            .help(format!("look at {from}"))
    };
    // Names are resolved by the proxy in both.
    let mut text = match text.strip_prefix("socks5h://") {
        Some(rest) => format!("socks5://{rest}"),
        None => text.to_owned(),
    };
    let read = |text: &str| text.parse::<http::Uri>().map_err(|error| wrong(&format!("{error}")));
    let url = read(&text)?;
    let socks = url.scheme_str() == Some("socks5");
    if !socks && !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(wrong("only http, https and socks5 are known"));
    }
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    if let (true, Some((user, _))) = (socks, authority.rsplit_once('@')) {
        // RFC 1929: a byte tells the length of each; an empty one is no name.
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        let length = |part: &str| super::socks::decode(part).len();
        if length(name) == 0 || length(name) > 255 || length(password) > 255 {
            return Err(wrong("the name and the password for it have up to 255 bytes each, and a name there must be"));
        }
    }
    if socks && url.port().is_none() {
        // RFC 1928's port; the library would take HTTP's.
        text = format!("socks5://{authority}:1080");
    }
    read(&text)
}

/// A URL without the name and the password in it.
pub(super) fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        let read = |text: &str| proxy_url(text, "it").map(|url| url.to_string());
        assert_eq!(read("http://user:pw@proxy:3128"), Ok("http://user:pw@proxy:3128/".to_owned()));
        assert_eq!(read("socks5h://proxy"), Ok("socks5://proxy:1080/".to_owned()));
        assert_eq!(read("socks5://proxy:9050"), Ok("socks5://proxy:9050/".to_owned()));
        assert_eq!(read("socks5h://user:p%40@proxy"), Ok("socks5://user:p%40@proxy:1080/".to_owned()));
        let long = format!("socks5://user:secret{}@proxy", "x".repeat(250));
        for bad in ["ftp://user:secret@proxy", "socks5://:secret@proxy", &long, "http://user:secret@[proxy"] {
            let error = read(bad).unwrap_err();
            assert!(!error.message.contains("secret") && error.helps == ["look at it"], "{error:?}");
        }
        assert_eq!(without_user("http://a:b@c@proxy:1/x"), "http://proxy:1/x");
    }

    #[test]
    fn proxies_are_read_as_go_reads_them() {
        let environment = |name: &str| {
            Some(match name {
                "HTTPS_PROXY" => "proxy.example:3128".to_owned(),
                "no_proxy" => "10.0.0.0/8, .corp.example,api.example:6443,*.svc".to_owned(),
                _ => return None,
            })
        };
        let via = |secure, host| proxy(secure, host, &environment);
        assert_eq!(via(true, "k8s.example"), Some("http://proxy.example:3128".to_owned()));
        assert_eq!(via(false, "k8s.example"), None, "HTTP_PROXY is not set");
        for direct in
            ["10.1.2.3", "a.corp.example", "api.example", "x.api.example", "a.svc", "127.0.0.1", "localhost", "[::1]"]
        {
            assert_eq!(via(true, direct), None, "{direct}");
        }
        for proxied in ["corp.example", "myapi.example", "11.0.0.1"] {
            assert!(via(true, proxied).is_some(), "{proxied}");
        }
    }
}
