//! The question: who asks for what. Parsing of CLIENT and TARGET (DESIGN, "The command line") and what they name.

use std::fmt;
use std::net::IpAddr;

use super::Protocol;

mod resolve;

pub use resolve::{Client, Resolved, Target, nearest};

/// A question that can't be asked: what is wrong with it and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do, a line each.
    pub helps: Vec<String>,
}

impl QueryError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), helps: Vec::new() }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }
}

/// Kinds that a name on the command line may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A Service.
    Service,
    /// A node.
    Node,
    /// A workload, by its kind.
    Workload(&'static str),
}

impl Kind {
    /// From what `kubectl` takes: singular, plural, short name, with or without the group.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let plain = text.split_once('.').map_or(text.as_str(), |(kind, _)| kind);
        Some(match plain {
            "pod" | "pods" | "po" => Self::Pod,
            "service" | "services" | "svc" => Self::Service,
            "node" | "nodes" | "no" => Self::Node,
            "deployment" | "deployments" | "deploy" => Self::Workload("Deployment"),
            "statefulset" | "statefulsets" | "sts" => Self::Workload("StatefulSet"),
            "daemonset" | "daemonsets" | "ds" => Self::Workload("DaemonSet"),
            "replicaset" | "replicasets" | "rs" => Self::Workload("ReplicaSet"),
            "replicationcontroller" | "replicationcontrollers" | "rc" => Self::Workload("ReplicationController"),
            "job" | "jobs" => Self::Workload("Job"),
            "cronjob" | "cronjobs" | "cj" => Self::Workload("CronJob"),
            _ => return None,
        })
    }

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Service => "Service",
            Self::Node => "Node",
            Self::Workload(kind) => kind,
        }
    }
}

/// A name with what was said of its namespace and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectSpec {
    /// Namespace, where it was given.
    pub namespace: Option<String>,
    /// Kind, where it was given.
    pub kind: Option<Kind>,
    /// Name.
    pub name: String,
}

impl ObjectSpec {
    /// A pod or a workload, `[NAMESPACE/][KIND/]NAME`.
    pub fn read(text: &str) -> Result<Self, QueryError> {
        Self::parse(text, "pod")
    }

    fn parse(text: &str, what: &str) -> Result<Self, QueryError> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|p| p.is_empty()) {
            return Err(QueryError::new(format!("`{text}` is not a {what}: a part is empty"))
                .help(format!("write [NAMESPACE/][KIND/]NAME, such as shop/deploy/web for a {what}")));
        }
        let spec = match parts.as_slice() {
            [name] => Self { namespace: None, kind: None, name: (*name).to_owned() },
            // A known kind wins over a namespace.
            [first, name] => match Kind::parse(first) {
                Some(kind) => Self { namespace: None, kind: Some(kind), name: (*name).to_owned() },
                None => Self { namespace: Some((*first).to_owned()), kind: None, name: (*name).to_owned() },
            },
            [namespace, kind, name] => {
                let Some(kind) = Kind::parse(kind) else {
                    return Err(QueryError::new(format!("`{kind}` is not a kind that can be named here"))
                        .help("one of pod, svc, deploy, sts, ds, rs, job, cronjob, node"));
                };
                Self { namespace: Some((*namespace).to_owned()), kind: Some(kind), name: (*name).to_owned() }
            }
            _ => {
                return Err(QueryError::new(format!("`{text}` is not a {what}: too many parts"))
                    .help("write [NAMESPACE/][KIND/]NAME"));
            }
        };
        Ok(spec)
    }
}

impl fmt::Display for ObjectSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        if let Some(kind) = self.kind {
            write!(f, "{}/", kind.name().to_ascii_lowercase())?;
        }
        f.write_str(&self.name)
    }
}

/// CLIENT as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientSpec {
    /// A pod or a workload.
    Object(ObjectSpec),
    /// `ip:ADDRESS`.
    Address(IpAddr),
    /// `internet`.
    Internet,
}

impl std::str::FromStr for ClientSpec {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "internet" {
            return Ok(Self::Internet);
        }
        if let Some(address) = text.strip_prefix("ip:") {
            return match unbracket(address).parse() {
                Ok(ip) => Ok(Self::Address(ip)),
                Err(_) => Err(QueryError::new(format!("`{address}` is not an IP address"))
                    .help("write ip:10.1.2.3 or ip:fd00::1; a client has no port")),
            };
        }
        if let Ok(ip) = unbracket(text).parse() {
            return Ok(Self::Address(ip));
        }
        if text.contains(':') {
            return Err(QueryError::new(format!("`{text}` is not a client: a client has no port"))
                .help("write CLIENT TARGET:PORT, such as frontend cart:8080"));
        }
        Ok(Self::Object(ObjectSpec::parse(text, "client")?))
    }
}

/// The port of a target, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSpec {
    /// A number.
    Number(u16),
    /// A name.
    Name(String),
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What TARGET names, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An object, or a DNS name without slashes.
    Object(ObjectSpec),
    /// An address.
    Address(IpAddr),
}

/// TARGET as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// What it names.
    pub host: Host,
    /// Port, where one was given.
    pub port: Option<PortSpec>,
    /// Protocol: TCP unless said.
    pub protocol: Protocol,
    /// The text.
    pub text: String,
}

