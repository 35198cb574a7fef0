//! What a cluster, or the way to it, says instead of an answer: one sentence and what to do, for each kind of trouble.

use std::error::Error as _;
use std::io;

use kube::client::{AuthError, RustlsTlsError};
use kube::config::{KubeconfigError, LoadDataError};
use serde::Deserialize;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The kubeconfig names no usable cluster.
    Config,
    /// Nobody answers at the server's address.
    Unreachable,
    /// The server is not who it should be.
    Tls,
    /// No answer in time.
    Timeout,
    /// Credentials can't be had: a plugin or a token file failed.
    Credentials,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 410: the list changed too much while it was read.
    Gone,
    /// 429, also after waiting.
    Busy,
    /// 5xx, also after waiting.
    Server,
    /// The connection broke, also when tried again.
    Broken,
    /// The answer is not the API's.
    Protocol,
    /// The answer has more bytes than can be meant.
    TooLarge,
    /// Stopped by the user.
    Interrupted,
    /// This pod can't be probed from.
    Unfit,
    /// Admission refuses what the probe would add.
    Admission,
    /// The probe's container does not start.
    NotStarted,
    /// The probe has no answer.
    NoAnswer,
}

/// A cluster that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LiveError {
    /// What went wrong.
    pub trouble: Trouble,
    /// One sentence: lower case, no full stop.
    pub message: String,
    /// What to do, a line each.
    pub helps: Vec<String>,
    /// Roles to ask for, as YAML; may be empty.
    pub roles: String,
}

impl LiveError {
    /// An error without advice yet.
    pub fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into(), helps: Vec::new(), roles: String::new() }
    }

    /// With what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(text.into());
        self
    }
}

/// What a failed request answers (`metav1.Status`), as far as it matters.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
}

/// An error of an HTTP status other than success.
pub(super) fn of_status(code: u16, body: &[u8], what: &str, server: &str) -> LiveError {
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let from_api = status.kind == "Status";
    let said = shorten(if from_api { status.message.trim() } else { "" });
    let because = |text: String| if said.is_empty() { text } else { format!("{text}: {said}") };
    match code {
        401 => LiveError::new(
            Trouble::Unauthorized,
            format!("`{server}` does not know you: the credentials are missing, wrong or expired"),
        )
        .help("log in again the way you do for kubectl; `kubectl auth whoami` shows whether it worked"),
        403 if from_api => LiveError::new(Trouble::Forbidden, said),
        403 => LiveError::new(Trouble::Forbidden, format!("something in front of `{server}` refuses the request"))
            .help("look at proxies: HTTPS_PROXY, NO_PROXY, `proxy-url` in the kubeconfig"),
        404 if from_api || body.starts_with(b"404 page not found") => {
            LiveError::new(Trouble::NotFound, because(format!("{what} not found")))
        }
        404 => LiveError::new(Trouble::Protocol, format!("`{server}` is not a Kubernetes API server"))
            .help("look at `server` in the kubeconfig: `kubectl config view --minify`"),
        // What one server of several began to list, another may not go on with.
        400 if said.contains("continue token") || said.contains("continue key") => gone(what),
        410 => gone(what),
        429 => LiveError::new(Trouble::Busy, format!("`{server}` is too busy to answer, also after waiting"))
            .help("try again later"),
        500.. => LiveError::new(
            Trouble::Server,
            because(format!("`{server}` failed with status {code}, also when tried again")),
        )
        .help("try again later; `kubectl get --raw /readyz?verbose` shows what the API server lacks"),
        _ => LiveError::new(Trouble::Protocol, because(format!("`{server}` refused {what} with status {code}")))
            .help("`kubectl version` tells the server's version; a proxy on the way may answer in its place"),
    }
}

fn gone(what: &str) -> LiveError {
    LiveError::new(Trouble::Gone, format!("{what} changed faster than they could be read"))
        .help("try again; a smaller part (`-n NAMESPACE`) is read faster")
}

/// A kubeconfig that no connection can be made with: nothing was sent yet.
pub(super) fn of_config(error: &kube::Error) -> LiveError {
    if let Some(error) = auth(error) {
        return credentials(error);
    }
    let why = match error {
        kube::Error::InferKubeconfig(KubeconfigError::LoadClientCertificate(why)) => {
            unread("client certificate", "client-certificate-data", why)
        }
        kube::Error::InferKubeconfig(KubeconfigError::LoadClientKey(why)) => {
            unread("client key", "client-key-data", why)
        }
        kube::Error::RustlsTls(RustlsTlsError::MissingCertificate) => {
            "the client certificate is none in PEM".to_owned()
        }
        kube::Error::RustlsTls(RustlsTlsError::MissingPrivateKey) => "the client key is none in PEM".to_owned(),
        kube::Error::RustlsTls(RustlsTlsError::InvalidPrivateKey(why)) if why.to_string().contains("KeyMismatch") => {
            "the client certificate and the client key don't belong together".to_owned()
        }
        kube::Error::RustlsTls(RustlsTlsError::InvalidPrivateKey(why)) => {
            format!("the client certificate or its key is not of a kind that is known here: {why}")
        }
        other => other.to_string(),
    };
    LiveError::new(Trouble::Config, format!("the kubeconfig can't be used: {}", shorten(&why)))
        .help("`kubectl config view --minify` shows what it says")
}

