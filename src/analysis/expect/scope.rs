//! What of a cluster expectations are about: the namespaces they name, or all of them.
//!
//! Pure: expectations come in, names go out, so that no more of a cluster is read than they need.

use std::collections::BTreeSet;

use super::cells;
use super::file::{Expectation, Matrix, Peer, Peers, Pods, Rule};
use crate::model::query::{ClientSpec, Host, Kind, ObjectSpec, TargetSpec};
use crate::source::FieldPath;

/// What some expectations are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concern {
    /// Namespaces that are named.
    pub namespaces: BTreeSet<String>,
    /// What is a namespace if a DNS name is one of the cluster's, and nothing if it is a name outside: the `shop` of
    /// `cart.shop`, the `com` of `example.com`.
    pub perhaps: BTreeSet<String>,
    /// Whether pods of every namespace matter.
    pub everywhere: bool,
    /// The kinds of workloads that are named.
    pub kinds: BTreeSet<&'static str>,
}

impl Concern {
    /// What a group of expectations is about; `namespace` is that of names without one.
    pub fn of(expect: &[Expectation], matrix: Option<&Matrix>, namespace: &str) -> Self {
        let mut out = Self::default();
        let cells: Vec<Expectation> =
            matrix.into_iter().flat_map(|m| cells(m, &FieldPath::root())).filter_map(|(_, cell)| cell.ok()).collect();
        for expectation in expect.iter().chain(&cells) {
            for rule in [&expectation.allow, &expectation.deny].into_iter().flatten() {
                out.rule(rule, namespace);
            }
            if let Some(rule) = &expectation.only {
                // "Nothing else" is about whatever there is.
                out.everywhere = true;
                out.rule(rule, namespace);
            }
        }
        out
    }

    fn rule(&mut self, rule: &Rule, namespace: &str) {
        let clients = rule.from.iter().chain(&rule.except).flat_map(Peers::list);
        for peer in clients {
            match peer {
                Peer::Text(text) => self.client(text, namespace),
                Peer::Pods(pods) => self.pods(pods, namespace),
            }
        }
        for peer in rule.to.iter().flat_map(Peers::list) {
            match peer {
                Peer::Text(text) => self.target(text, namespace),
                Peer::Pods(pods) => self.pods(pods, namespace),
            }
        }
    }

    fn pods(&mut self, pods: &Pods, namespace: &str) {
        let named = || pods.namespace.iter().chain(&pods.namespaces);
        if named().next().is_none() || named().any(|n| n == "all") {
            self.everywhere = true;
        }
        self.namespaces.extend(named().filter(|n| *n != "all").cloned());
        for peer in pods.except.iter().flat_map(Peers::list) {
            match peer {
                Peer::Text(text) => self.client(text, namespace),
                Peer::Pods(pods) => self.pods(pods, namespace),
            }
        }
    }

    fn client(&mut self, text: &str, namespace: &str) {
        match text.parse() {
            _ if text == "all" => self.everywhere = true,
            Ok(ClientSpec::Object(spec)) => self.object(&spec, namespace),
            // Whose an address is, only all pods tell.
            Ok(ClientSpec::Address(_)) => self.everywhere = true,
            Ok(ClientSpec::Internet) | Err(_) => {}
        }
    }

    fn target(&mut self, text: &str, namespace: &str) {
        if text == "all" {
            self.everywhere = true;
            return;
        }
        if text == "internet" {
            return;
        }
        let Ok(spec) = text.strip_prefix("ip:").unwrap_or(text).parse::<TargetSpec>() else { return };
        match &spec.host {
            Host::Address(_) => self.everywhere = true,
            Host::Object(spec) if spec.namespace.is_none() && spec.kind.is_none() && spec.name.contains('.') => {
                self.name(&spec.name);
            }
            Host::Object(spec) => self.object(spec, namespace),
        }
    }

    fn object(&mut self, spec: &ObjectSpec, namespace: &str) {
        if let Some(Kind::Workload(kind)) = spec.kind {
            self.kinds.insert(kind);
        }
        if spec.kind != Some(Kind::Node) {
            self.namespaces.insert(spec.namespace.clone().unwrap_or_else(|| namespace.to_owned()));
        }
    }

    /// `cart.shop`, `cart.shop.svc`, `db-0.db.shop.svc.cluster.local`.
    fn name(&mut self, name: &str) {
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        let inside = lower.strip_suffix(".cluster.local").unwrap_or(&lower);
        let short = inside.strip_suffix(".svc").unwrap_or(inside);
        let sure = short.len() != lower.len();
        let mut labels = short.rsplit('.');
        if let (Some(namespace), 1..=2) = (labels.next(), labels.clone().count()) {
            let known = if sure { &mut self.namespaces } else { &mut self.perhaps };
            known.insert(namespace.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::expect::file::ConnectivityTest;
    use crate::source::{SourceMap, strict};

    fn concern(expect: &str) -> Concern {
        let text = format!("apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\n{expect}\n");
        let read = strict::read::<ConnectivityTest>("t.yaml", &text, &mut SourceMap::default());
        let (_, test) = read.unwrap_or_else(|e| panic!("{expect}: {e:?}")).remove(0);
        Concern::of(&test.expect, test.matrix.as_ref(), "shop")
    }

    #[test]
    fn kinds_that_are_named() {
        let kinds = concern("expect: [{allow: {from: deploy/web, to: [x/cronjob/a, svc/b, pod/c]}}]").kinds;
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["CronJob", "Deployment"]);
    }

    #[test]
    fn named_namespaces_are_enough_for_what_is_named() {
        for (expect, named, perhaps, everywhere) in [
            ("expect: [{allow: {from: web, to: 'data/db:5432'}}]", vec!["data", "shop"], vec![], false),
            ("expect: [{deny: {from: internet, to: deploy/web}}]", vec!["shop"], vec![], false),
            ("expect: [{deny: {from: 'ip:10.0.0.0/8', to: web}}]", vec!["shop"], vec![], false),
            ("expect: [{deny: {from: 'ip:10.0.0.1', to: web}}]", vec!["shop"], vec![], true),
            ("expect: [{allow: {from: node/a, to: '10.0.0.1:80'}}]", vec![], vec![], true),
            ("expect: [{allow: {from: web, to: 'db.data:80'}}]", vec!["shop"], vec!["data"], false),
            (
                "expect: [{allow: {from: web, to: 'db-0.db.data.svc.cluster.local:80'}}]",
                vec!["data", "shop"],
                vec![],
                false,
            ),
            ("expect: [{allow: {from: {namespace: a}, to: {namespaces: [b, c]}}}]", vec!["a", "b", "c"], vec![], false),
            ("expect: [{allow: {from: {podSelector: {}}, to: web}}]", vec!["shop"], vec![], true),
            ("expect: [{deny: {from: {namespace: a, except: b/x}, to: web}}]", vec!["a", "b", "shop"], vec![], false),
            ("expect: [{only: {from: web, to: db}}]", vec!["shop"], vec![], true),
            ("expect: [{allow: {from: all, to: db}}]", vec!["shop"], vec![], true),
            ("matrix: {to: [x/a, b], from: {c: [allow, '-']}}", vec!["shop", "x"], vec![], false),
        ] {
            let set = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
            let found = concern(expect);
            let wanted =
                Concern { namespaces: set(named), perhaps: set(perhaps), everywhere, kinds: found.kinds.clone() };
            assert_eq!(found, wanted, "{expect}");
        }
    }
}
