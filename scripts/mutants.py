#!/usr/bin/env python3
"""Turns the rules of the evaluator around, one at a time, and checks that a test notices.

    scripts/mutants.py              every mutant (slow: a build and a test run each)
    scripts/mutants.py -k tier -k 7 those whose rule or file holds `tier`, and number 7
    scripts/mutants.py --list       the list

Each mutant is a file, a piece of its text that occurs once, what replaces it, and the rule that this turns around.
The working tree is copied to `target/mutants`, with a build directory of its own that is kept; each mutant is applied
to the copy, built and tested: first against the naive evaluator on random clusters (`tests/agreement.rs`, fewer
cases, a fixed seed), then the unit tests and the fixtures. Those need nothing but this repository. What they let
through is tried on the shared cases (`NETCHECK_SHARED`) where these are present, and then reported as killed by them
alone.

Exits 1 if a mutant survives, 2 if one does not apply or does not build. Python 3, standard library only.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVAL = "src/reach/eval.rs"
MATCHING = "src/reach/matching.rs"
PATH = "src/reach/path.rs"
VERDICT = "src/reach/check.rs"
NETWORK = "src/policy/network_policy.rs"
CLUSTER = "src/policy/cluster_network_policy.rs"
SELECTOR = "src/policy/selector.rs"
PROFILE = "src/policy/profile.rs"
RULE = "src/policy/rule.rs"
BUILD = "src/model/build.rs"
MODEL = "src/model/mod.rs"
SERVICE = "src/model/service.rs"

# (file, exact text, replacement, the rule that is turned around)
MUTANTS = [
    (EVAL, "(Outcome::Denied, _) | (_, Outcome::Denied) => Outcome::Denied",
     "(Outcome::Denied, Outcome::Denied) => Outcome::Denied", "both ends must allow a connection"),
    (EVAL, "if itself && !flow.via_service {", "if false && !flow.via_service {", "a pod always reaches itself"),
    (EVAL, "Direction::Egress => !composition.choices.own_node_egress,", "Direction::Egress => false,", "the own node is exempt in egress unless the plugin judges it"),
    (EVAL, "Direction::Ingress => !composition.choices.own_node_ingress,", "Direction::Ingress => false,", "traffic from the own node is always allowed"),
    (EVAL, "(Some(a), Some(b)) if a == b => {\n                    leg.exempt",
     "(Some(a), Some(b)) if a != b => {\n                    leg.exempt", "other nodes are subject to policy"),
    (EVAL, "_ => maybe_own_node = true,", "_ => {}", "an unknown node may be the own one"),
    (EVAL, "if itself && !composition.choices.hairpin && matches!", "if itself && matches!",
     "a plugin may judge a pod that reaches itself through a Service"),
    (EVAL, "if result & NEXT == 0 {", "if result & ALLOW == 0 {", "the first tier that decides is final"),
    (EVAL, "possible = (possible & !NEXT) | ALLOW;\n        }\n        if maybe_own_node",
     "possible = (possible & !NEXT) | DENY;\n        }\n        if maybe_own_node",
     "what no tier decides is allowed"),
    (EVAL, "&& self.selecting(others, view.subject, selecting).iter().any(|p| p.isolates)",
     "&& self.selecting(others, view.subject, selecting).iter().all(|p| p.isolates)",
     "Baseline is skipped where a NetworkPolicy selects the pod in the other direction"),
    (EVAL, "let denied = stage.no_match == NoMatch::Deny && policies.iter().any(|p| p.isolates);",
     "let denied = false;", "a NetworkPolicy isolates the pods it selects"),
    (EVAL, "matching::expr(self.cluster, &Selected::Pod(pod), &p.subject) != Tri::No;",
     "p.priority >= i64::MIN;", "a policy applies to its subject alone"),
    (EVAL, "Action::Pass => NEXT,", "Action::Pass => ALLOW,", "Pass hands over to the next tier"),
    (EVAL, "Action::Pass => NEXT,", "Action::Pass => 0,", "Pass skips the rest of its tier"),
    (EVAL, "Action::Deny => DENY,", "Action::Deny => NEXT,", "Deny denies"),
    (EVAL, "Action::Deny => 1,\n        Action::Allow(_) => 2,", "Action::Deny => 2,\n        Action::Allow(_) => 1,",
     "of interleaved rules deny goes before allow"),
    (EVAL, "policies.chunk_by(|a, b| a.priority == b.priority)", "policies.chunk_by(|_, _| false)",
     "equal priorities may go in either order"),
    (EVAL, "policies.chunk_by(|a, b| a.priority == b.priority)", "policies.chunk_by(|_, _| true)",
     "different priorities go in order"),
    (EVAL, "if decisions.iter().any(|(d, _)| d.outcome != decision.outcome) {", "if false {",
     "generic is unknown where plugins differ"),
    (MATCHING, "Op::NotIn(values) => value.is_none_or(", "Op::NotIn(values) => value.is_some_and(",
     "NotIn matches where the key is missing"),
    (MATCHING, "Op::DoesNotExist => value.is_none(),", "Op::DoesNotExist => value.is_some(),",
     "DoesNotExist matches where the key is missing"),
    (MATCHING, "Op::In(values) => value.is_some_and(", "Op::In(values) => value.is_none_or(",
     "In needs the key"),
    (MATCHING, "Op::Exists => value.is_some(),", "Op::Exists => true,", "Exists needs the key"),
    (MATCHING, "Expr::All(all) => all.iter().fold(Tri::Yes, |so_far, e| so_far.and(|| expr(cluster, selected, e))),",
     "Expr::All(all) => all.iter().any(|e| expr(cluster, selected, e) == Tri::Yes).into(),",
     "every requirement of a selector must hold"),
    (MATCHING, "if matches!(rule.action, Action::Allow(_)) && has_unknown(rule) {", "if false {",
     "an Accept rule with an unknown peer matches nothing"),
    (MATCHING, "EndpointKind::Pod(pod) => expr(self.cluster, &Selected::Pod(pod), selector),\n                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector),\n                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::No,",
     "EndpointKind::Pod(pod) | EndpointKind::Node { pod: Some(pod), .. } => expr(self.cluster, &Selected::Pod(pod), selector),\n                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector),\n                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::No,",
     "hostNetwork pods are no pod peers"),
    (MATCHING, "EndpointKind::Pod(pod) => expr(self.cluster, &Selected::Pod(pod), selector),\n                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector),\n                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::No,",
     "EndpointKind::Pod(pod) => expr(self.cluster, &Selected::Pod(pod), selector),\n                EndpointKind::AnyPod => expr(self.cluster, &Selected::AnyPod, selector),\n                EndpointKind::Node { .. } | EndpointKind::Outside => Tri::from(*selector == Expr::Anything),",
     "selectors never match addresses outside"),
    (MATCHING, "CidrScope::IpBlock => self.choices.ip_block,", "CidrScope::IpBlock => Classes::ALL,",
     "a plugin may keep ipBlocks from matching pods"),
    (MATCHING, "CidrScope::Classes(classes) => *classes,", "CidrScope::Classes(_) => self.choices.ip_block,",
     "networks match pod addresses too"),
    (MATCHING, "(Some(name), EndpointKind::Outside) => patterns.iter().any(|p| p.matches(name)).into(),",
     "(Some(_), EndpointKind::Outside) => Tri::Yes,", "domain names match the name that was dialled"),
    (MATCHING, "(None, EndpointKind::Outside) => Tri::Maybe(Reason::NameUnknown),", "(None, EndpointKind::Outside) => Tri::No,",
     "a rule for a domain name may match an address"),
    (MATCHING, "(EndpointKind::Node { node: Some(node), .. }, _) => matching(node),", "(EndpointKind::Node { .. }, _) => Tri::Yes,",
     "nodes peers select by the labels of the node"),
    (MATCHING, "if port.protocol.is_some_and(|p| p != flow.protocol) {", "if false {", "a port is of one protocol"),
    (MATCHING, "let last = if port.end_port && !self.choices.end_port { first } else { last };", "",
     "a plugin may not understand endPort"),
    (MATCHING, "(*first..=*last).contains(&flow.port)\n            }\n            Ports::NotIn",
     "(*first..*last).contains(&flow.port)\n            }\n            Ports::NotIn", "endPort is part of the range"),
    (MATCHING, "                        && p.protocol == flow.protocol\n", "",
     "a named port is of the protocol it is declared with"),
    (MATCHING, "(p.container != ContainerKind::Init || self.choices.init_container_ports)", "true",
     "named ports of plain init containers don't count for policies"),
    (MATCHING, "Ports::Named(name) => match flow.server.kind {",
     "Ports::Named(name) => match if flow.client.as_pod().is_some() { flow.client.kind } else { flow.server.kind } {",
     "a named port is the destination pod's"),
    (MATCHING, "(None, EndpointKind::Pod(_) | EndpointKind::Node { .. }) => {\n            (block.cidr.prefix_len() == 0 && block.cidr.addr().is_ipv4() && block.except.is_empty()).into()",
     "(None, EndpointKind::Pod(_) | EndpointKind::Node { .. }) => {\n            true.into()",
     "pods without an address are judged by their labels"),
    (RULE, "!self.except.iter().any(", "self.except.is_empty() || !self.except.iter().all(", "an address in any except is left out"),
    (NETWORK, "direction == Direction::Ingress || !spec.egress.is_empty()", "direction == Direction::Ingress",
     "egress rules without policyTypes isolate egress"),
    (NETWORK, "direction == Direction::Ingress || !spec.egress.is_empty()", "true",
     "without policyTypes and egress rules, egress is not isolated"),
    (NETWORK, "if spec.policy_types.is_empty() {", "if true {", "policyTypes says which directions are isolated"),
    (NETWORK, "let peers = match peers {\n            [] => Match::Any,", "let peers = match peers {\n            [] => Match::OneOf(Vec::new()),",
     "an empty from or to is any peer"),
    (NETWORK, "let l4 = match ports {\n            [] => L4::Any,", "let l4 = match ports {\n            [] => L4::OneOf(Vec::new()),",
     "empty ports are any port"),
    (NETWORK, "None => Expr::in_namespace(self.namespace),", "None => Expr::Anything,",
     "without a namespaceSelector: the policy's own namespace"),
    (NETWORK, "terms.push(Term::Pods(namespaces.and(pods)));", "terms.push(Term::Pods(Expr::Any(vec![namespaces, pods])));",
     "both selectors of a peer must match"),
    (NETWORK, "None | Some(\"\") => Protocol::Tcp,", "None | Some(\"\") => Protocol::Udp,", "a missing protocol is TCP"),
    (NETWORK, "isolates: true,", "isolates: false,", "a NetworkPolicy without a matching rule denies"),
    (CLUSTER, "if unknown && !matches!(action, Action::Allow(_)) {", "if false {",
     "Deny and Pass rules with an unknown peer deny all"),
    (CLUSTER, "self.ingress.sort_by_key(|p| p.priority);", "self.ingress.sort_by_key(|p| -p.priority);",
     "lower priorities go first (ingress)"),
    (CLUSTER, "self.egress.sort_by_key(|p| p.priority);", "self.egress.sort_by_key(|p| -p.priority);",
     "lower priorities go first (egress)"),
    (CLUSTER, "let tier = if baseline { &mut self.baseline } else { &mut self.admin };",
     "let tier = if baseline { &mut self.admin } else { &mut self.admin };", "Baseline goes after NetworkPolicy"),
    (CLUSTER, "\"Pass\" => Action::Pass,", "\"Pass\" => Action::Allow(Vec::new()),", "Pass does not allow"),
    (CLUSTER, "None | Some(\"\") => Some(Protocol::Tcp),", "None | Some(\"\") => None,",
     "a v1alpha1 port without a protocol is TCP"),
    (CLUSTER, "None => Ports::All,", "None => Ports::Range(1, 0),", "a protocol without a port is all its ports"),
    (CLUSTER, "lowering.v1alpha1(id, true, i64::MAX, &policy.object.spec);", "lowering.v1alpha1(id, true, 0, &policy.object.spec);",
     "the BaselineAdminNetworkPolicy goes after every priority"),
    (CLUSTER, "rule.precedence = ((priority.clamp(0, 0x7fff_ffff) as u64) << 32) + u64::from(rule.index);",
     "rule.precedence = (priority.clamp(0, 0x7fff_ffff) as u64) << 32;", "interleaved rules go by their index"),
    (SELECTOR, "0 => Expr::Anything,", "0 => Expr::Nothing,", "an empty selector selects everything"),
    (EVAL, "possible |= if denied { DENY } else { NEXT };", "possible |= DENY;", "cluster-wide policies isolate nothing"),
    (PROFILE, "let network_no_match = if choices.default_deny_last { NoMatch::Continue } else { NoMatch::Deny };",
     "let network_no_match = NoMatch::Deny;", "a plugin may put the default deny after Baseline"),
    (PROFILE, "Tie::ByName => Combine::FirstMatch,", "Tie::ByName => Combine::EitherOnTie,", "a plugin may settle ties by name"),
    (BUILD, "labels.insert(NAMESPACE_NAME_LABEL, o.metadata.name.as_str());", "",
     "every namespace carries its name as a label"),
    (BUILD, "\"Succeeded\" | \"Failed\" => Phase::Finished,", "\"Succeeded\" => Phase::Finished,",
     "a failed pod's address is nobody's"),
    (BUILD, "if c.restart_policy == \"Always\" { ContainerKind::Sidecar }", "if true { ContainerKind::Sidecar }",
     "named ports of plain init containers don't count"),
    (BUILD, "if name.is_empty() { Some(Protocol::Tcp) }", "if name.is_empty() { Some(Protocol::Udp) }",
     "a container port without a protocol is TCP"),
    (MODEL, "p.container != ContainerKind::Init && ", "p.container == ContainerKind::Regular && ",
     "named ports of sidecars count"),
    (MODEL, "if pod.phase != Phase::Finished && !pod.host_network {", "if !pod.host_network {",
     "a finished pod's address is nobody's"),
    (SERVICE, "if pod.phase == Phase::Finished || ", "if ", "finished pods are no endpoints"),
    (SERVICE, "!pod.labels.contains_all(selector)", "!selector.is_empty() && pod.labels.is_empty()",
     "a Service selects by every label"),
    (SERVICE, "TargetPort::Number(number) => Some(*number),", "TargetPort::Number(_) => Some(port.number),",
     "policies see the pod's port, not the Service's"),
    (SERVICE, "pod.named_ports(name).find(|p| p.protocol == port.protocol)", "pod.named_ports(name).next()",
     "a named targetPort is of the port's protocol"),
    (SERVICE, "serving: (pod.ready && !pod.terminating) || service.publish_not_ready,",
     "serving: pod.ready || service.publish_not_ready,", "terminating endpoints get no traffic while others are ready"),
    (SERVICE, "serving: (pod.ready && !pod.terminating) || service.publish_not_ready,",
     "serving: pod.ready && !pod.terminating,", "publishNotReadyAddresses"),
    (SERVICE, "serving: (endpoint.ready && !endpoint.terminating) || service.publish_not_ready,",
     "serving: true,", "endpoints of a slice that aren't ready get no traffic"),
    (SERVICE, "ready: if endpoint.terminating { endpoint.serving } else { endpoint.ready },", "ready: endpoint.ready,",
     "terminating endpoints that serve stand in"),
    (PATH, "let usable = |b: &Backend| b.port.is_some() && !elsewhere(b);", "let usable = |b: &Backend| b.port.is_some();",
     "internalTrafficPolicy: Local needs an endpoint on the client's node"),
    (PATH, "let usable = |b: &Backend| b.port.is_some() && !elsewhere(b);", "let usable = |b: &Backend| !elsewhere(b);",
     "a pod without the named port is no endpoint"),
    (PATH, "backend.serving |= backend.terminating && backend.ready;", "backend.serving |= backend.terminating;",
     "terminating endpoints stand in only while they serve"),
    (PATH, "backend.port = number.or(backend.port);", "", "a headless Service maps no port"),
    (VERDICT, "(true, true, _, _) | (true, _, true, _) => Verdict::Partial,", "(true, true, _, _) | (true, _, true, _) => Verdict::Reachable,",
     "endpoints that differ are partial"),
    (PATH, "let flow = self.flow(endpoint.client, endpoint.server, check.protocol, port, None, true);\n                let decision",
     "let flow = self.flow(endpoint.client, endpoint.server, check.protocol, port, None, false);\n                let decision",
     "a pod that reaches itself through its Service is judged apart"),
    (PATH, "backends.retain(|b| families.is_empty() || b.address.is_none_or(|a| families.contains(&a.is_ipv6())));", "",
     "a Service has endpoints of its own families alone"),
]


def files():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def copy(tree):
    shutil.rmtree(tree, ignore_errors=True)
    for name in files():
        to = tree / name
        to.parent.mkdir(parents=True, exist_ok=True)
        # With the time of now: cargo would take what the last run built of a mutant for the file's own.
        shutil.copyfile(ROOT / name, to)


class Run:
    """Cargo in the copy. Its build directory is not the tree's own: cargo could not tell the artifacts of the two apart."""

    def __init__(self, tree, target, cases):
        self.tree = tree
        self.env = {
            **os.environ,
            "CARGO_TARGET_DIR": str(target),
            "PROPTEST_CASES": str(cases),
            "PROPTEST_RNG_SEED": "1",
            "PROPTEST_MAX_SHRINK_ITERS": "0",
            "RUST_BACKTRACE": "0",
        }

    def cargo(self, *arguments, shared=None):
        # Without shared cases unless they are asked for: a test that finds none says so and passes.
        env = {**self.env, "NETCHECK_SHARED": shared or str(self.tree / "none")}
        command = ["cargo", "test", "--quiet", "--no-default-features", *arguments]
        try:
            done = subprocess.run(command, cwd=self.tree, env=env, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            return 101, "timed out"
        return done.returncode, done.stdout + done.stderr

    def builds(self):
        return self.cargo("--no-run", "--lib", "--test", "agreement")

    def killed_by(self, suites):
        for name, arguments, shared in suites:
            code, out = self.cargo(*arguments, shared=shared)
            if code != 0:
                if "could not compile" in out:
                    return "broken"
                return name
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-k", action="append", default=[], help="number, or part of the rule or the file")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--cases", type=int, default=1000, help="random clusters of each property (default 1000)")
    parser.add_argument("--target", type=pathlib.Path, default=ROOT / "target/mutants", help="where the copy and its build go")
    options = parser.parse_args()

    chosen = []
    for number, mutant in enumerate(MUTANTS, 1):
        if not options.k or any(k == str(number) or (not k.isdigit() and k in mutant[3] + mutant[0]) for k in options.k):
            chosen.append((number, mutant))
    if options.list:
        for number, (file, _, _, rule) in chosen:
            print(f"{number:3} {file:36} {rule}")
        return 0

    stale = [n for n, (file, old, _, _) in chosen if (ROOT / file).read_text().count(old) != 1]
    for number, (file, old, _, rule) in chosen:
        if number in stale:
            print(f"{number:3} does not apply: {rule}\n    {file}: {(ROOT / file).read_text().count(old)} times {old!r}")
    if stale:
        return 2

    tree = options.target / "tree"
    copy(tree)
    run = Run(tree, options.target / "target", options.cases)
    tests = {path.stem for path in (tree / "tests").glob("*.rs")}
    alone = [("agreement", ["--test", "agreement"], None), ("unit tests", ["--lib"], None)]
    alone += [(name, ["--test", name], None) for name in ["semantics", "explain"] if name in tests]
    shared = os.environ.get("NETCHECK_SHARED", str((ROOT / "../shared").resolve()))
    with_shared = [(name, ["--test", name], shared) for name in ["packets", "oracle"] if name in tests]
    with_shared = with_shared if pathlib.Path(shared).is_dir() else []

    print("without a mutant ...", flush=True)
    code, out = run.builds()
    first = run.killed_by(alone) if code == 0 else "the build"
    if first:
        print(f"{first} fails without any mutant\n{out}")
        return 2

    survived, broken, by = [], [], {}
    for number, (file, old, new, rule) in chosen:
        start = time.monotonic()
        path = tree / file
        original = path.read_text()
        path.write_text(original.replace(old, new))
        try:
            killer = run.killed_by(alone)
            if killer is None and with_shared:
                killer = run.killed_by(with_shared)
                killer = killer and f"{killer} alone"
        finally:
            path.write_text(original)
        if killer == "broken":
            broken.append(number)
        elif killer is None or killer.endswith(" alone"):
            survived.append(number)
        by[killer] = by.get(killer, 0) + 1
        words = "SURVIVED" if killer is None else "DOES NOT BUILD" if killer == "broken" else f"killed by {killer}"
        print(f"{number:3} {words:24} {time.monotonic() - start:5.1f} s  {rule} ({file})", flush=True)

    counts = ", ".join(f"{count} {killer or 'survived'}" for killer, count in sorted(by.items(), key=str))
    print(f"{len(chosen)} mutants: {counts}")
    if broken:
        print(f"does not build: {broken}")
        return 2
    if survived:
        print(f"survived what needs only this repository: {survived}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
