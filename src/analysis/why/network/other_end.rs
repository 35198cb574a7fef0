//! No policy is at fault: what the other end of a connection lacks. Endpoints, a port, a server that runs, a certificate, a
//! name, an answer of DNS.

use super::super::cause::{Cause, Confidence};
use super::super::depend;
use super::super::finding::{Finding, Proof, ProofKind};
use super::super::probes::listening;
use super::super::{facts, select};
use super::Way;
use crate::analysis::logs::LogClass;
use crate::model::PodId;
use crate::reach::{Check, Obstacle};

impl Way<'_> {
    /// No policy is at fault, and it can't work.
    pub(super) fn obstacle(&self, obstacle: &Obstacle, check: Check) -> Option<Finding> {
        let cluster = self.pod.case.evaluator.cluster;
        let target = self.target().text();
        let service = self.resolved.service().map(|id| &cluster.services[id.index()]);
        let name = service.map(|s| s.name.to_string()).unwrap_or_else(|| self.attempt.host.clone());
        let namespace = service.map(|s| cluster.namespaces[s.namespace.index()].name.to_string()).unwrap_or_default();
        let strength = self.attempt.strength + 4;
        let make = |cause, summary: String, check| {
            self.finding(cause, strength, summary, Some(check))
                .shown_by(format!("kubectl describe service {name} -n {namespace}"))
                .blame("Service", &namespace, &name, None)
        };
        let selector = service.and_then(|s| s.selector.as_ref()).map(|s| {
            let all: Vec<String> = s.iter().map(|(k, v)| format!("{k}={v}")).collect();
            all.join(", ")
        });
        match obstacle {
            Obstacle::NoEndpoints | Obstacle::NotReady | Obstacle::NoLocalEndpoint(_) => {
                if let Some(down) = self.behind(&check) {
                    return Some(down);
                }
                let what = match obstacle {
                    Obstacle::NotReady => "none of its endpoints is ready",
                    Obstacle::NoLocalEndpoint(_) => {
                        "it has no endpoint on the client's node, and internalTrafficPolicy is Local"
                    }
                    _ => "no pod stands behind it",
                };
                let finding = make(
                    Cause::NoEndpoints,
                    format!(
                        "container {} can't reach {target}: Service {namespace}/{name} has no endpoints to send it to; {what}",
                        self.run.name()
                    ),
                    check,
                );
                let like = self.selected_like(selector.as_deref());
                let proof = selector
                    .map(|s| Proof::new(ProofKind::Spec, format!("Service {namespace}/{name} spec.selector"), &s));
                let advice = match &like {
                    Some(like) => format!("correct spec.selector of Service {name}: {like}"),
                    None => "correct the Service's selector, or bring the pods behind it up".to_owned(),
                };
                let path = proof.is_some().then(|| "spec.selector".to_owned());
                Some(
                    finding
                        .proven(proof)
                        .advise(
                            advice,
                            "a Service without ready endpoints refuses connections by itself; no policy is in the way",
                        )
                        .blame("Service", &namespace, &name, path),
                )
            }
            Obstacle::NoSuchPort => {
                let ports: Vec<String> =
                    service.map(|s| s.ports.iter().map(|p| p.number.to_string()).collect()).unwrap_or_default();
                let finding = make(
                    Cause::WrongPort,
                    format!(
                        "container {} dials {target}, and Service {namespace}/{name} has no such port",
                        self.run.name()
                    ),
                    check,
                );
                Some(
                    finding
                        .proven([Proof::new(
                            ProofKind::Spec,
                            format!("Service {namespace}/{name} spec.ports"),
                            &ports.join(", "),
                        )])
                        .advise(
                            format!("dial one of its ports ({}), or add the port to the Service", ports.join(", ")),
                            "a Service forwards only the ports that it lists",
                        )
                        .blame("Service", &namespace, &name, Some("spec.ports".to_owned())),
                )
            }
            Obstacle::NoNamedPort(port) => {
                let finding = make(
                    Cause::WrongPort,
                    format!(
                        "container {} can't reach {target}: Service {namespace}/{name} leads to a port named `{port}`, which its pods don't have",
                        self.run.name()
                    ),
                    check,
                );
                Some(
                    finding
                        .advise(
                            format!("name the container's port `{port}`, or write its number as targetPort"),
                            "a named targetPort is looked up on every pod",
                        )
                        .blame("Service", &namespace, &name, Some("spec.ports[0].targetPort".to_owned())),
                )
            }
            Obstacle::Finished => Some(self.down(check)),
            _ => None,
        }
    }

    /// A label of the Service's selector that pods of its namespace nearly have.
    fn selected_like(&self, selector: Option<&str>) -> Option<String> {
        let cluster = self.pod.case.evaluator.cluster;
        let service = &cluster.services[self.resolved.service()?.index()];
        selector?;
        for (key, value) in service.selector.as_ref()?.iter() {
            let values: Vec<&str> = cluster
                .pods_of(service.namespace)
                .filter_map(|p| cluster.pods[p.index()].labels.get(key).map(|v| &**v))
                .collect();
            if !values.contains(&&**value)
                && let Some(near) = crate::model::query::nearest(value, values.into_iter())
            {
                return Some(format!("pods carry {key}={near}, not {key}={value}"));
            }
        }
        None
    }

    /// The pods that should answer.
    fn servers(&self, check: &Check) -> Vec<PodId> {
        let cluster = self.pod.case.evaluator.cluster;
        let mut out: Vec<PodId> = check.endpoints.iter().filter_map(|e| e.pod).collect();
        out.extend(self.resolved.pod());
        if out.is_empty()
            && let Some(service) = self.resolved.service().map(|id| &cluster.services[id.index()])
            && let Some(selector) = &service.selector
        {
            out.extend(
                cluster.pods_of(service.namespace).filter(|p| cluster.pods[p.index()].labels.contains_all(selector)),
            );
        }
        out.dedup();
        out
    }

    /// The server pods that are in trouble themselves.
    fn troubled(&self, check: &Check) -> Vec<select::Subject> {
        let cluster = self.pod.case.evaluator.cluster;
        let keys = self.servers(check).into_iter().map(|p| {
            let pod = &cluster.pods[p.index()];
            (cluster.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string())
        });
        let scope = select::Scope { namespace: None, pods: Some(keys.filter(|k| k != self.pod.key).collect()) };
        select::troubled(self.pod.case.facts, cluster, &scope)
    }

    pub(super) fn server_troubled(&self, check: &Check) -> bool {
        !self.troubled(check).is_empty()
    }

    /// The dependency doesn't run: its pods crash, or there are none that could.
    fn behind(&self, check: &Check) -> Option<Finding> {
        let troubled = self.troubled(check);
        let first = troubled.first()?;
        let (kind, name) = match &first.workload {
            Some((kind, name)) => (kind.clone(), name.clone()),
            None => ("Pod".to_owned(), first.pod.1.clone()),
        };
        let facts = self.pod.case.facts;
        let log = first.containers.first().and_then(|c| self.pod.case.logs.of(&first.pod, c));
        let said = log
            .and_then(|l| l.current.as_deref().or(l.previous.as_deref()))
            .map(|t| crate::analysis::logs::read(t).evidence);
        let said = said.and_then(|e| {
            e.last().map(|e| Proof::new(ProofKind::Log, format!("log of {}/{}", first.pod.0, first.pod.1), &e.line))
        });
        let restarts: i64 =
            facts.pods.get(&first.pod).map_or(0, |p| p.status.container_statuses.iter().map(|s| s.restart_count).sum());
        let state = format!("{}, restarted {restarts} times", first.trouble);
        Some(
            self.finding(
                Cause::DependencyDown,
                self.attempt.strength + 4,
                format!(
                    "container {} can't reach {}: the server itself is down ({kind} {}/{name}: {})",
                    self.run.name(),
                    self.target().text(),
                    first.pod.0,
                    first.trouble
                ),
                Some(check.clone()),
            )
            .proven([Proof::new(ProofKind::Status, format!("pod {}/{}", first.pod.0, first.pod.1), &state)])
            .proven(said)
            .advise(
                format!(
                    "bring {kind} {}/{name} up first: netcheck why {} -n {}",
                    first.pod.0, first.pod.1, first.pod.0
                ),
                "the client is only its symptom: it works again by itself once the server does",
            )
            .shown_by(format!("kubectl describe pod {} -n {}", first.pod.1, first.pod.0))
            .blame(&kind, &first.pod.0, &name, None),
        )
    }

    /// Refused, cut or unreachable though policies allow it: the other end.
    pub(super) fn down(&self, check: Check) -> Finding {
        if let Some(behind) = self.behind(&check) {
            return behind;
        }
        let cluster = self.pod.case.evaluator.cluster;
        let target = self.target().text();
        let score = self.attempt.strength + if self.attempt.class == LogClass::Reset { 1 } else { 3 };
        let word = match self.attempt.class {
            LogClass::Reset => "cuts the connection",
            LogClass::Unreachable => "can't be reached",
            _ => "refuses the connection",
        };
        let finding = self.finding(
            Cause::DependencyDown,
            score,
            format!("{target} {word}; policies let it through",),
            Some(check.clone()),
        );
        if let Some((id, port)) = self.resolved.service().zip(check.service_port.as_ref()) {
            let service = &cluster.services[id.index()];
            let namespace = cluster.namespaces[service.namespace.index()].name.to_string();
            let index = service.ports.iter().position(|p| p == port).unwrap_or_default();
            if let Some((asked, listens)) = self.wrong_target(&check) {
                let path = format!("spec.ports[{index}].targetPort");
                let mut finding = finding;
                finding.summary = format!(
                    "{target} refuses the connection: Service {namespace}/{} leads to port {asked} of its pods, which listen on {listens}",
                    service.name
                );
                finding.score += 1;
                finding.confidence = Confidence::of(finding.score);
                return finding
                    .proven([Proof::new(ProofKind::Spec, format!("Service {namespace}/{} {path}", service.name), &asked.to_string())])
                    .advise(format!("set {path} of Service {} to {listens}", service.name), "a Service rewrites the port to targetPort; whoever listens there has to be listening on exactly that")
                    .shown_by(format!("kubectl describe service {} -n {namespace}", service.name))
                    .blame("Service", &namespace, &service.name, Some(path));
            }
            return finding
                .advise(
                    "look whether the server listens on that port, and on all addresses rather than 127.0.0.1",
                    "a refusal is an answer: the packet got there, and nobody listens",
                )
                .shown_by(format!(
                    "kubectl get endpointslices -n {namespace} -l kubernetes.io/service-name={}",
                    service.name
                ))
                .blame("Service", &namespace, &service.name, None);
        }
        finding
            .advise(
                "look whether the server runs and listens on that port",
                "a refusal is an answer: the packet got there, and nobody listens",
            )
            .blame("Host", "", &self.attempt.host, None)
    }

    /// The port that a Service leads to, and the one that its pods say they listen on instead.
    fn wrong_target(&self, check: &Check) -> Option<(u16, String)> {
        let cluster = self.pod.case.evaluator.cluster;
        let endpoint = check.endpoints.iter().find(|e| e.counted && e.pod.is_some())?;
        let (id, asked) = (endpoint.pod?, endpoint.port?);
        let pod = &cluster.pods[id.index()];
        let key = (cluster.namespaces[pod.namespace.index()].name.to_string(), pod.name.to_string());
        let server = self.pod.case.facts.pods.get(&key)?;
        let mut heard: Vec<String> = Vec::new();
        for container in facts::containers(server) {
            let log = self.pod.case.logs.of(&key, &container.spec.name);
            for port in log.and_then(|l| l.current.as_deref()).map(listening).unwrap_or_default() {
                if port == i64::from(asked) {
                    return None;
                }
                heard.push(port.to_string());
            }
        }
        let declared: Vec<u16> = pod.ports.iter().filter(|p| p.protocol == check.protocol).map(|p| p.number).collect();
        if declared.contains(&asked) {
            return None;
        }
        if !declared.is_empty() {
            let all: Vec<String> = declared.iter().map(u16::to_string).collect();
            return Some((asked, all.join(", ")));
        }
        (!heard.is_empty()).then(|| (asked, heard.join(", ")))
    }

    /// Nothing came back, and no policy is at fault.
    pub(super) fn silent(&self, check: Check) -> Finding {
        if let Some(behind) = self.behind(&check) {
            return behind;
        }
        let target = self.target().text();
        let score = self.attempt.strength + 2;
        let inside = self.resolved.service().is_some() || self.resolved.pod().is_some();
        if inside {
            return self
                .finding(Cause::SlowDependency, score, format!("{target} doesn't answer in time, though policies allow it and its endpoints are ready"), Some(check))
                .advise(
                    "look at the server's load and log; raise the client's time-out; if only the first seconds of a new pod fail, its network plugin programs policies late: retry at start",
                    "a way that policies leave open and that times out ends at a server that is too busy, or at a plugin that lags",
                );
        }
        self.finding(
            Cause::DependencyDown,
            score,
            format!("nothing answers at {target}; no policy keeps the pod from it"),
            Some(check),
        )
        .advise(
            "check the address, the route to it, and firewalls outside the cluster",
            "no policy in the cluster selects this connection: what drops it lies outside",
        )
        .blame("Host", "", &self.attempt.host, None)
    }

    pub(super) fn tls(&self, check: Check) -> Finding {
        self.finding(Cause::Tls, self.attempt.strength + 3, format!("TLS with {} fails, after the connection was made", self.target().text()), Some(check)).advise(
            "compare the server's certificate (names, issuer, dates) with what the client trusts and expects; check that both ends speak TLS at all",
            "a handshake needs a connection: policies let it through",
        )
    }

    pub(super) fn no_name(&self, near: &[String]) -> Finding {
        let host = &self.attempt.host;
        let meant = match near {
            [] => String::new(),
            _ => format!("; did you mean {}?", near.join(" or ")),
        };
        let declared = depend::declared(self.pod, self.run).into_iter().find(|c| c.host.eq_ignore_ascii_case(host));
        let proof = declared.map(|c| Proof::new(ProofKind::Spec, c.source, &self.target().text()));
        self.finding(Cause::NameNotFound, self.attempt.strength + 4, format!("container {} asks for {host}, and there is no such name{meant}", self.run.name()), None)
            .proven(proof)
            .advise(
                format!("correct the name{meant}"),
                "the name servers were reached and said no: policies let DNS through. A Service is SERVICE in its own namespace, SERVICE.NAMESPACE from others",
            )
            .shown_by("kubectl get services -A")
    }

    /// Policies let DNS through, and it still doesn't answer.
    pub(super) fn dns_down(&self) -> Finding {
        let cluster = self.pod.case.evaluator.cluster;
        let down: Vec<String> = cluster
            .dns_services()
            .iter()
            .flat_map(|id| {
                let service = &cluster.services[id.index()];
                service.ports.first().map(|port| cluster.backends(*id, port)).unwrap_or_default()
            })
            .filter(|b| !b.ready)
            .filter_map(|b| b.pod.map(|p| cluster.pod_name(p)))
            .collect();
        let (score, what) = match down.is_empty() {
            true => (2, "policies allow it, and the DNS pods are ready".to_owned()),
            false => (4, format!("{} is not ready", down.join(", "))),
        };
        self.finding(
            Cause::DnsDown,
            self.attempt.strength + score - 1,
            format!("container {} gets no answer from DNS for {}: {what}", self.run.name(), self.attempt.host),
            None,
        )
        .advise(
            "look at the DNS pods' log and load, and at what they forward names outside the cluster to",
            "the pod may ask; whoever doesn't answer stands behind it",
        )
        .shown_by("kubectl -n kube-system logs -l k8s-app=kube-dns")
    }

    /// The pod dials itself: another of its containers.
    pub(super) fn own(&self) -> Option<Finding> {
        if self.attempt.error.is_none() || !matches!(self.attempt.class, LogClass::Refused | LogClass::Timeout) {
            return None;
        }
        let port = self.port.map_or_else(String::new, |p| format!(":{p}"));
        Some(
            self.finding(Cause::DependencyDown, 3, format!("container {} dials its own pod at {}{port}, where nothing listens", self.run.name(), self.attempt.host), None).advise(
                "give it the address of the server it needs, or look at the sidecar that should listen there (it may start later: make it a native sidecar)",
                "localhost in a pod is the pod: no policy and no Service is between",
            ),
        )
    }
}