/// Why the kubeconfig's user lacks a part. `field` is where it would stand.
fn unread(what: &str, field: &str, why: &LoadDataError) -> String {
    match why {
        LoadDataError::NoBase64DataOrFile => format!("it has no {what}: `{field}`"),
        LoadDataError::DecodeBase64(_) => format!("`{field}` is not base64"),
        LoadDataError::ReadFile(why, path) => format!("the {what} `{}` can't be read: {why}", path.display()),
    }
}

/// What a SOCKS proxy says that wants a password and is shown none, or the other way round.
pub(super) const NO_WAY_IN: &str = "the proxy does not let in who logs in like this";

/// An error of the way to the server, and whether it may pass by itself.
pub(super) fn of_client(error: &kube::Error, server: &str) -> (LiveError, bool) {
    if let Some(error) = auth(error) {
        return (credentials(error), false);
    }
    let mut texts = vec![error.to_string()];
    let mut io_kind = None;
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(auth) = cause.downcast_ref::<AuthError>() {
            return (credentials(auth), false);
        }
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            io_kind = Some(cause.kind());
        }
        texts.push(cause.to_string());
        source = cause.source();
    }
    let all = texts.join(": ").to_ascii_lowercase();
    let deepest = shorten(texts.last().map_or("", String::as_str));
    if all.contains("certificate")
        || all.contains("tls")
        || all.contains("handshake")
        || all.contains("corrupt message")
        || all.contains("fatal alert")
    {
        return (tls(&all, &deepest, server), false);
    }
    let at = |why: &str| format!("can't reach `{server}`: {why}");
    let network = "is the cluster up, and does the network or the VPN lead there? `kubectl config view --minify` shows the address";
    if all.contains("dns error") || all.contains("failed to lookup") {
        return (LiveError::new(Trouble::Unreachable, at("its name can't be resolved")).help(network), false);
    }
    if let Some((_, why)) = all.rsplit_once("socks error: ") {
        let why = match why {
            "failed to create underlying connection" => "the proxy does not answer",
            "credentials not accepted" => "the proxy does not take the name and the password that it is told",
            // Said to who shows a name and a password as to who shows none.
            "server does not support user/pass authentication" => NO_WAY_IN,
            other => &shorten(&format!("the proxy says `{other}`")),
        };
        return (LiveError::new(Trouble::Unreachable, at(why)), false);
    }
    let connecting = all.contains("(connect)");
    match io_kind {
        Some(io::ErrorKind::ConnectionRefused) => {
            (LiveError::new(Trouble::Unreachable, at("connection refused")).help(network), false)
        }
        Some(io::ErrorKind::TimedOut) if connecting => {
            (LiveError::new(Trouble::Unreachable, at("no answer")).help(network), false)
        }
        Some(io::ErrorKind::TimedOut) => (timeout(server), false),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            (LiveError::new(Trouble::Unreachable, at("no route to it")).help(network), false)
        }
        _ if connecting => (LiveError::new(Trouble::Unreachable, at(&deepest)).help(network), false),
        _ => {
            let error = LiveError::new(Trouble::Broken, format!("the connection to `{server}` broke: {deepest}"))
                .help("try again; a proxy or load balancer on the way may cut long answers");
            (error, true)
        }
    }
}

/// No answer in time.
pub(super) fn timeout(server: &str) -> LiveError {
    LiveError::new(Trouble::Timeout, format!("`{server}` did not answer in time"))
        .help("give it longer with --request-timeout, such as --request-timeout 2m")
}

fn auth(error: &kube::Error) -> Option<&AuthError> {
    match error {
        kube::Error::Auth(error) => Some(error),
        kube::Error::Service(error) => match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Auth(error)) => Some(error),
            _ => error.downcast_ref::<AuthError>(),
        },
        _ => None,
    }
}

