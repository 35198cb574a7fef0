//! What one question needs to know of a cluster, given what is known already.
//!
//! Pure: a question and the answers so far come in, the next things to ask for go out, until nothing is missing. Each time
//! around is a round of requests that go out together. A question about pods takes two rounds (what is named; then what
//! that leads to), one about a workload three.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::ask::{
    Ask, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, ENDPOINT_SLICES, Filter, JOBS, NAMESPACES, NETWORK_POLICIES, NODES, PODS,
    Resource, SERVICES, STATEFUL_SETS,
};
use super::known::{Answer, Known, Slim, is_label, owned_by, selector};
use crate::model::query::{ClientSpec, Host, Kind, ObjectSpec, TargetSpec};

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who connects.
    pub client: ClientSpec,
    /// To what.
    pub targets: Vec<TargetSpec>,
    /// The namespace that names without one are in.
    pub namespace: String,
    /// Whether DNS is part of it.
    pub dns: bool,
    /// Namespaces whose pods all matter, because changed objects are laid over them.
    pub whole: Vec<String>,
    /// Whether the other pods of the namespaces that take part are wanted too.
    pub around: bool,
    /// Whether the network plugin is known already.
    pub plugin_known: bool,
}

/// What is missing.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// What to ask for next, in order of worth.
    pub(super) asks: Vec<Ask>,
    /// What may not be read and without which there is no answer.
    pub(super) blocked: Vec<Ask>,
    /// Namespaces whose policies decide.
    pub(super) namespaces: BTreeSet<String>,
    /// Whether the DNS leg can be anything but open.
    pub(super) dns_matters: bool,
}

/// Where the cluster's DNS lives, and how it is found.
const DNS_NAMESPACE: &str = "kube-system";
const DNS_SERVICE: &str = "kube-dns";
const DNS_PODS: &str = "k8s-app in (kube-dns,node-local-dns,nodelocaldns)";
/// How deep ExternalName Services may point at each other.
const DEPTH: usize = 8;

/// What `question` still needs.
pub(super) fn needs(question: &Question, known: &Known) -> Needs {
    let mut finder = Finder { known, question, needs: Needs::default() };
    finder.ask(Ask::Discovery);
    let client_namespace = finder.client();
    let mut by_name = false;
    for target in &question.targets {
        by_name |= finder.target(target, client_namespace.as_deref());
    }
    for namespace in &question.whole {
        finder.ask(Ask::list(PODS, namespace));
    }
    let namespaces = finder.needs.namespaces.clone();
    for namespace in &namespaces {
        if question.around {
            finder.ask(Ask::list(PODS, namespace));
        }
        if let Some(Answer::Missing) = finder.ask(Ask::get(NAMESPACES, namespace, namespace)) {
            // For what is near the name.
            finder.ask(Ask::everywhere(NAMESPACES));
        }
        finder.ask(Ask::list(NETWORK_POLICIES, namespace));
    }
    let cluster_policies = finder.policies(&namespaces);
    if question.dns && by_name && matches!(question.client, ClientSpec::Object(_)) {
        finder.dns(client_namespace.as_deref(), cluster_policies);
    }
    finder.plugin(&namespaces);
    finder.needs
}

/// How far the search for a name came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    /// It is there.
    Found,
    /// It is not there.
    Missing,
    /// It may be there.
    Hidden,
    /// Not asked yet.
    Open,
}

struct Finder<'k> {
    known: &'k Known,
    question: &'k Question,
    needs: Needs,
}

