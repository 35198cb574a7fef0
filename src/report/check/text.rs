//! A check for people: the way as a table, the verdict in one line, then why.

use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Modify, Padding, Style};

use super::build::{Asked, Facts};
use super::words::{obstacle, unknown};
use crate::model::query::{Client, Target};
use crate::model::{Cluster, PodId};
use crate::reach::eval::{Exempt, StepResult};
use crate::reach::{EndpointCheck, Leg, Obstacle, Outcome, Verdict};
use crate::report::snippet;
use crate::report::text::{Paint, safe, wrapped};

/// How an answer is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Drawing {
    /// Colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Columns at which sentences are broken; none where nobody looks at a terminal.
    pub wrap: Option<usize>,
    /// Every endpoint and every policy that was asked.
    pub wide: bool,
    /// The fix alone.
    pub fix_only: bool,
}

/// Draws one answer.
pub fn render(facts: Facts<'_>, asked: &Asked, drawing: Drawing) -> String {
    let paint = Paint(drawing.color);
    let mut out = String::new();
    let check = &asked.check;
    if !drawing.fix_only {
        out.push_str(&table(facts, asked, drawing));
        let verdict = summary(facts.cluster, asked);
        let (word, rest) = verdict.split_once(':').unwrap_or((&verdict, ""));
        let word = match check.verdict {
            Verdict::Reachable => paint.green(word),
            Verdict::Blocked | Verdict::Unreachable => paint.red(word),
            Verdict::Partial | Verdict::Unknown => paint.yellow(word),
        };
        let colon = if rest.is_empty() { "" } else { ":" };
        out.push_str(&wrapped(&format!("{word}{colon}{}\n", safe(rest)), drawing.wrap));
        for (protocol, allowed, unknown) in asked.connections.iter().flatten() {
            let allowed = if allowed.is_empty() { "none" } else { allowed };
            let unknown = if unknown.is_empty() { String::new() } else { format!(" (can't tell: {unknown})") };
            let _ = writeln!(out, "  {protocol}: {allowed}{unknown}");
        }
        for reason in unknown(facts, check) {
            let line = format!("  {} {}\n", paint.yellow("?"), safe(&reason));
            out.push_str(&wrapped(&line, drawing.wrap));
        }
        if check.verdict == Verdict::Unknown && unknown(facts, check).iter().any(|u| u.starts_with("network plugins")) {
            let _ = writeln!(out, "  {}: name the cluster's plugin with --cni", paint.cyan("help"));
        }
        for note in notes(facts, asked) {
            let line = format!("  {}: {}\n", paint.bold("note"), safe(&note));
            out.push_str(&wrapped(&line, drawing.wrap));
        }
        if let Some(probe) = &asked.live {
            out.push_str(&super::live::text(probe, check.verdict, drawing, paint));
        }
        for diagnostic in &asked.diagnostics {
            out.push('\n');
            out.push_str(&snippet::fitted(diagnostic, facts.sources, drawing.color, drawing.width, drawing.wrap));
        }
    }
    let fix = super::fix::text(facts, &asked.proposal, drawing.wide, paint, drawing.wrap);
    if !fix.is_empty() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&fix);
    }
    out
}

