//! Which cluster, and as whom: kubeconfig files merged as kubectl merges them, flags over them, or the service account
//! of the pod that this program runs in.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

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
}

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Chooses the cluster.
pub(super) async fn choose(options: &ConnectOptions) -> Result<Chosen, LiveError> {
    let (kubeconfig, looked) = read(options)?;
    let empty =
        kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty() && kubeconfig.current_context.is_none();
    let in_cluster = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let mut chosen = if empty && options.context.is_none() && in_cluster {
        let config = Config::incluster().map_err(|error| {
            LiveError::new(Trouble::Config, format!("the service account of this pod can't be used: {error}"))
                .help("mount it (`automountServiceAccountToken`), or give a kubeconfig with --kubeconfig")
        })?;
        Chosen { config, context: "in-cluster".to_owned() }
    } else {
        from_file(kubeconfig, options, &looked).await?
    };
    let config = &mut chosen.config;
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
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &wanted).await.map_err(|error| refused(&error, &context))?;
    if explicit.is_none() {
        let host = config.cluster_url.host().unwrap_or_default().to_owned();
        let secure = config.cluster_url.scheme_str() == Some("https");
        config.proxy_url = match proxy(secure, &host, &|name| env::var(name).ok().filter(|v| !v.is_empty())) {
            None => None,
            Some(url) => Some(url.parse().map_err(|error| {
                LiveError::new(Trouble::Config, format!("the proxy `{}` is not a URL: {error}", shorten(&url)))
                    .help("look at HTTPS_PROXY and HTTP_PROXY")
            })?),
        };
    }
    Ok(Chosen { config, context })
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

#[cfg(test)]
mod tests {
    use super::*;

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
