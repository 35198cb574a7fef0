//! Where pods in trouble may go beside their own namespace: what has to be known of a cluster before it can be said why.
//!
//! Facts about pods and their logs come in; namespaces and addresses that they name go out. It needs no model of the cluster:
//! it is asked before there is one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::facts::{self, Facts, Key};
use super::run::Examined;
use super::{Case, Logs, Subject, depend, drivers};
use crate::analysis::logs::{LogClass, LogError};
use crate::model::{BuildOptions, Cluster};
use crate::policy::{Policies, Profile};
use crate::reach::Evaluator;
use crate::source::SourceMap;

/// What pods name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leads {
    /// Namespaces, as far as names tell: `db.data` may be in `data`.
    pub namespaces: BTreeSet<String>,
    /// Addresses within private ranges: Services', pods', or others.
    pub addresses: BTreeSet<IpAddr>,
    /// Usual ports of drivers that failed to connect, where nothing names what they dialled.
    pub ports: BTreeSet<u16>,
}

/// Ends of names that are no namespaces.
const DOMAINS: &[&str] =
    &["com", "net", "org", "io", "dev", "example", "local", "internal", "cloud", "app", "de", "uk", "corp", "lan"];

/// What these pods name in their specs, their ConfigMaps and their logs.
pub fn leads(facts: &Facts, logs: &Logs, pods: &BTreeSet<Key>) -> Leads {
    let mut out = Leads::default();
    let Ok(cluster) = Cluster::build(Vec::new(), &BuildOptions::default()) else { return out };
    let (policies, profile, sources) = (Policies::lower(&cluster), Profile::default(), SourceMap::default());
    let evaluator = Evaluator::new(&cluster, &policies, &profile);
    let case = Case { evaluator: &evaluator, profile: &profile, sources: &sources, facts, logs };
    for key in pods {
        let Some(pod) = facts.pods.get(key) else { continue };
        let containers = facts::containers(pod).iter().map(|c| c.spec.name.clone()).collect();
        let subject = Subject { pod: key.clone(), workload: None, trouble: String::new(), containers };
        let examined = Examined::of(&case, &subject, pod);
        for run in &examined.containers {
            let declared = depend::declared(&examined, run);
            declared.iter().for_each(|candidate| out.name(&candidate.host));
            let families = drivers::families(&run.text);
            let untold =
                |e: &LogError| e.host.is_none() && e.hint.is_none() && !e.inbound && e.class != LogClass::Context;
            if run.scan.errors.iter().any(untold) {
                let told: Vec<_> =
                    declared.iter().filter_map(|c| drivers::family(c.scheme.as_deref(), c.port)).collect();
                let ports = families.iter().filter(|f| !told.contains(f)).filter_map(|f| drivers::port_of_scheme(f));
                out.ports.extend(ports);
            }
            for error in &run.scan.errors {
                let hint = error.hint.as_ref().and_then(|h| h.host.as_ref());
                [error.host.as_ref(), error.alias.as_ref(), hint].into_iter().flatten().for_each(|host| out.name(host));
            }
        }
        out.namespaces.remove(&key.0);
    }
    out
}

impl Leads {
    fn name(&mut self, host: &str) {
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            let private = match ip {
                IpAddr::V4(ip) => ip.is_private() || ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]),
                IpAddr::V6(ip) => ip.is_unique_local(),
            };
            if private {
                self.addresses.insert(ip);
            }
            return;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        // SERVICE.NAMESPACE[.svc…], POD.SERVICE.NAMESPACE.svc…
        let namespace = match labels.as_slice() {
            [_, namespace] | [_, namespace, "svc", ..] | [_, _, namespace, "svc", ..] => Some(*namespace),
            _ => None,
        };
        let namespace = namespace.filter(|n| !n.is_empty() && n.len() <= 63 && !DOMAINS.contains(n));
        self.namespaces.extend(namespace.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_namespaces_and_addresses_stay_addresses() {
        let mut leads = Leads::default();
        let hosts = [
            "db.data",
            "cache.mem.svc.cluster.local",
            "m-0.mongo.store.svc",
            "api.example.com",
            "example.com",
            "pg",
            "10.96.0.7",
            "203.0.113.1",
        ];
        hosts.iter().for_each(|host| leads.name(host));
        assert_eq!(leads.namespaces.iter().map(String::as_str).collect::<Vec<_>>(), ["data", "mem", "store"]);
        assert_eq!(leads.addresses.len(), 1);
    }
}