/// The verdict in one sentence, its first word the verdict.
pub(super) fn summary(cluster: &Cluster, asked: &Asked) -> String {
    let check = &asked.check;
    let client = client_name(cluster, asked);
    let target = target_name(cluster, asked);
    if asked.connections.is_some() {
        return match check.verdict {
            Verdict::Reachable => format!("reachable: {client} reaches {target} on"),
            Verdict::Partial => {
                format!("partial: {client} reaches {target} on some ports, or some of its endpoints, on")
            }
            Verdict::Unknown => format!("unknown: whether {client} reaches {target} can't be told for every port"),
            verdict => format!("{}: {client} reaches {target} on no port", verdict.name()),
        };
    }
    match check.verdict {
        Verdict::Reachable => format!("reachable: {client} can connect to {target}"),
        Verdict::Blocked => {
            let dns = check.dns.as_ref().is_some_and(|d| d.verdict == Verdict::Blocked);
            let open = !check.endpoints.iter().any(|e| e.counted && e.verdict == Verdict::Blocked);
            match (dns, open) {
                (true, true) => {
                    format!("blocked: {client} can't resolve the name of {target}: policies stop its DNS queries")
                }
                (true, false) => format!(
                    "blocked: policies stop {client} from resolving the name of {target} and from connecting to it"
                ),
                (false, _) => format!("blocked: policies stop {client} from connecting to {target}"),
            }
        }
        Verdict::Partial => {
            let counted: Vec<&EndpointCheck> = check.endpoints.iter().filter(|e| e.counted).collect();
            let open = counted.iter().filter(|e| e.verdict == Verdict::Reachable).count();
            if open == counted.len() {
                format!(
                    "partial: {client} can connect to {target}, but some DNS servers are blocked: names fail now and then"
                )
            } else {
                format!(
                    "partial: {client} can connect to {open} of {} endpoints of {target}: connections fail now and then",
                    counted.len()
                )
            }
        }
        Verdict::Unreachable => {
            match check.obstacle.as_ref().or_else(|| check.endpoints.iter().find_map(|e| e.obstacle.as_ref())) {
                Some(found) => format!("unreachable: {}", obstacle(cluster, asked, found).message),
                None => format!("unreachable: {client} can't connect to {target}, and no policy is at fault"),
            }
        }
        Verdict::Unknown => format!("unknown: whether {client} can connect to {target} can't be told"),
    }
}

fn client_name(cluster: &Cluster, asked: &Asked) -> String {
    match &asked.client {
        Client::Pods(_) => pods_name(cluster, &asked.pods),
        Client::Node(node) => format!("node {}", cluster.nodes[node.index()].name),
        Client::Address(ip) => ip.to_string(),
        Client::Internet => "the internet".to_owned(),
    }
}

fn pods_name(cluster: &Cluster, pods: &[PodId]) -> String {
    let Some(first) = pods.first().map(|p| &cluster.pods[p.index()]) else { return "nothing".to_owned() };
    let namespace = &cluster.namespaces[first.namespace.index()].name;
    match (&first.workload, pods.len()) {
        (_, 1) => format!("{namespace}/{}", first.name),
        (Some(workload), n) => format!("{namespace}/{} ({n} pods)", workload.name),
        (None, n) => format!("{namespace}/{} and {} more", first.name, n - 1),
    }
}

fn target_name(cluster: &Cluster, asked: &Asked) -> String {
    let port = match &asked.port {
        Some(port) => format!(":{port}/{}", asked.check.protocol),
        None => String::new(),
    };
    let host = match &asked.target {
        Target::Service(id) => cluster.service_name(*id),
        Target::ServiceAddress(id, ip) => format!("{} ({ip})", cluster.service_name(*id)),
        Target::NodePort(id, node) => {
            format!("{} through node {}", cluster.service_name(*id), cluster.nodes[node.index()].name)
        }
        Target::Pods(pods) => pods_name(cluster, pods),
        Target::PodByName(pod) => cluster.pod_name(*pod),
        Target::Node(node) => format!("node {}", cluster.nodes[node.index()].name),
        Target::Address(ip) if ip.is_ipv6() => format!("[{ip}]"),
        Target::Address(ip) => ip.to_string(),
        Target::Name(name) => name.to_string(),
    };
    format!("{host}{port}")
}

/// Endpoints that are drawn before the others are counted.
const MOST_ROWS: usize = 12;

