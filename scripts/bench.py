#!/usr/bin/env python3
"""Times whole calls of the program, process start included.

    cargo build --release --bins --example generate
    scripts/bench.py                 the shop, the boutique and 10,000 pods

Clusters are written once, by the generator, to `target/bench`. For each call: the smallest wall time and CPU time of
its runs, and the exit code, so that a call that failed is not taken for a fast one. Memory is left out: what the
system reports of a child counts the pages of the parent it was started from. Python 3, standard library only.
"""

import json
import os
import pathlib
import subprocess
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


def pairs(path):
    """One reachable and one blocked question of a cluster: Services asked from its first pods until both are found."""
    items = json.loads(path.read_text())["items"]
    name = lambda o: f"{o['metadata']['namespace']}/{o['metadata']['name']}"
    pods = [name(o) for o in items if o["kind"] == "Pod"]
    services = [(name(o), o["spec"]["ports"][0]["port"]) for o in items if o["kind"] == "Service"]
    clients = pods or [f"{o['metadata']['namespace']}/deploy/{o['metadata']['name']}" for o in items if o["kind"] == "Deployment"]
    found = {}
    for client in clients[:3]:
        for service, port in services[:8]:
            args = ["-q", "-f", str(path), client, f"{service}:{port}"]
            code = subprocess.run([NETCHECK, *args], cwd=ROOT, stderr=subprocess.DEVNULL).returncode
            if code in (0, 1):
                found.setdefault(code, args[1:])
            if len(found) == 2:
                return found
    return found


def main():
    rows = [("--version", ["--version"], 40)]
    rows.append(("shop, reachable", ["-f", "examples/shop", "checkout", "database:5432"], 40))
    rows.append(("shop, blocked, with its fix", ["-f", "examples/shop", "frontend", "cart:80"], 40))
    for shape, times in (("boutique", 40), ("ladder-10k", 6)):
        path = cluster(shape)
        size = path.stat().st_size / 1e6
        for code, args in sorted(pairs(path).items()):
            what = "reachable" if code == 0 else "blocked, with its fix"
            rows.append((f"{shape} ({size:.1f} MB), {what}", args, times))
    for what, args, times in rows:
        wall, cpu, codes = run(args, times)
        print(f"{what:<48} {wall * 1e3:8.1f} ms wall {cpu * 1e3:8.1f} ms CPU  exit {sorted(codes)}")


if __name__ == "__main__":
    main()