impl<'k> Finder<'k> {
    /// What is known of an ask; otherwise it is asked.
    fn ask(&mut self, ask: Ask) -> Option<&'k Answer> {
        let answer = self.known.get(&ask);
        if answer.is_none() && !self.needs.asks.contains(&ask) {
            self.needs.asks.push(ask);
        }
        answer
    }

    fn objects(&mut self, ask: Ask) -> Option<&'k [Slim]> {
        match self.ask(ask) {
            Some(Answer::Found(objects)) => Some(objects),
            _ => None,
        }
    }

    /// Asks for the client; the namespace it is in.
    fn client(&mut self) -> Option<String> {
        let question = self.question;
        match &question.client {
            ClientSpec::Internet => None,
            ClientSpec::Address(ip) => {
                self.pods_at(*ip);
                None
            }
            ClientSpec::Object(spec) if spec.kind == Some(Kind::Node) => {
                self.essential(Ask::get(NODES, "", &spec.name));
                None
            }
            ClientSpec::Object(spec) => {
                let namespace = spec.namespace.clone().unwrap_or_else(|| question.namespace.clone());
                self.needs.namespaces.insert(namespace.clone());
                self.pods_named(&namespace, spec);
                Some(namespace)
            }
        }
    }

    /// Asks for what there is no answer without.
    fn essential(&mut self, ask: Ask) -> Search {
        match self.ask(ask.clone()) {
            None => Search::Open,
            Some(Answer::Found(_) | Answer::Discovered(_)) => Search::Found,
            Some(Answer::Missing) => Search::Missing,
            Some(Answer::Forbidden) => {
                self.needs.blocked.push(ask);
                Search::Hidden
            }
            Some(Answer::Skipped) => Search::Hidden,
        }
    }

    /// Asks for the pods of a name: a pod, or those of a workload.
    fn pods_named(&mut self, namespace: &str, spec: &ObjectSpec) -> Search {
        match spec.kind {
            Some(Kind::Workload(kind)) => return self.workload(namespace, kind, &spec.name),
            Some(Kind::Service | Kind::Node) => return Search::Missing,
            None | Some(Kind::Pod) => {}
        }
        match self.essential(Ask::get(PODS, namespace, &spec.name)) {
            Search::Missing => {}
            other => return other,
        }
        // A name that is no pod's is a workload's, or mistyped: the pods of the namespace tell which, and what is near.
        let all = Ask::list(PODS, namespace);
        let found = match self.essential(all.clone()) {
            Search::Found => self.objects(all).unwrap_or_default(),
            other => return other,
        };
        if found.iter().any(|pod| owned_by(&pod.metadata, &spec.name)) {
            return Search::Found;
        }
        if spec.kind.is_none() {
            // It may have no pods, which is an answer of its own.
            for resource in [DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS] {
                self.ask(Ask::get(resource, namespace, &spec.name));
            }
        }
        Search::Missing
    }

    fn workload(&mut self, namespace: &str, kind: &str, name: &str) -> Search {
        let Some(resource) = Resource::of_workload(kind) else { return Search::Missing };
        if resource == CRON_JOBS {
            // Its pods belong to Jobs, which belong to it.
            self.ask(Ask::list(JOBS, namespace));
            self.essential(Ask::labelled(PODS, namespace, "batch.kubernetes.io/job-name".to_owned()));
            return self.essential(Ask::get(resource, namespace, name));
        }
        let ask = Ask::get(resource, namespace, name);
        match self.ask(ask.clone()) {
            None => Search::Open,
            Some(Answer::Found(objects)) => {
                let selector = objects.first().and_then(|o| o.spec.selector.as_ref()).and_then(selector);
                let pods = match selector {
                    Some(selector) => Ask::labelled(PODS, namespace, selector),
                    None => Ask::list(PODS, namespace),
                };
                self.essential(pods)
            }
            // Who may not read Deployments may read their pods, which tell whose they are.
            Some(Answer::Forbidden) => {
                self.needs.blocked.push(ask);
                let all = Ask::list(PODS, namespace);
                if self.objects(all).is_some_and(|pods| pods.iter().any(|pod| owned_by(&pod.metadata, name))) {
                    self.needs.blocked.pop();
                    return Search::Found;
                }
                Search::Hidden
            }
            Some(_) => {
                // For what is near the name.
                self.ask(Ask::list(PODS, namespace));
                Search::Missing
            }
        }
    }

    /// Asks for a target; whether it is dialled by name.
    fn target(&mut self, target: &TargetSpec, client_namespace: Option<&str>) -> bool {
        let spec = match &target.host {
            Host::Address(ip) => {
                self.address(*ip);
                return false;
            }
            Host::Object(spec) => spec,
        };
        if spec.kind == Some(Kind::Node) {
            self.essential(Ask::get(NODES, "", &spec.name));
            // Only the Services tell which of them a node's port leads to.
            self.ask(Ask::everywhere(SERVICES));
            return false;
        }
        let bare = spec.namespace.is_none() && spec.kind.is_none();
        if bare && spec.name.contains('.') {
            self.dns_name(&spec.name, 0);
            return true;
        }
        let mut candidates: Vec<&str> = match &spec.namespace {
            Some(namespace) => vec![namespace],
            None => client_namespace.into_iter().chain([self.question.namespace.as_str()]).collect(),
        };
        candidates.dedup();
        for namespace in candidates {
            self.needs.namespaces.insert(namespace.to_owned());
            if self.object(namespace, spec) != Search::Missing {
                break;
            }
        }
        !matches!(spec.kind, Some(Kind::Pod | Kind::Workload(_)))
    }

    fn object(&mut self, namespace: &str, spec: &ObjectSpec) -> Search {
        if matches!(spec.kind, None | Some(Kind::Service)) {
            let found = self.service(namespace, &spec.name, 0);
            if found != Search::Missing || spec.kind.is_some() {
                return found;
            }
        }
        self.pods_named(namespace, spec)
    }

    /// A Service and what is behind it.
    fn service(&mut self, namespace: &str, name: &str, depth: usize) -> Search {
        let slices = Ask::labelled(ENDPOINT_SLICES, namespace, format!("kubernetes.io/service-name={name}"));
        let listed = self.objects(slices).is_some_and(|slices| !slices.is_empty());
        let ask = Ask::get(SERVICES, namespace, name);
        let found = self.essential(ask.clone());
        if let Some(service) = self.objects(ask).and_then(<[Slim]>::first) {
            self.behind(service, namespace, listed, depth);
        }
        found
    }

    fn behind(&mut self, service: &Slim, namespace: &str, listed: bool, depth: usize) {
        if let Some(name) = service.spec.external_name.as_deref().filter(|n| !n.is_empty()) {
            if depth < DEPTH {
                self.dns_name(name, depth + 1);
            }
            return;
        }
        match service.spec.selector.as_ref().and_then(selector) {
            Some(selector) => {
                self.essential(Ask::labelled(PODS, namespace, selector));
            }
            // Endpoints that someone wrote by hand may be pods of the namespace.
            None if listed => {
                self.ask(Ask::list(PODS, namespace));
            }
            None => {}
        }
    }

    /// What a DNS name may lead to, as `model::query` reads it.
    fn dns_name(&mut self, name: &str, depth: usize) {
        let lower = name.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(ip) = lower.parse() {
            return self.address(ip);
        }
        let inside = lower.strip_suffix("cluster.local").map_or(lower.as_str(), |n| n.trim_end_matches('.'));
        let qualified = inside.len() != lower.len() || inside.ends_with(".svc");
        let labels: Vec<&str> = inside.strip_suffix(".svc").unwrap_or(inside).split('.').collect();
        let (service, namespace) = match labels.as_slice() {
            [service, namespace] | [_, service, namespace] => (*service, *namespace),
            _ => return,
        };
        if !is_label(service) || !is_label(namespace) {
            return;
        }
        // A name outside, such as `example.com`, looks the same: it is one where there is no such namespace.
        match self.ask(Ask::get(NAMESPACES, namespace, namespace)) {
            None => {}
            Some(Answer::Missing) => return,
            Some(_) => {
                self.needs.namespaces.insert(namespace.to_owned());
            }
        }
        let before = self.needs.blocked.len();
        if self.service(namespace, service, depth) == Search::Hidden && !qualified {
            // RBAC hides what isn't there as well: most such names are names outside.
            self.needs.blocked.truncate(before);
        }
    }

    /// Whose an address is: the one question for which the whole cluster is looked through.
    fn address(&mut self, ip: IpAddr) {
        self.pods_at(ip);
        let Some(services) = self.objects(Ask::everywhere(SERVICES)) else { return };
        let text = ip.to_string();
        for service in services {
            let spec = &service.spec;
            let balancer = service.status.load_balancer.ingress.iter().filter_map(|i| i.ip.as_ref());
            let mut addresses = spec
                .cluster_ip
                .iter()
                .chain(spec.cluster_ips.iter().flatten())
                .chain(spec.external_ips.iter().flatten())
                .chain(balancer);
            if addresses.any(|a| *a == text) {
                let namespace = &service.metadata.namespace;
                self.needs.namespaces.insert(namespace.clone());
                self.service(namespace, &service.metadata.name, 0);
            }
        }
    }

    fn pods_at(&mut self, ip: IpAddr) {
        let filter = Filter::Fields(format!("status.podIP={ip}"));
        let found = self.objects(Ask::List { resource: PODS, namespace: None, filter }).unwrap_or_default();
        for pod in found {
            self.needs.namespaces.insert(pod.metadata.namespace.clone());
        }
    }

    /// Asks for the policies besides NetworkPolicies; whether there may be any.
    fn policies(&mut self, namespaces: &BTreeSet<String>) -> bool {
        let Some(Answer::Discovered(discovered)) = self.known.get(&Ask::Discovery) else { return false };
        let mut resources = discovered.policies.clone();
        // What leads in from outside doesn't change a verdict.
        for version in discovered.open.iter().filter(|v| is_policies(v)) {
            if let Some(Answer::Discovered(more)) = self.ask(Ask::Group(version.clone())) {
                resources.extend(more.policies.iter().cloned());
            }
        }
        for resource in &resources {
            if !resource.namespaced {
                self.ask(Ask::everywhere(resource.clone()));
            } else {
                for namespace in namespaces {
                    self.ask(Ask::list(resource.clone(), namespace));
                }
            }
        }
        !resources.is_empty()
    }

    /// Asks which network plugin runs, where there is a policy that it may read in its own way and its APIs don't tell.
    fn plugin(&mut self, namespaces: &BTreeSet<String>) {
        let Some(Answer::Discovered(discovered)) = self.known.get(&Ask::Discovery) else { return };
        if self.question.plugin_known || discovered.plugins().len() == 1 {
            return;
        }
        // An older server has its groups asked for one by one: what policies it has comes first, if there are requests left.
        let waits =
            |version: &&String| is_policies(version) && !self.known.contains_key(&Ask::Group((*version).clone()));
        if discovered.open.iter().any(|version| waits(&version)) {
            return;
        }
        let any = |ask: &Ask| matches!(self.known.get(ask), Some(Answer::Found(policies)) if !policies.is_empty());
        if namespaces.iter().any(|n| any(&Ask::list(NETWORK_POLICIES, n))) {
            self.ask(Ask::plugin());
            if discovered.plugins().is_empty() {
                self.ask(Ask::flannel());
            }
        }
    }

    /// Asks for the cluster's DNS where any policy could stand in its way.
    fn dns(&mut self, client_namespace: Option<&str>, cluster_policies: bool) {
        let own = client_namespace.map(|n| Ask::list(NETWORK_POLICIES, n));
        let there = Ask::list(NETWORK_POLICIES, DNS_NAMESPACE);
        let mut any = |ask: Ask| match self.ask(ask) {
            Some(Answer::Found(policies)) => !policies.is_empty(),
            Some(Answer::Missing) | None => false,
            Some(_) => true,
        };
        let own = own.is_some_and(&mut any);
        let there = any(there);
        self.needs.dns_matters = own || there || cluster_policies;
        if !self.needs.dns_matters {
            return;
        }
        self.ask(Ask::get(NAMESPACES, DNS_NAMESPACE, DNS_NAMESPACE));
        self.ask(Ask::labelled(PODS, DNS_NAMESPACE, DNS_PODS.to_owned()));
        if let Some(Answer::Missing) = self.ask(Ask::get(SERVICES, DNS_NAMESPACE, DNS_SERVICE)) {
            self.other_dns();
        }
    }

    /// DNS under another name: that of a distribution, or OpenShift's.
    fn other_dns(&mut self) {
        let openshift = match self.known.get(&Ask::Discovery) {
            Some(Answer::Discovered(d)) => d.groups.iter().any(|g| g == "operator.openshift.io"),
            _ => false,
        };
        if openshift {
            let namespace = "openshift-dns";
            self.ask(Ask::get(NAMESPACES, namespace, namespace));
            self.ask(Ask::list(NETWORK_POLICIES, namespace));
            self.ask(Ask::get(SERVICES, namespace, "dns-default"));
            self.ask(Ask::labelled(PODS, namespace, "dns.operator.openshift.io/daemonset-dns=default".to_owned()));
        } else {
            self.ask(Ask::labelled(SERVICES, DNS_NAMESPACE, "k8s-app=kube-dns".to_owned()));
        }
    }
}