fn table(facts: Facts<'_>, asked: &Asked, drawing: Drawing) -> String {
    let paint = Paint(drawing.color);
    let check = &asked.check;
    let mut builder = Builder::default();
    let heads = ["HOP", "TO", "READY", "EGRESS", "INGRESS", "VERDICT"];
    builder.push_record(heads.map(|h| paint.dim(h)));
    let mut rows = 0;
    if let Some(dns) = &check.dns {
        let open = dns.verdict == Verdict::Reachable && !drawing.wide;
        for (index, endpoint) in dns.endpoints.iter().enumerate() {
            if index > 0 && open {
                break;
            }
            let more = if open && dns.endpoints.len() > 1 {
                format!(" (+{})", dns.endpoints.len() - 1)
            } else {
                String::new()
            };
            builder.push_record(row(facts, "dns", endpoint, "UDP", &more, dns.assumed, paint));
            rows += 1;
        }
    }
    let mut hidden = 0;
    for (index, endpoint) in check.endpoints.iter().enumerate() {
        if index >= MOST_ROWS && !drawing.wide {
            hidden += 1;
            continue;
        }
        let hop = if check.service.is_some() { "endpoint" } else { "target" };
        builder.push_record(row(facts, hop, endpoint, &check.protocol.to_string(), "", false, paint));
        rows += 1;
    }
    let mut out = String::new();
    if rows > 0 {
        let mut table = builder.build();
        table.with(Style::empty()).with(Modify::new(Columns::new(..)).with(Padding::new(0, 2, 0, 0)));
        for line in table.to_string().lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        if hidden > 0 {
            let _ = writeln!(out, "… {hidden} more endpoints, with -o wide");
        }
        out.push('\n');
    }
    if drawing.wide {
        out.push_str(&stages(facts, asked));
    }
    out
}

