#!/usr/bin/env python3
"""Times whole calls of the program, process start included.

    cargo build --release --bins --example generate
    scripts/bench.py                 the shop, the boutique, a repository with expectations, 10,000 pods, a real profile
    scripts/bench.py --large         and 150,000 pods: 2.2 GB are written to `target/bench` first

Clusters are written once, by the generator, to `target/bench`. For each call: the smallest wall time and CPU time of
its runs, the peak of its memory (Linux), and the exit code, so that a call that failed is not taken for a fast one.
Python 3, standard library only.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
NETCHECK = TARGET / "release" / "netcheck"
GENERATE = TARGET / "release" / "examples" / "generate"


def cluster(shape):
    path = TARGET / "bench" / f"{shape}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with open(part, "wb") as out:
            subprocess.run([GENERATE, shape], stdout=out, check=True)
        part.rename(path)
    return path


TIERS = ("web", "api", "worker", "cache", "db", "jobs")


def repository():
    """A repository as CI sees it: 50 namespaces, 500 policies in files of their own, 200 expectations of every form."""
    root = TARGET / "bench" / "repository"
    if (root / "connectivity.yaml").exists():
        return root
    for index in range(50):
        place = root / "deploy" / f"team-{index:02}"
        place.mkdir(parents=True, exist_ok=True)
        space = f"team-{index:02}"
        documents = [f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {space}\n  labels:\n    group: g{index % 5}\n"]
        for number, tier in enumerate(TIERS):
            documents.append(
                f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {tier}\n  namespace: {space}\n"
                f"spec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: {tier}\n  template:\n    metadata:\n"
                f"      labels:\n        app: {tier}\n    spec:\n      containers:\n        - name: main\n          image: {tier}:1\n"
                f"          ports:\n            - name: http\n              containerPort: {8080 + number}\n"
            )
            documents.append(
                f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {tier}\n  namespace: {space}\n"
                f"spec:\n  selector:\n    app: {tier}\n  ports:\n    - port: 80\n      targetPort: http\n"
            )
        (place / "workloads.yaml").write_text("---\n".join(documents))
        own = lambda app: f"        - podSelector:\n            matchLabels:\n              app: {app}\n"
        port = lambda n: f"      ports:\n        - port: {n}\n"
        to_all = "    - to:\n        - podSelector: {}\n"
        policies = {
            "default-deny": ("{}", "  policyTypes: [Ingress, Egress]\n"),
            "dns": ("{}", "  policyTypes: [Egress]\n  egress:\n    - to:\n        - namespaceSelector: {}\n          podSelector:\n            matchLabels:\n              k8s-app: kube-dns\n      ports:\n        - port: 53\n          protocol: UDP\n        - port: 53\n"),
            "internal-egress": ("{}", "  policyTypes: [Egress]\n  egress:\n" + to_all),
            "web": ("web", "  ingress:\n    - from:\n        - ipBlock:\n            cidr: 0.0.0.0/0\n            except: [10.0.0.0/8]\n" + port(8080)),
            "api": ("api", "  ingress:\n    - from:\n" + own("web") + port(8081)),
            "worker": ("worker", "  ingress:\n    - from:\n" + own("api") + port("http")),
            "cache": ("cache", "  ingress:\n    - from:\n" + own("api") + own("worker") + port(8083)),
            "db": ("db", "  ingress:\n    - from:\n" + own("api") + own("worker") + port(8084)),
            "jobs": ("jobs", f"  ingress:\n    - from:\n        - namespaceSelector:\n            matchLabels:\n              group: g{index % 5}\n" + port(8085)),
            "internet": ("jobs", f"  policyTypes: [Egress]\n  egress:\n    - to:\n        - ipBlock:\n            cidr: 203.0.{index}.0/24\n" + port(443)),
        }
        for name, (app, rest) in policies.items():
            subject = "{}" if app == "{}" else f"\n    matchLabels:\n      app: {app}"
            (place / f"{name}.yaml").write_text(
                f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}\n  namespace: {space}\n"
                f"spec:\n  podSelector: {subject}\n{rest}"
            )
    expect = []
    for index in range(50):
        space, other = f"team-{index:02}", f"team-{(index + 1) % 50:02}"
        expect += [
            f"  - allow: {{from: {space}/api, to: {space}/svc/db}}",
            f"  - deny: {{from: {{namespaces: all, except: {{namespace: {space}}}}}, to: {space}/deploy/db, reason: orders stay here}}",
            f"  - only: {{from: [{space}/api, {space}/worker], to: {space}/deploy/cache, ports: [8083]}}",
            f"  - deny: {{from: {other}/web, to: {space}/svc/api, by: {space}/default-deny}}",
        ]
    head = "apiVersion: netcheck/v1alpha1\nkind: ConnectivityTest\nobjects: [deploy]\nexpect:\n"
    (root / "connectivity.yaml").write_text(head + "\n".join(expect) + "\n")
    return root


def run(args, times):
    wall = cpu = float("inf")
    codes = set()
    for _ in range(times):
        start = time.perf_counter()
        process = subprocess.Popen([NETCHECK, *args], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = min(wall, time.perf_counter() - start)
        cpu = min(cpu, usage.ru_utime + usage.ru_stime)
        codes.add(os.waitstatus_to_exitcode(status))
    return wall, cpu, codes


def peak(args):
    """The peak of its resident memory in MiB. The answer goes into a pipe that is full, so that the program waits with it
    while its memory is looked at: what `wait4` reports of a child counts the pages of the parent it was started from."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(1 << 12))
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen([NETCHECK, *args], cwd=ROOT, stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    kib, spent, idle = 0, None, 0
    while process.poll() is None and idle < 20:
        time.sleep(0.005)
        try:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            now = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                kib = int(line.split()[1])
        # It waits: asleep, and no processor time spent.
        idle = idle + 1 if now[0] == "S" and now[11:13] == spent else 0
        spent = now[11:13]
    os.close(reader)
    process.wait()
    return kib / 1024


def pairs(path):
    """One reachable and one blocked question of a cluster: Services, or pods where it has none, asked from its first pods
    until both are found."""
    items = json.loads(path.read_text())["items"]
    name = lambda o: f"{o['metadata']['namespace']}/{o['metadata']['name']}"
    pods = [o for o in items if o["kind"] == "Pod"]
    targets = [f"{name(o)}:{o['spec']['ports'][0]['port']}" for o in items if o["kind"] == "Service"][:8]
    for pod in pods[:40] if not targets else []:
        ports = [p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", [])] or [8080]
        targets.append(f"{pod['metadata']['namespace']}/pod/{pod['metadata']['name']}:{ports[0]}")
    deployments = [f"{o['metadata']['namespace']}/deploy/{o['metadata']['name']}" for o in items if o["kind"] == "Deployment"]
    clients = [name(o) for o in pods] or deployments
    found = {}
    for client in clients[:3]:
        for target in targets:
            args = ["-q", "-f", str(path), client, target]
            code = subprocess.run([NETCHECK, *args], cwd=ROOT, stderr=subprocess.DEVNULL).returncode
            if code in (0, 1):
                found.setdefault(code, args[1:])
            if len(found) == 2:
                return found
    return found


def snapshot(shape):
    """The snapshot of a cluster."""
    path = TARGET / "bench" / f"{shape}.snapshot.json"
    with open(path, "wb") as out:
        subprocess.run([NETCHECK, "snapshot", "-A", "-f", cluster(shape)], stdout=out, check=True)
    return path


def printed(shape):
    """The same objects as `kubectl get -o json` prints them: indented by four, without `managedFields`."""
    path = TARGET / "bench" / f"{shape}.kubectl.json"
    if not path.exists():
        dump = json.loads(cluster(shape).read_bytes())
        for item in dump["items"]:
            item["metadata"].pop("managedFields", None)
        with open(path, "w", encoding="utf-8") as out:
            json.dump(dump, out, indent=4)
    return path


def main():
    rows = [("--version", ["--version"], 40)]
    rows.append(("shop, reachable", ["-f", "examples/shop", "checkout", "database:5432"], 40))
    rows.append(("shop, blocked, with its fix", ["-f", "examples/shop", "frontend", "cart:80"], 40))
    root = repository()
    rows.append(("500 policies, 200 expectations", ["test", "-R", str(root / "connectivity.yaml"), "-o", "junit"], 20))
    known = {}
    for shape, times in (("boutique", 40), ("ladder-10k", 10), ("real", 10), ("ladder-150k", 3)):
        if shape == "ladder-150k" and "--large" not in sys.argv:
            continue
        path = cluster(shape)
        size = path.stat().st_size / 1e6
        # The ladder's rungs differ in their number alone, and Python is slow to read the largest.
        known[shape] = known["ladder-10k"] if shape == "ladder-150k" else pairs(path)
        for code, args in sorted(known[shape].items()):
            what = "reachable" if code == 0 else "blocked, with its fix"
            rows.append((f"{shape} ({size:.1f} MB), {what}", ["-f", str(path), *args[2:]], times))
            if shape == "ladder-10k" and code == 0:
                short = snapshot(shape)
                size_of = short.stat().st_size / 1e6
                rows.append((f"the same from its snapshot ({size_of:.1f} MB)", ["-f", str(short), *args[2:]], times))
                long = printed(shape)
                size_of = long.stat().st_size / 1e6
                rows.append((f"the same as kubectl prints it ({size_of:.1f} MB)", ["-f", str(long), *args[2:]], times))
        if shape == "real":
            rows.append((f"{shape} ({size:.1f} MB), who reaches whom", ["graph", "-f", str(path)], 5))
            rows.append((f"{shape} ({size:.1f} MB), the same as CSV", ["graph", "-f", str(path), "-o", "csv"], 5))
    for what, args, times in rows:
        wall, cpu, codes = run(args, times)
        print(
            f"{what:<48} {wall * 1e3:8.1f} ms wall {cpu * 1e3:8.1f} ms CPU {peak(args):7.1f} MiB  exit {sorted(codes)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