/// Whether a group version may hold policies.
fn is_policies(version: &str) -> bool {
    !version.starts_with("gateway.networking.k8s.io/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(client: &str, target: &str) -> Question {
        Question {
            client: client.parse().unwrap(),
            targets: vec![target.parse().unwrap()],
            namespace: "shop".to_owned(),
            dns: true,
            whole: Vec::new(),
            around: false,
            plugin_known: false,
        }
    }

    fn paths(question: &Question, known: &Known) -> Vec<String> {
        needs(question, known).asks.iter().map(Ask::path).collect()
    }

    #[test]
    fn the_first_round_asks_for_what_is_named() {
        let asked = paths(&question("frontend", "cart.stock:8080"), &Known::new());
        for path in [
            "/apis",
            "/api/v1/namespaces/shop/pods/frontend",
            "/api/v1/namespaces/stock/services/cart",
            "/api/v1/namespaces/shop",
            "/api/v1/namespaces/stock",
            "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies",
        ] {
            assert!(asked.iter().any(|a| a == path), "{path} in {asked:?}");
        }
    }

    #[test]
    fn names_outside_stay_outside() {
        let question = question("frontend", "example.com:443");
        let mut known = Known::new();
        known.insert(Ask::get(NAMESPACES, "com", "com"), Answer::Missing);
        assert!(
            !paths(&question, &known).iter().any(|p| p.contains("/com/")),
            "nothing in a namespace that isn't there"
        );
    }

    #[test]
    fn only_an_address_is_looked_for_everywhere() {
        let everywhere = |target: &str| {
            needs(&question("frontend", target), &Known::new())
                .asks
                .iter()
                .filter(|a| matches!(a, Ask::List { namespace: None, .. }))
                .count()
        };
        assert_eq!(everywhere("10.1.2.3:80"), 2);
        for target in ["cart:8080", "cart.stock:80", "deploy/cart:80", "pod/cart:80"] {
            assert_eq!(everywhere(target), 0, "{target}");
        }
    }

    #[test]
    fn selectors_as_queries() {
        let read = |json: &str| selector(&serde_json::from_str(json).unwrap());
        assert_eq!(read(r#"{"app":"web","tier":"x"}"#), Some("app=web,tier=x".to_owned()));
        assert_eq!(
            read(
                r#"{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"t","operator":"NotIn","values":["a","b"]}]}"#
            ),
            Some("app=web,t notin (a,b)".to_owned())
        );
        assert_eq!(read("{}"), None);
    }
}
