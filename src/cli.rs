//! What was typed: flags and arguments, with their help. What they mean is worked out by `commands`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Effects, Styles};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  netcheck -f examples/shop checkout database:5432    is it reachable, and if not, which line says so
  netcheck -f . shop/frontend cart.shop:http          names as an app would dial them
  netcheck -f . deploy/web 10.0.0.1:443 -o json       a workload's pods to an address, for machines

Exit codes: 0 reachable, 1 not reachable, 2 usage or input error, 3 can't tell.
`netcheck help check` says all about CLIENT and TARGET.";

const CHECK_AFTER_LONG_HELP: &str = "\
CLIENT is who connects:
  frontend, shop/frontend, deploy/web, shop/deploy/web    a pod or a workload, [NAMESPACE/][KIND/]NAME
  ip:10.1.2.3, internet, node/NAME                        an address, anywhere outside, a node

TARGET is what is connected to, [NAMESPACE/][KIND/]NAME:PORT[/PROTOCOL]:
  cart:8080, shop/cart:http, shop/pod/db-0:5432, deploy/api:53/udp
  cart.shop:8080, cart.shop.svc.cluster.local:8080, example.com:443    a name as an app would dial it
  10.0.0.1:443, [fd00::1]:443                                          an address
A bare name is a Service first, then a pod, then a workload. PORT is a number or a name; PROTOCOL is tcp unless said.

Examples:
  netcheck -f examples/shop checkout database:5432
  netcheck -f examples/shop frontend cart:8080 redis:6379         several targets
  netcheck -f examples/shop checkout database --all-ports         every port
  netcheck -f examples/shop checkout database:5432 --fix -o yaml  the corrected policy, to apply or to commit
  netcheck -f before.yaml --with after.yaml web api:8080          what if I applied this
  netcheck frontend cart:8080 --live                              packets beside the policies, on a cluster

Exit codes: 0 reachable, 1 blocked, partial or unreachable, 2 usage or input error, 3 can't tell.";

const GRAPH_AFTER_HELP: &str = "\
Examples:
  netcheck graph -f examples/shop                          who reaches whom
  netcheck graph -f examples/shop --to database -o wide    who reaches the database, and by which rules
  netcheck graph -f . -n shop,web --port 5432 -o csv       two namespaces, one port
  netcheck graph -f . -o html > graph.html                 a page to explore

-n NAMESPACE[,NAMESPACE] keeps connections with an end in one of them. Exit codes: 0 drawn, 2 usage or input error.";
const DIFF_AFTER_HELP: &str = "\
BEFORE and AFTER are directories, files, dumps, `-`, a git revision (git:main:deploy), or a cluster (cluster:, cluster:CONTEXT).
Objects of -f lie under both of them.

Examples:
  netcheck diff git:main:deploy deploy                     what this branch opens and closes
  netcheck diff git:main:deploy deploy -o markdown         the same, for a pull request
  netcheck diff before/ after/ --fail-on opened            exit 1 if anything opens
  netcheck diff -f deploy --with changed.yaml              what if I applied this
  netcheck diff -f deploy --without netpol/shop/allow-dns  what if I deleted this
  netcheck diff --with changed.yaml                        the same of the current cluster
  netcheck diff cluster: deploy                            the cluster against these manifests

Of a cluster, the namespaces are read that the change is about; all of them with -A.
Exit codes: 0, with --fail-on 1 where such a change is certain and 3 where it can't be told, 2 usage or input error.";

const AUDIT_AFTER_HELP: &str = "\
Examples:
  netcheck audit -f examples/shop
  netcheck audit -f . -n shop,web -o wide    these namespaces alone
  netcheck audit -f . --fail-on warning --baseline baseline.json    in CI: only what is new
  netcheck audit -f . --write-baseline baseline.json

Exit codes: 0 done, 1 a finding of --fail-on, 2 usage or input error. Each code has a page under docs/codes.
Accepted findings: annotation `netcheck.dev/ignore: \"NC1014: reason\"` on a policy or namespace, or netcheck.yaml.";

const WHY_AFTER_HELP: &str = "\
Examples:
  netcheck why api                                      a pod or workload of the current cluster
  netcheck why -n shop                                  every pod in trouble of a namespace; -A of all
  netcheck why deploy/api --live                        send packets to what is suspected, and settle it
  netcheck why --watch -A                               stay, and tell each new crash loop once
  netcheck why api -f dump.json --logs logs             from files; -o json for machines