impl std::str::FromStr for TargetSpec {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let usage = "write NAME:PORT[/PROTOCOL], such as cart:8080, shop/cart:http, deploy/api:53/udp, 10.0.0.1:443, [fd00::1]:443";
        if text.is_empty() {
            return Err(QueryError::new("the target is empty").help(usage));
        }
        if text.contains("://") {
            let rest = text.split_once("://").map_or("", |(_, rest)| rest);
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            let host = host.rsplit_once('@').map_or(host, |(_, h)| h);
            return Err(QueryError::new("the target is a URL, not a host and a port")
                .help(format!("did you mean `{host}`?"))
                .help(usage));
        }
        let (host, rest) = split_host(text);
        let Some(rest) = rest else {
            let host = parse_host(host, usage)?;
            return Ok(Self { host, port: None, protocol: Protocol::Tcp, text: text.to_owned() });
        };
        let (port, protocol) = match rest.split_once('/') {
            None => (rest, Protocol::Tcp),
            Some((port, name)) => match Protocol::parse(name) {
                Some(protocol) if Protocol::WITH_PORTS.contains(&protocol) => (port, protocol),
                _ => {
                    return Err(
                        QueryError::new(format!("`{name}` is not a protocol with ports")).help("one of tcp, udp, sctp")
                    );
                }
            },
        };
        Ok(Self {
            host: parse_host(host, usage)?,
            port: Some(parse_port(port, usage)?),
            protocol,
            text: text.to_owned(),
        })
    }
}

/// Splits at the last colon outside brackets; an address of IPv6 without brackets has no port.
fn split_host(text: &str) -> (&str, Option<&str>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    if let Some(end) = text.find(']') {
        return match text[end + 1..].strip_prefix(':') {
            Some(port) => (&text[..=end], Some(port)),
            None => (text, None),
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn unbracket(text: &str) -> &str {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text)
}

fn parse_host(host: &str, usage: &str) -> Result<Host, QueryError> {
    if let Ok(ip) = unbracket(host).parse() {
        return Ok(Host::Address(ip));
    }
    if host.contains([':', '[', ']']) {
        return Err(QueryError::new(format!("`{host}` is not a host")).help(usage));
    }
    Ok(Host::Object(ObjectSpec::parse(host, "target")?))
}

fn parse_port(port: &str, usage: &str) -> Result<PortSpec, QueryError> {
    if port.is_empty() {
        return Err(QueryError::new("the target's port is empty").help(usage));
    }
    if port.bytes().all(|b| b.is_ascii_digit()) {
        return match port.parse() {
            Ok(number) if number > 0 => Ok(PortSpec::Number(number)),
            _ => Err(QueryError::new(format!("`{port}` is not a port")).help("ports are 1 to 65535")),
        };
    }
    let name = port.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name && port.len() <= 63 {
        Ok(PortSpec::Name(port.to_owned()))
    } else {
        Err(QueryError::new(format!("`{port}` is neither a port number nor a port name")).help(usage))
    }
}

/// A question as typed, for which not all of a cluster is read.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Who connects.
    pub client: &'a ClientSpec,
    /// To what.
    pub targets: &'a [TargetSpec],
    /// Whether DNS is part of it.
    pub dns: bool,
    /// Whether the other pods of the namespaces that take part are wanted too.
    pub around: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> TargetSpec {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn targets_split_at_the_last_colon_outside_brackets() {
        let object = |ns: Option<&str>, kind, name: &str| {
            Host::Object(ObjectSpec { namespace: ns.map(str::to_owned), kind, name: name.to_owned() })
        };
        let cases = [
            ("cart:8080", object(None, None, "cart"), Some(PortSpec::Number(8080)), Protocol::Tcp),
            ("shop/cart:http", object(Some("shop"), None, "cart"), Some(PortSpec::Name("http".into())), Protocol::Tcp),
            (
                "shop/pod/db-0:5432",
                object(Some("shop"), Some(Kind::Pod), "db-0"),
                Some(PortSpec::Number(5432)),
                Protocol::Tcp,
            ),
            (
                "deploy/api:53/udp",
                object(None, Some(Kind::Workload("Deployment")), "api"),
                Some(PortSpec::Number(53)),
                Protocol::Udp,
            ),
            ("cart", object(None, None, "cart"), None, Protocol::Tcp),
            ("[fd00::1]:443", Host::Address("fd00::1".parse().unwrap()), Some(PortSpec::Number(443)), Protocol::Tcp),
            ("fd00::1", Host::Address("fd00::1".parse().unwrap()), None, Protocol::Tcp),
            (
                "10.0.0.1:443/sctp",
                Host::Address("10.0.0.1".parse().unwrap()),
                Some(PortSpec::Number(443)),
                Protocol::Sctp,
            ),
        ];
        for (text, host, port, protocol) in cases {
            let parsed = target(text);
            assert_eq!((parsed.host, parsed.port, parsed.protocol), (host, port, protocol), "{text}");
        }
    }

    #[test]
    fn targets_that_make_no_sense_are_refused() {
        for text in [
            "",
            "cart:",
            "cart:0",
            "cart:65536",
            "cart:80/icmp",
            "a/b/c/d:80",
            "http://cart:80",
            "cart:Http",
            "/cart:80",
            "x/y/z:80",
        ] {
            assert!(text.parse::<TargetSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_kind_wins_over_a_namespace_of_that_name() {
        let spec: ClientSpec = "pod/web".parse().unwrap();
        assert_eq!(spec, ClientSpec::Object(ObjectSpec { namespace: None, kind: Some(Kind::Pod), name: "web".into() }));
        assert_eq!("ip:10.1.2.3".parse::<ClientSpec>().unwrap(), ClientSpec::Address("10.1.2.3".parse().unwrap()));
        assert!("web:80".parse::<ClientSpec>().is_err());
    }
}
