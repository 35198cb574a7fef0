//! Every rule that a correct evaluator must get right, as manifests with their verdicts: `fixtures/semantics` holds the
//! numbered list (its README says how a fixture is written), `fixtures/articles` wrong examples that are widely read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use netcheck::model::query::{Client, ClientSpec, Target, TargetSpec};
use netcheck::model::{BuildOptions, Cluster};
use netcheck::policy::{Policies, Profile};
use netcheck::reach::check::combine;
use netcheck::reach::eval::Reason;
use netcheck::reach::{Check, CheckOptions, Endpoint, Evaluator, Leg, Outcome, Source, Verdict};
use netcheck::source::{LoadError, Options, Severity, load_text};

const SEMANTICS: &str = "fixtures/semantics";
/// The numbered rules.
const RULES: std::ops::RangeInclusive<u32> = 1..=67;

/// What a fixture's header says.
#[derive(Default)]
struct Header {
    source: bool,
    rule: bool,
    no_dns: bool,
    /// Profile, client, target, answer.
    checks: Vec<(String, String, String, String)>,
    /// Profile, client, target, ports.
    ports: Vec<(String, String, String, String)>,
    /// Message and place.
    refusals: Vec<(String, String)>,
}

/// The directives of the comment a fixture begins with. An unknown one is an error: it would check nothing.
fn header(text: &str) -> Result<Header, String> {
    let mut out = Header::default();
    for line in text.lines().take_while(|l| l.starts_with('#')) {
        let line = line.trim_start_matches('#');
        // A directive goes on in lines that are indented further.
        if line.trim().is_empty() || line.starts_with("   ") {
            continue;
        }
        let (key, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
        let value = value.trim();
        let mut words = key.splitn(2, ' ');
        let (key, profiles) = (words.next().unwrap_or_default(), words.next().unwrap_or("generic"));
        let profiles = profiles.split(',').map(|p| p.trim().to_owned());
        match key {
            "source" => out.source = !value.is_empty(),
            "rule" => out.rule = !value.is_empty(),
            "no-dns" => out.no_dns = true,
            "expect" | "ports" => {
                let (question, answer) = value.split_once(" => ").ok_or(format!("no ` => ` in `{value}`"))?;
                let (client, target) = question.trim().split_once(' ').ok_or(format!("no target in `{value}`"))?;
                let into = if key == "expect" { &mut out.checks } else { &mut out.ports };
                for profile in profiles {
                    into.push((profile, client.into(), target.trim().into(), answer.trim().into()));
                }
            }
            "refuse" => {
                let (message, place) = value.rsplit_once(" @ ").ok_or(format!("no ` @ ` in `{value}`"))?;
                out.refusals.push((message.trim().to_owned(), place.trim().to_owned()));
            }
            _ => return Err(format!("unknown directive `{}`", line.trim())),
        }
    }
    match (&out.source, &out.rule) {
        (false, _) => Err("the header has no `# source:`".to_owned()),
        (_, false) => Err("the header has no `# rule:`".to_owned()),
        _ if out.checks.is_empty() && out.ports.is_empty() && out.refusals.is_empty() => {
            Err("the header expects nothing".to_owned())
        }
        _ => Ok(out),
    }
}

fn run(path: &Path) -> Result<(), Failed> {
    let text = std::fs::read_to_string(path.join("manifests.yaml"))?;
    let header = header(&text)?;
    let input = load_text("manifests.yaml", &text, &Options::default());
    let mut wrong = Vec::new();
    let input = match input {
        Err(error) => {
            refusals(&header, &error, &mut wrong);
            if !header.checks.is_empty() || !header.ports.is_empty() {
                wrong.push("the manifests are refused, so nothing can be asked".to_owned());
            }
            return done(wrong);
        }
        Ok(_) if !header.refusals.is_empty() => return Err("the manifests are not refused".into()),
        Ok(input) => input,
    };
    wrong.extend(input.warnings.iter().map(|w| format!("warning: {}", w.message)));
    let cluster = Cluster::build(input.objects, &BuildOptions::default()).map_err(|e| format!("{e:?}"))?;
    let policies = Policies::lower(&cluster);
    for (profile, client, target, expected) in &header.checks {
        let found = check(&cluster, &policies, profile, client, target, header.no_dns)?;
        if !found.agrees(expected) {
            wrong.push(format!("[{profile}] {client} {target}: {}, expected {expected}", found.text()));
        }
    }
    for (profile, client, target, expected) in &header.ports {
        let found = connections(&cluster, &policies, profile, client, target)?;
        if found != *expected {
            wrong.push(format!("[{profile}] ports of {client} {target}: {found}, expected {expected}"));
        }
    }
    done(wrong)
}

fn done(wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Every refusal is expected, and every expected one was made.
fn refusals(header: &Header, error: &LoadError, wrong: &mut Vec<String>) {
    let mut left: Vec<&(String, String)> = header.refusals.iter().collect();
    for diagnostic in error.diagnostics.iter().filter(|d| d.severity == Severity::Error) {
        let span = diagnostic.labels.iter().find(|l| l.primary).and_then(|l| error.sources.span(&l.place));
        let place = span.map_or_else(|| "nowhere".to_owned(), |s| format!("{}:{}", s.line, s.column));
        match left.iter().position(|(message, at)| diagnostic.message.contains(message.as_str()) && *at == place) {
            Some(at) => drop(left.remove(at)),
            None => wrong.push(format!("refused: {} @ {place}", diagnostic.message)),
        }
    }
    wrong.extend(left.iter().map(|(message, at)| format!("not refused: {message} @ {at}")));
}

/// An answer, with what an expectation may say of it.
struct Answer {
    verdict: Verdict,
    obstacles: BTreeSet<String>,
    policies: BTreeSet<String>,
}

impl Answer {
    /// `VERDICT`, `VERDICT (Obstacle)` or `VERDICT by POLICY, POLICY`.
    fn agrees(&self, expected: &str) -> bool {
        if let Some((verdict, policies)) = expected.split_once(" by ") {
            let policies: BTreeSet<String> = policies.split(',').map(|p| p.trim().to_owned()).collect();
            return verdict == self.verdict.name() && policies == self.policies;
        }
        if let Some((verdict, obstacle)) = expected.strip_suffix(')').and_then(|e| e.split_once(" (")) {
            return verdict == self.verdict.name() && self.obstacles.contains(obstacle);
        }
        expected == self.verdict.name()
    }

    fn text(&self) -> String {
        let join = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut out = self.verdict.name().to_owned();
        if !self.obstacles.is_empty() {
            out.push_str(&format!(" ({})", join(&self.obstacles)));
        }
        if !self.policies.is_empty() {
            out.push_str(&format!(" by {}", join(&self.policies)));
        }
        out
    }
}

fn check(
    cluster: &Cluster,
    policies: &Policies,
    profile: &str,
    client: &str,
    target: &str,
    no_dns: bool,
) -> Result<Answer, Failed> {
    let profile: Profile = profile.parse()?;
    let evaluator = Evaluator::new(cluster, policies, &profile);
    let client = cluster.resolve_client(&client.parse::<ClientSpec>()?, "default")?.what;
    let spec: TargetSpec = target.parse()?;
    let target = cluster.resolve_target(&spec, "default")?.what;
    let port = spec.port.clone().ok_or("an expectation needs a port")?;
    let options = CheckOptions { dns: !no_dns };
    let checks: Vec<Check> = Source::of(&client)
        .into_iter()
        .map(|source| evaluator.check(source, &target, &port, spec.protocol, options))
        .collect();
    let mut out = Answer {
        verdict: combine(checks.iter().map(|c| c.verdict)).ok_or("no client")?,
        obstacles: BTreeSet::new(),
        policies: BTreeSet::new(),
    };
    for check in &checks {
        let name = |o: &netcheck::reach::Obstacle| format!("{o:?}").split(['(', ' ']).next().unwrap_or("").to_owned();
        out.obstacles
            .extend(check.obstacle.iter().chain(check.endpoints.iter().filter_map(|e| e.obstacle.as_ref())).map(name));
        let dns = check.dns.iter().filter(|d| d.verdict == Verdict::Blocked).flat_map(|d| &d.endpoints);
        for decision in check.endpoints.iter().chain(dns).filter_map(|e| e.decision.as_ref()) {
            for leg in decision.legs() {
                out.policies.extend(responsible(policies, leg));
            }
        }
    }
    Ok(out)
}

/// The policies that deny, or on which it depends.
fn responsible(policies: &Policies, leg: &Leg) -> Vec<String> {
    let name = |id: &netcheck::policy::PolicyId| policies.info(*id).reference();
    match leg.outcome {
        Outcome::Allowed => Vec::new(),
        Outcome::Denied => match leg.decided_by() {
            Some(rule) => vec![name(&rule.policy)],
            None => leg.isolated_by().iter().map(name).collect(),
        },
        Outcome::Unknown => leg
            .reasons
            .iter()
            .flat_map(|reason| match reason {
                Reason::EqualPriority(ids) => ids.iter().map(name).collect(),
                Reason::Unsupported(at) => {
                    vec![format!("{}/{}", policies.unsupported[*at].kind, policies.unsupported[*at].name)]
                }
                _ => Vec::new(),
            })
            .collect(),
    }
}

/// A question without a port: every port of one pod that another may connect to.
fn connections(
    cluster: &Cluster,
    policies: &Policies,
    profile: &str,
    client: &str,
    target: &str,
) -> Result<String, Failed> {
    let profile: Profile = profile.parse()?;
    let evaluator = Evaluator::new(cluster, policies, &profile);
    let end = |pods: &[netcheck::model::PodId]| match pods {
        [pod] => Ok(Endpoint::pod(cluster, *pod, false)),
        _ => Err("`ports` needs one pod at each end"),
    };
    let client = match cluster.resolve_client(&client.parse::<ClientSpec>()?, "default")?.what {
        Client::Pods(pods) => end(&pods)?,
        Client::Address(ip) => Endpoint::address(cluster, ip),
        _ => return Err("`ports` needs a pod or an address".into()),
    };
    let server = match cluster.resolve_target(&target.parse::<TargetSpec>()?, "default")?.what {
        Target::Pods(pods) => end(&pods)?,
        Target::Address(ip) => Endpoint::address(cluster, ip),
        _ => return Err("`ports` needs a pod or an address".into()),
    };
    Ok(evaluator.connections(&client, &server).to_string())
}

fn folders(path: &str) -> Vec<PathBuf> {
    let mut out: Vec<PathBuf> = std::fs::read_dir(path)
        .unwrap_or_else(|e| panic!("{path}: {e}"))
        .map(|e| e.unwrap_or_else(|e| panic!("{path}: {e}")).path())
        .filter(|p| p.is_dir())
        .collect();
    out.sort();
    out
}

/// The number a folder's or a list item's name begins with.
fn number(name: &str) -> Option<u32> {
    name.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Every numbered rule has a fixture, or a reason in the README (`- NN: why`); none has both, none a number out of range.
fn complete() -> Result<(), Failed> {
    let readme = std::fs::read_to_string(format!("{SEMANTICS}/README.md"))?;
    let mut places: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
    for line in readme.lines().filter_map(|l| l.strip_prefix("- ")) {
        if let Some(number) = number(line) {
            places.entry(number).or_default().insert("the README");
        }
    }
    for folder in folders(SEMANTICS) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = number(&name).ok_or(format!("{name} has no number"))?;
        places.entry(number).or_default().insert("a fixture");
    }
    let mut wrong: Vec<String> =
        RULES.filter(|n| !places.contains_key(n)).map(|n| format!("{n} has neither a fixture nor a reason")).collect();
    wrong.extend(places.iter().filter(|(_, p)| p.len() > 1).map(|(n, _)| format!("{n} has a fixture and a reason")));
    wrong.extend(places.keys().filter(|n| !RULES.contains(n)).map(|n| format!("{n} is not a rule")));
    done(wrong)
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("semantics: every rule has a fixture or a reason", complete)];
    for root in [SEMANTICS, "fixtures/articles"] {
        for folder in folders(root) {
            let name = folder.strip_prefix("fixtures").unwrap_or(&folder).display().to_string();
            trials.push(Trial::test(name, move || run(&folder)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