A dump is what `kubectl get pods,events,services,endpointslices,networkpolicies,… -A -o json` writes, or a snapshot:
`netcheck snapshot -A --with-logs logs > dump.json`.

Exit codes: 0 nothing is wrong, 1 a cause was found, 2 usage or input error, 3 can't tell.";
const TEST_AFTER_HELP: &str = "\
Examples:
  netcheck test tests.yaml                                    the file names its objects
  helm template . | netcheck test -f - tests.yaml             objects as they would be applied
  netcheck test tests.yaml -o junit > report.xml              for CI; or sarif, tap, github, markdown, json
  netcheck test --init -f deploy > tests.yaml                 write down what is true today
  netcheck test tests.yaml --context prod                     a file without objects is about the cluster

`netcheck schema test` prints the schema of FILE for editors.
Exit codes: 0 all as expected, 1 something else, 2 usage or input error, 3 something can't be told and nothing failed.";

const LOGS_AFTER_HELP: &str = "\
Examples:
  kubectl logs --previous api | netcheck logs
  netcheck logs api.log -o json

Exit codes: 0 the log was read, 2 it can't be read. Credentials are taken out of every line.";

/// Can this client reach that port in Kubernetes, and if not, which line of which policy says so?
#[derive(Debug, Parser)]
#[command(
    name = "netcheck",
    version,
    styles = STYLES,
    override_usage = "netcheck [OPTIONS] CLIENT TARGET...\n       netcheck [OPTIONS] COMMAND ...",
    after_help = AFTER_HELP,
    disable_help_subcommand = false,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 110
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Read objects from a file, a directory or `-`, instead of a cluster; can be given several times
    #[arg(short, long = "filename", alias = "file", value_name = "PATH", global = true, help_heading = "Objects")]
    pub filename: Vec<PathBuf>,
    /// Enter the directories of -f and --with as well
    #[arg(short = 'R', long, global = true, help_heading = "Objects")]
    pub recursive: bool,
    /// Lay changed objects over the others: what if this were applied
    #[arg(long, value_name = "PATH", global = true, help_heading = "Objects")]
    pub with: Vec<PathBuf>,
    /// Take an object away: what if it were deleted
    #[arg(long, value_name = "KIND/[NAMESPACE/]NAME", global = true, help_heading = "Objects")]
    pub without: Vec<String>,
    /// With --with: policies that it lacks are gone
    #[arg(long, requires = "with", global = true, help_heading = "Objects")]
    pub prune: bool,
    /// Namespace of CLIENT and TARGET, and of manifests that name none
    #[arg(short, long, value_name = "NAMESPACE", global = true, help_heading = "Objects")]
    pub namespace: Option<String>,
    /// All namespaces, for commands that read more than one question needs
    #[arg(short = 'A', long, global = true, conflicts_with = "namespace", help_heading = "Objects")]
    pub all_namespaces: bool,
    /// Leave out objects that the API server would refuse, with a warning
    #[arg(long, global = true, help_heading = "Objects")]
    pub skip_invalid: bool,
    /// Network plugin, for what Kubernetes leaves open
    #[arg(
        long,
        value_name = "PLUGIN",
        global = true,
        env = "NETCHECK_CNI",
        help_heading = "Objects",
        value_parser = plugins(&["generic", "antrea", "aws-vpc-cni", "calico", "cilium", "kube-network-policies", "kube-router", "ovn-kubernetes"])
    )]
    pub cni: Option<String>,
    /// Which cluster to ask, where no -f is given
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// Say more: every policy that was asked, warnings about skipped kinds
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    pub verbose: u8,
    /// Say nothing but errors: the exit code answers
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true, help_heading = "Output")]
    pub color: When,
}