fn credentials(error: &AuthError) -> LiveError {
    let again = "run the login of your cluster again; `kubectl auth whoami` uses the same credentials";
    match error {
        AuthError::AuthExecStart(error) => LiveError::new(
            Trouble::Credentials,
            format!("the credential plugin of the kubeconfig can't be run: {}", shorten(&error.to_string())),
        )
        .help("install it, or put it on the PATH: `kubectl config view --minify` shows its `command`"),
        AuthError::AuthExecRun { cmd, out } => {
            // What a plugin writes to standard error is for its user; what it writes to standard output is a token.
            let said = String::from_utf8_lossy(&out.stderr);
            let said = shorten(said.trim().lines().next_back().unwrap_or_default());
            let command = shorten(cmd.split_whitespace().next().unwrap_or("plugin").trim_matches('"'));
            LiveError::new(Trouble::Credentials, format!("the credential plugin `{command}` failed: {said}"))
                .help(again)
        }
        AuthError::ReadTokenFile(error, path) => {
            LiveError::new(Trouble::Credentials, format!("the token file `{}` can't be read: {error}", path.display()))
        }
        other => {
            let text = shorten(other.to_string().lines().next().unwrap_or_default());
            LiveError::new(Trouble::Credentials, format!("no credentials: {text}")).help(again)
        }
    }
}

fn tls(all: &str, deepest: &str, server: &str) -> LiveError {
    // What the other side says of us: RFC 8446, 6.2.
    if let Some((_, alert)) = all.rsplit_once("fatal alert: ") {
        return of_alert(alert, server);
    }
    let error = |why: &str| LiveError::new(Trouble::Tls, format!("`{server}` can't be trusted: {why}"));
    if all.contains("unknownissuer") || all.contains("unknown issuer") {
        return error("its certificate is signed by an authority that the kubeconfig doesn't name")
            .help("set `certificate-authority-data` of the cluster in the kubeconfig; a proxy that opens TLS has its own authority");
    }
    if all.contains("expired") {
        return error("its certificate has expired")
            .help("renew the API server's certificate, and look at this machine's clock");
    }
    if all.contains("not valid yet") || all.contains("notvalidyet") {
        return error("its certificate is not valid yet").help("look at this machine's clock, and at the API server's");
    }
    if all.contains("not valid for name") || all.contains("notvalidforname") {
        return error("its certificate is for another name")
            .help("use a name that the certificate has as `server`, or set `tls-server-name` in the kubeconfig");
    }
    if ["corrupt message", "wrong version", "handshake eof"].iter().any(|sign| all.contains(sign)) {
        return LiveError::new(Trouble::Tls, format!("`{server}` does not speak TLS"))
            .help("is `server` in the kubeconfig meant to be http://, or another port?");
    }
    error(deepest).help("`kubectl version` goes the same way")
}

/// What a server says that ends TLS.
fn of_alert(alert: &str, server: &str) -> LiveError {
    let refused = |why: &str| {
        LiveError::new(Trouble::Unauthorized, format!("`{server}` refuses the client certificate: {why}"))
            .help("get a kubeconfig of this cluster anew; `client-certificate-data` and `client-key-data` of its user are the certificate")
    };
    match alert {
        "certificaterequired" => {
            LiveError::new(Trouble::Unauthorized, format!("`{server}` wants a client certificate"))
                .help("set `client-certificate-data` and `client-key-data` of the user in the kubeconfig")
        }
        "certificateexpired" => refused("it has expired, or is not valid yet"),
        "unknownca" => refused("it is signed by an authority that the server doesn't know"),
        "certificaterevoked" => refused("it is revoked"),
        "badcertificate" | "unsupportedcertificate" | "certificateunknown" | "decrypterror" | "accessdenied" => {
            // Servers of TLS 1.2 say `bad certificate` also where there was none.
            let message = format!("`{server}` was not shown a client certificate that counts there");
            LiveError { message, ..refused("") }
        }
        "protocolversion" => {
            LiveError::new(Trouble::Tls, format!("`{server}` speaks no TLS that is safe: 1.2 is the oldest"))
                .help("`kubectl version` goes the same way")
        }
        other => LiveError::new(Trouble::Tls, format!("`{server}` ends TLS: {}", shorten(other)))
            .help("`kubectl version` goes the same way"),
    }
}

/// A foreign text on one line, of bearable length.
pub(super) fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 300 { line } else { line.chars().take(297).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let status = |message: &str| format!("{{\"kind\":\"Status\",\"message\":\"{message}\"}}");
        let forbidden = of_status(403, status("pods is forbidden").as_bytes(), "pods", "https://x");
        assert_eq!((forbidden.trouble, forbidden.message.as_str()), (Trouble::Forbidden, "pods is forbidden"));
        assert_eq!(of_status(404, b"404 page not found\n", "x", "s").trouble, Trouble::NotFound);
        assert_eq!(of_status(404, b"<html>", "x", "s").trouble, Trouble::Protocol);
        assert_eq!(of_status(403, b"<html>", "x", "s").trouble, Trouble::Forbidden);
        assert_eq!(of_status(503, b"", "x", "s").trouble, Trouble::Server);
    }
}