fn row(
    facts: Facts<'_>,
    hop: &str,
    endpoint: &EndpointCheck,
    protocol: &str,
    more: &str,
    assumed: bool,
    paint: Paint,
) -> [String; 6] {
    let name = match (endpoint.pod, endpoint.server.ip) {
        (Some(pod), Some(ip)) => format!("{} ({ip})", facts.cluster.pod_name(pod)),
        (Some(pod), None) => facts.cluster.pod_name(pod),
        (None, Some(ip)) => ip.to_string(),
        (None, None) => "outside".to_owned(),
    };
    let port = match endpoint.port {
        Some(port) => format!(" port {port}/{protocol}"),
        None => String::new(),
    };
    let ready = match (endpoint.terminating, endpoint.ready, assumed) {
        (_, _, true) => "assumed",
        (true, ..) => "terminating",
        (_, true, _) => "yes",
        (_, false, _) => "no",
    };
    let (egress, ingress) = match &endpoint.decision {
        Some(decision) => (leg_word(&decision.egress, paint), leg_word(&decision.ingress, paint)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let verdict = match (endpoint.counted, endpoint.verdict) {
        (false, _) => paint.dim("not used"),
        (_, Verdict::Reachable) => paint.green("reachable"),
        (_, Verdict::Partial | Verdict::Unknown) => paint.yellow(endpoint.verdict.name()),
        (_, verdict) => paint.red(verdict.name()),
    };
    [hop.to_owned(), format!("{}{port}{more}", safe(&name)), ready.to_owned(), egress, ingress, verdict]
}

fn leg_word(leg: &Leg, paint: Paint) -> String {
    match (leg.exempt, leg.outcome) {
        (Some(Exempt::NotAPod), _) => "-".to_owned(),
        (_, Outcome::Allowed) => "allowed".to_owned(),
        (_, Outcome::Denied) => paint.red("denied"),
        (_, Outcome::Unknown) => paint.yellow("unknown"),
    }
}

/// Every stage that was asked, for `-o wide`.
fn stages(facts: Facts<'_>, asked: &Asked) -> String {
    let mut out = String::new();
    let mut seen = Vec::new();
    for decision in asked.check.endpoints.iter().filter_map(|e| e.decision.as_ref()) {
        for leg in decision.legs() {
            let Some(subject) = leg.subject else { continue };
            let text = leg_stages(facts, leg, subject);
            if !seen.contains(&text) {
                out.push_str(&text);
                seen.push(text);
            }
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn leg_stages(facts: Facts<'_>, leg: &Leg, subject: PodId) -> String {
    let mut out = format!("{} of {}\n", leg.direction.name(), facts.cluster.pod_name(subject));
    match leg.exempt {
        Some(Exempt::Itself) => out.push_str("  a pod always reaches its own address\n"),
        Some(Exempt::OwnNode) => out.push_str("  traffic between a pod and its own node is always allowed\n"),
        _ if leg.steps.is_empty() => out.push_str("  no policy selects it: allowed\n"),
        _ => {}
    }
    for step in &leg.steps {
        let names = |ids: &[crate::policy::PolicyId]| {
            ids.iter().map(|p| facts.policies.info(*p).reference()).collect::<Vec<_>>().join(", ")
        };
        let by = |rule: &crate::policy::rule::RuleRef| {
            let info = facts.policies.info(rule.policy);
            let path = crate::policy::rule::field_path(info.kind, rule, crate::policy::rule::RulePart::Rule);
            format!("{} {path}", info.reference())
        };
        let what = match &step.result {
            StepResult::NotSelected => "selects nothing of it".to_owned(),
            StepResult::Decided(Outcome::Denied, rule) => format!("denied by {}", by(rule)),
            StepResult::Decided(_, rule) => format!("allowed by {}", by(rule)),
            StepResult::DefaultDeny => format!("denied: isolated by {}, and no rule allows it", names(&step.selecting)),
            StepResult::Passed(rule) => format!("passed on by {}", by(rule)),
            StepResult::NoMatch => format!("no rule of {} matches", names(&step.selecting)),
            StepResult::Open(rules) => {
                format!("can't be told: {}", rules.iter().map(by).collect::<Vec<_>>().join(", "))
            }
            StepResult::Skipped => "not consulted: a NetworkPolicy isolates the pod in the other direction".to_owned(),
        };
        let _ = writeln!(out, "  {:<14} {}", format!("{}:", step.tier), safe(&what));
    }
    for tier in &leg.not_reached {
        let _ = writeln!(out, "  {:<14} not reached", format!("{tier}:"));
    }
    out
}

fn notes(facts: Facts<'_>, asked: &Asked) -> Vec<String> {
    let check = &asked.check;
    let mut out = asked.notes.clone();
    if let Some(dns) = &check.dns {
        if dns.assumed {
            out.push(
                "the objects don't include the cluster's DNS: taken to be k8s-app=kube-dns in kube-system, on port 53"
                    .to_owned(),
            );
        }
        if dns.verdict == Verdict::Reachable && dns.tcp == Verdict::Blocked {
            out.push("DNS over TCP is blocked: answers too long for UDP are lost".to_owned());
        }
    }
    let without_address = check.endpoints.iter().any(|e| {
        e.decision.as_ref().is_some_and(|d| d.legs().iter().any(|l| l.by_labels_only && l.outcome != Outcome::Allowed))
    });
    let blocks = facts.cluster.network_policies.iter().any(|p| {
        let spec = &p.object.spec;
        let peers = spec.ingress.iter().flat_map(|r| &r.from).chain(spec.egress.iter().flat_map(|r| &r.to));
        peers.into_iter().any(|p| p.ip_block.is_some())
    });
    if without_address && blocks {
        out.push(
            "a pod has no address yet: it was judged by its labels, and ipBlock rules were taken not to match it"
                .to_owned(),
        );
    }
    let mut local: Vec<String> = Vec::new();
    for endpoint in &check.endpoints {
        if endpoint.obstacle == Some(Obstacle::NoCommonFamily) {
            local.push("an endpoint of an IP family that the client lacks was left out".to_owned());
        }
        if let Some(pod) = endpoint.pod
            && facts.cluster.pods[pod.index()].host_network
            && endpoint.verdict == Verdict::Reachable
        {
            local.push(format!(
                "{} is on its node's network: NetworkPolicy usually doesn't apply to it",
                facts.cluster.pod_name(pod)
            ));
        }
    }
    if let Some(client) = check.client
        && facts.cluster.pods[client.index()].host_network
    {
        local.push(format!("{} is on its node's network: policies see it as its node", facts.cluster.pod_name(client)));
    }
    local.sort();
    local.dedup();
    out.extend(local);
    out
}