/// Flags about the cluster that is asked.
#[cfg(feature = "live")]
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterFlags {
    /// Context of the kubeconfig; the current one without
    #[arg(long, value_name = "NAME", global = true, help_heading = "Cluster")]
    pub context: Option<String>,
    /// The kubeconfig file; KUBECONFIG or ~/.kube/config without
    #[arg(long, value_name = "PATH", global = true, help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Ask as another user or service account: what do they see
    #[arg(long = "as", value_name = "USER", global = true, help_heading = "Cluster")]
    pub impersonate: Option<String>,
    /// Ask as a member of a group; can be given several times
    #[arg(long, value_name = "GROUP", global = true, help_heading = "Cluster")]
    pub as_group: Vec<String>,
    /// How long one request may take, such as 10s or 2m; 60s without
    #[arg(long, value_name = "TIME", value_parser = duration, global = true, help_heading = "Cluster")]
    pub request_timeout: Option<std::time::Duration>,
    /// Read the whole cluster, not only what the question needs
    #[arg(long, global = true, help_heading = "Cluster")]
    pub full: bool,
    /// Exit with 3 where a policy that can't be read could change the answer
    #[arg(long, global = true, help_heading = "Cluster")]
    pub strict: bool,
}

/// Flags about packets that are sent.
#[cfg(feature = "live")]
#[derive(Args, Clone, Debug, Default)]
pub struct ProbeFlags {
    /// Try it with packets too, from the client's own network: says what it adds to the cluster, and asks
    #[arg(long, help_heading = "Packets")]
    pub live: bool,
    /// How to get into the client's network: auto takes what needs no image first
    #[arg(long, value_name = "WAY", default_value = "auto", requires = "live", help_heading = "Packets")]
    pub via: ViaFlag,
    /// Image of the probe: netcheck's own, agnhost, busybox …, or @target for the client's own
    #[arg(long, value_name = "IMAGE", requires = "live", help_heading = "Packets")]
    pub probe_image: Option<crate::live::probe::ProbeImage>,
    /// When the node pulls it
    #[arg(long, value_name = "WHEN", default_value = "if-not-present", requires = "live", help_heading = "Packets")]
    pub probe_pull: PullFlag,
    /// Secret to pull it with, for --via copy: an ephemeral container is pulled with those of its pod
    #[arg(long, value_name = "NAME", requires = "live", help_heading = "Packets")]
    pub probe_pull_secret: Vec<String>,
    /// Don't ask before adding to the cluster
    #[arg(short, long, requires = "live", help_heading = "Packets")]
    pub yes: bool,
    /// Show what would be sent to the API server, and send nothing but a dry run
    #[arg(long, requires = "live", help_heading = "Packets")]
    pub dry_run: bool,
    /// How long the probe from one pod may take; 90s without
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "live", help_heading = "Packets")]
    pub timeout: Option<std::time::Duration>,
    /// Where packets and policies disagree, try again for so long: rules may not be programmed yet
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "live", help_heading = "Packets")]
    pub wait: Option<std::time::Duration>,
}

/// How to follow connections that failed.
#[cfg(feature = "live")]
#[derive(Args, Clone, Debug)]
pub struct CaptureFlags {
    /// Follow a connection that failed: where its packets die, by counters at both ends and the plugin's flow log; node adds captures on the nodes
    #[arg(
        long,
        value_name = "HOW",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "counters",
        requires = "live",
        help_heading = "Packets"
    )]
    pub capture: Option<CaptureFlag>,
    /// Image with tcpdump, for --capture=node
    #[arg(long, value_name = "IMAGE", default_value = "nicolaka/netshoot:v0.13", value_parser = image, requires = "capture", help_heading = "Packets")]
    pub capture_image: String,
}

#[cfg(feature = "live")]
fn image(text: &str) -> Result<String, String> {
    crate::live::probe::ProbeImage::reference(text)
}

/// With what connections are followed.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptureFlag {
    /// What the kernel counts at both ends, and the plugin's flow log: takes no privilege
    Counters,
    /// Also tcpdump in a pod on each node, with its network and NET_RAW
    Node,
}

/// Ways into a pod's network.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ViaFlag {
    /// Exec, then an ephemeral container of the client's own image, then one of the probe's
    #[default]
    Auto,
    /// A script in a container of the client, with what its image has; adds nothing
    Exec,
    /// An ephemeral container, which stays in the pod's record
    Ephemeral,
    /// A copy of the pod on its node, removed at the end
    Copy,
}

/// When an image is pulled.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PullFlag {
    /// Where the node doesn't have it
    #[default]
    IfNotPresent,
    /// In any case
    Always,
    /// Not at all
    Never,
}

