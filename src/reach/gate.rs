//! Who can't come in, whatever the port: a quick answer for the many clients that no rule mentions.
//!
//! A server comes in; for each client a yes goes out where the evaluator would deny every flow from it because nothing
//! allowed it. A no says nothing: then the evaluator has to be asked.

use super::eval::{Endpoint, EndpointKind, Evaluator, Flow};
use super::matching::{self, Selected, Tri, View};
use crate::model::{PodId, Protocol};
use crate::policy::Choices;
use crate::policy::rule::{Direction, NoMatch, Rule};

/// The ingress rules of a server that is closed to whom none of them matches.
#[derive(Debug)]
pub struct Gate<'e> {
    evaluator: &'e Evaluator<'e>,
    server: Endpoint,
    subject: PodId,
    /// For each choice of the profile, the rules of all stages up to the one that denies.
    rules: Vec<(&'e Choices, Vec<&'e Rule>)>,
}

impl<'e> Evaluator<'e> {
    /// The gate before a server; none where it isn't sure that what no rule matches is denied.
    pub fn gate(&'e self, server: &Endpoint) -> Option<Gate<'e>> {
        let subject = server.as_pod()?;
        // Any of them may allow anything.
        if !self.policies.unsupported.is_empty() || self.compositions().is_empty() {
            return None;
        }
        let namespace = self.cluster.pods[subject.index()].namespace;
        let mut all = Vec::new();
        for composition in self.compositions() {
            let mut rules = Vec::new();
            let mut closed = false;
            for stage in composition.stages(Direction::Ingress) {
                for policy in stage.policies.iter().filter(|p| p.namespace.is_none_or(|n| n == namespace)) {
                    let selects = matching::expr(self.cluster, &Selected::Pod(subject), &policy.subject);
                    if selects != Tri::No {
                        rules.extend(&policy.rules);
                    }
                    closed |= stage.no_match == NoMatch::Deny
                        && stage.skip_if_selected.is_none()
                        && policy.isolates
                        && selects == Tri::Yes;
                }
                if closed {
                    break;
                }
            }
            if !closed {
                return None;
            }
            all.push((&composition.choices, rules));
        }
        Some(Gate { evaluator: self, server: *server, subject, rules: all })
    }
}

impl Gate<'_> {
    /// The server.
    pub fn server(&self) -> &Endpoint {
        &self.server
    }

    /// Whether every flow from this client is denied, as no rule matches it under any choice.
    pub fn shuts_out(&self, client: &Endpoint) -> bool {
        // Nodes have exemptions of their own, and a pod reaches itself.
        match client.kind {
            EndpointKind::Pod(pod) if pod != self.subject => {}
            EndpointKind::Outside => {}
            _ => return false,
        }
        let flow = Flow {
            client: *client,
            server: self.server,
            protocol: Protocol::Tcp,
            port: 1,
            name: None,
            via_service: false,
        };
        self.rules.iter().all(|(choices, rules)| {
            let view = View { cluster: self.evaluator.cluster, choices, flow: &flow, subject: self.subject };
            rules.iter().all(|rule| view.excludes(&rule.source, client))
        })
    }
}