/// Names of plugins. An empty one, as a variable of a workflow that isn't set becomes, is none.
fn plugins(names: &[&'static str]) -> clap::builder::PossibleValuesParser {
    use clap::builder::PossibleValue;

    let empty = std::iter::once(PossibleValue::new("").hide(true));
    clap::builder::PossibleValuesParser::new(names.iter().map(PossibleValue::new).chain(empty))
}

/// A time as kubectl takes it: a number of seconds, or with a unit; 0 is no limit.
#[cfg(feature = "live")]
fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is not a time: write it as 30s, 2m or 1h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = number * unit;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(if seconds == 0.0 {
        std::time::Duration::from_secs(86_400)
    } else {
        std::time::Duration::from_secs_f64(seconds)
    })
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Can CLIENT reach TARGET, and if not, which line of which policy says so (the default command)
    #[command(after_long_help = CHECK_AFTER_LONG_HELP, override_usage = "netcheck [check] [OPTIONS] CLIENT TARGET...")]
    Check(CheckArgs),
    /// Who can reach whom on which ports: a table, a drawing, a page to explore
    #[command(after_help = GRAPH_AFTER_HELP)]
    Graph(GraphArgs),
    /// What the policies really do: who is isolated by which, and what is probably wrong with them
    #[command(after_help = AUDIT_AFTER_HELP)]
    Audit(AuditArgs),
    /// Say which connections a change opens and closes, and by which rule
    #[command(after_help = DIFF_AFTER_HELP, override_usage = "netcheck diff [OPTIONS] BEFORE AFTER\n       netcheck diff [OPTIONS] -f PATH --with CHANGED")]
    Diff(DiffArgs),
    /// Why a pod crash-loops or hangs: the cause, network first, with what to do
    #[command(after_help = WHY_AFTER_HELP)]
    Why(WhyArgs),
    /// Hold expectations about who reaches what against the policies, for CI
    #[command(after_help = TEST_AFTER_HELP, override_usage = "netcheck test [OPTIONS] FILE...\n       netcheck test --init -f PATH")]
    Test(TestArgs),
    /// Find the connection errors in a log: what was dialled, and how it failed
    #[command(after_help = LOGS_AFTER_HELP)]
    Logs(LogsArgs),
    /// Save what checks and `why` need of a cluster, trimmed: no Secret values, no tokens
    #[command(
        after_help = "Examples:\n  netcheck snapshot -A > cluster.json              the current cluster\n  netcheck snapshot -n shop > shop.json            one namespace\n  netcheck snapshot -A --with-logs logs > all.json with what pods in trouble logged, for why\n  netcheck -f dump.json snapshot > cluster.json    a dump of kubectl, trimmed\n  netcheck -f cluster.json frontend cart:8080      answers as the cluster did"
    )]
    Snapshot(SnapshotArgs),
    /// Print the roles to ask for: what a command must be allowed to read
    #[cfg(feature = "live")]
    #[command(
        after_help = "Examples:\n  netcheck rbac                           one check, in the namespace of -n or the current one\n  netcheck rbac check -n shop --in data   in two namespaces\n  netcheck rbac snapshot -A               everywhere"
    )]
    Rbac(RbacArgs),
    /// What can follow on the command line, as kubectl asks its plugins
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far; the last one is being typed
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Print a script that completes commands and flags, for a shell
    #[command(
        after_help = "Examples:\n  source <(netcheck completion bash)\n  netcheck completion fish > ~/.config/fish/completions/netcheck.fish"
    )]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:\n  netcheck man | man -l -\n  netcheck man check | man -l -")]
    Man {
        /// A command; the whole program without
        command: Option<String>,
    },
    /// Print the JSON schema of a machine output
    #[command(after_help = "Examples:\n  netcheck schema check")]
    Schema {
        /// The output
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(["audit", "audit-baseline", "check", "diff", "graph", "graph-answer", "logs", "test", "test-report", "why"]))]
        what: String,
    },
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Who connects: [NAMESPACE/][KIND/]NAME, ip:ADDRESS, internet or node/NAME
    pub client: String,
    /// What is connected to: [NAMESPACE/][KIND/]NAME:PORT[/PROTOCOL], a DNS name or an address
    #[arg(required = true, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Ask for every port of a target without one
    #[arg(long)]
    pub all_ports: bool,
    /// Leave the DNS leg out: the client dials by address
    #[arg(long)]
    pub no_dns: bool,
    /// Show the fix alone; with -o yaml the whole corrected or new policy
    #[arg(long)]
    pub fix: bool,
    /// Try it with packets too
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Follow what fails
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub capture: CaptureFlags,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: CheckOutput,
}

/// Arguments of `rbac`.
#[cfg(feature = "live")]
#[derive(Args, Clone, Debug)]
pub struct RbacArgs {
    /// The command; `probe` is a check with --live
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(["check", "probe", "audit", "graph", "diff", "test", "why", "snapshot"]), default_value = "check")]
    pub what: String,
    /// More namespaces, besides that of -n
    #[arg(long = "in", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
}

/// Output formats of `check`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    /// For people
    #[default]
    Text,
    /// For people, with every endpoint and every policy that was asked
    Wide,
    /// For machines: CheckReport, see `netcheck schema check`
    Json,
    /// The same as YAML
    Yaml,
}

/// Arguments of `graph`.
#[derive(Args, Clone, Debug, Default)]
pub struct GraphArgs {
    /// Every pod by itself, not its workload
    #[arg(long)]
    pub pods: bool,
    /// Connections from these alone: [NAMESPACE/][KIND/]NAME, ip:ADDRESS, internet, node/NAME
    #[arg(long, value_name = "CLIENT")]
    pub from: Vec<String>,
    /// Connections to these alone: [NAMESPACE/][KIND/]NAME, an address
    #[arg(long, value_name = "TARGET")]
    pub to: Vec<String>,
    /// Connections on these ports alone: PORT[-PORT][/PROTOCOL]
    #[arg(long, value_name = "PORT")]
    pub port: Vec<String>,
    /// Only what is exposed: to the outside, to other namespaces, to any pod, to pods that don't exist yet
    #[arg(long, group = "question")]
    pub exposure: bool,
    /// How far an intruder gets from a pod: everything it reaches, and what that reaches
    #[arg(long, value_name = "POD", group = "question")]
    pub reachable_from: Option<String>,
    /// With --reachable-from: connections one after the other, at most
    #[arg(long, value_name = "NUMBER", requires = "reachable_from")]
    pub hops: Option<usize>,
    /// The shortest chains from one pod to another
    #[arg(long, num_args = 2, value_names = ["POD", "POD"], group = "question")]
    pub path: Vec<String>,
    /// Workloads that hang together
    #[arg(long, group = "question")]
    pub components: bool,
    /// The workloads whose isolation would cut off most pairs of others
    #[arg(long, value_name = "NUMBER", group = "question")]
    pub cuts: Option<usize>,
    /// Lines of a table, at most; 0 for all of them [default: as many as can be read]
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
    /// Output format; questions are answered as table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: GraphOutput,
}

/// Output formats of `graph`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GraphOutput {
    /// For people: each pair, or counts by namespace where there are many
    #[default]
    Table,
    /// The same with the rules that decide
    Wide,
    /// A line for each pair, state and protocol
    Csv,
    /// For machines: GraphReport, see `netcheck schema graph`
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// A picture
    Svg,
    /// One page to explore in a browser, without a network
    Html,
}

/// Arguments of `audit`.
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Exit 1 where a finding is as grave as `error`, `warning` or `note`, or has this code; several by commas
    #[arg(long, value_name = "SEVERITY|CODE", value_delimiter = ',')]
    pub fail_on: Vec<String>,
    /// Findings that are accepted, with reasons [default: netcheck.yaml where it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Leave out the findings that this file holds
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write the findings of now to a file, as a baseline
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// With --live: so many connections are tried, from pods of as many workloads as it takes
    #[cfg(feature = "live")]
    #[arg(long, value_name = "NUMBER", default_value_t = 20, requires = "live", help_heading = "Packets", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub sample: u16,
    /// Try some verdicts with packets
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: AuditOutput,
}

/// Output formats of `audit`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AuditOutput {
    /// For people
    #[default]
    Text,
    /// For people, with every workload, every policy and every finding, suppressed ones too
    Wide,
    /// For machines: AuditReport, see `netcheck schema audit`
    Json,
    /// The same as YAML
    Yaml,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
}

/// Arguments of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The earlier version; without it, the objects of -f
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub before: Option<String>,
    /// The later version; without it, the objects of -f with --with and --without
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    pub after: Option<String>,
    /// Exit with 1 if there is such a change
    #[arg(long, value_name = "CHANGE")]
    pub fail_on: Option<FailOn>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: DiffOutput,
}

/// Changes that `diff` may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A port that was denied is allowed
    Opened,
    /// A port that was allowed is denied
    Closed,
    /// Any change of a connection
    Any,
}

/// Output formats of `diff`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiffOutput {
    /// For people
    #[default]
    Text,
    /// For machines: DiffReport, see `netcheck schema diff`
    Json,
    /// The same as YAML
    Yaml,
    /// For a comment on a pull request
    Markdown,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
    /// A row for each change
    Csv,
}

/// Arguments of `why`.
#[derive(Args, Clone, Debug)]
pub struct WhyArgs {
    /// Pods or workloads, [NAMESPACE/][KIND/]NAME; those in trouble of -n NAMESPACE or -A without
    #[arg(value_name = "POD")]
    pub pods: Vec<String>,
    /// Directory with logs, NAMESPACE_POD_CONTAINER.log and NAMESPACE_POD_CONTAINER.previous.log
    #[arg(long, value_name = "DIR")]
    pub logs: Option<PathBuf>,
    /// Read the Secrets that pods name, for the addresses in them: host and port are shown, and nothing else of a value
    #[arg(long)]
    pub read_secrets: bool,
    /// Stay, and say of each new crash loop once why it is (-n NAMESPACE or -A)
    #[arg(long)]
    pub watch: bool,
    /// Packets to the dependencies that are suspected, from the pod itself
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

/// Arguments of `snapshot`.
#[derive(Args, Clone, Debug)]
pub struct SnapshotArgs {
    /// Also write what pods in trouble logged to this directory, without credentials: for why --logs
    #[arg(long, value_name = "DIR")]
    pub with_logs: Option<PathBuf>,
}

/// Arguments of `test`.
#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    /// Expectations: see `netcheck schema test`
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write expectations of what is true today
    #[arg(long, conflicts_with = "files")]
    pub init: bool,
    /// Try the expectations with packets
    #[cfg(feature = "live")]
    #[command(flatten)]
    pub probe: ProbeFlags,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: TestOutput,
}

/// Output formats of `test`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TestOutput {
    /// For people
    #[default]
    Text,
    /// For machines: TestReport, see `netcheck schema test-report`
    Json,
    /// The same as YAML
    Yaml,
    /// JUnit XML
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Test Anything Protocol, version 13
    Tap,
    /// Annotations of a GitHub workflow
    Github,
    /// For a comment on a pull request
    Markdown,
}

/// Arguments of `logs`.
#[derive(Args, Clone, Debug)]
pub struct LogsArgs {
    /// The log; standard input where it is `-` or missing
    pub file: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
}

/// Output formats of most commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For machines, see `netcheck schema`
    Json,
    /// The same as YAML
    Yaml,
}

/// The command line, with `check` put in where no command is named: a command wins over a pod of its name.
pub fn with_default_command(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let command = Cli::command();
    let known: Vec<&clap::Arg> =
        command.get_arguments().chain(command.get_subcommands().flat_map(clap::Command::get_arguments)).collect();
    let takes_value = |token: &str| {
        let name = token.trim_start_matches('-');
        let found = known.iter().find(|a| {
            if token.starts_with("--") {
                a.get_long() == Some(name) || a.get_all_aliases().is_some_and(|all| all.contains(&name))
            } else {
                name.chars().last().is_some_and(|c| a.get_short() == Some(c))
            }
        });
        found.is_some_and(|a| a.get_action().takes_values() && !a.is_require_equals_set())
    };
    // The command goes first, so that its own flags may stand before it or before CLIENT, as with kubectl.
    let mut at = 1;
    while at < args.len() {
        let Some(token) = args[at].to_str() else { break };
        if token == "--" {
            break;
        }
        if token.starts_with('-') && token.len() > 1 {
            let separate = !token.contains('=') && takes_value(token);
            at += if separate { 2 } else { 1 };
            continue;
        }
        if token == "help" || command.get_subcommands().any(|c| c.get_name() == token) {
            let named = args.remove(at);
            args.insert(1, named);
            return args;
        }
        break;
    }
    if at < args.len() {
        args.insert(1, "check".into());
    }
    args
}
