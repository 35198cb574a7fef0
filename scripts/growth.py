#!/usr/bin/env python3
"""What the all-pairs engine costs on every cluster of the benchmarks, and how its cost grows from 1,000 to 150,000 pods.

    cargo build --release --examples
    scripts/growth.py                    the tables
    scripts/growth.py --plot             the ladder alone, drawn to docs/growth.svg
    scripts/growth.py --instructions     the instructions of one build too (valgrind, some minutes)

Times are the smallest of many builds on all cores, and the smallest time on a processor of all threads together; memory is the largest heap above what the cluster takes, counted by
another program so that counting costs no time. Python 3, standard library only.
"""

import json
import math
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
EXAMPLES = TARGET / "release" / "examples"
LADDER = ["ladder-1k", "ladder-3k", "ladder-10k", "ladder-30k", "ladder-75k", "ladder-150k"]
SHAPES = ["boutique", "real", "redhat", "ladder-1k", "ladder-10k", "ladder-150k", "adversarial-per-pod", "adversarial-notin",
          "adversarial-cidr", "adversarial-cluster-policies", "adversarial-random-10k", "adversarial-random-150k"]
CNIS = ["kube-network-policies", "generic"]


def ask(program, *args):
    done = subprocess.run([EXAMPLES / program, *args], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def instructions(shape, cni):
    """Instructions of one build: what two builds take more than one, all on one thread."""
    def total(times):
        env = dict(os.environ, RAYON_NUM_THREADS="1")
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        done = subprocess.run([*command, EXAMPLES / "measure", "engine", shape, cni, str(times)], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        return int(re.search(r"Collected : (\d+)", done.stderr.decode()).group(1))
    return total(2) - total(1)


def measured(shape, cni):
    times = "3" if shape.endswith("random-150k") else "15"
    return {**ask("measure", "engine", shape, cni, times), **ask("peak", "engine", shape, cni)}


def table(count):
    print("| cluster | pods | policies | columns | " + " | ".join(f"`{c}`" for c in CNIS) + " |" + (" instructions |" if count else ""))
    print("| --- |" + " --- |" * (3 + len(CNIS) + count))
    for shape in SHAPES:
        found = [measured(shape, cni) for cni in CNIS]
        one = found[0]
        cells = [f"{f['milliseconds']:.1f} ms ({f['cpuMilliseconds']:.1f} CPU), {f['peakMiB']:.1f} MiB" for f in found]
        if count:
            cells.append(f"{instructions(shape, CNIS[0]) / 1e6:,.0f} M" if one["pods"] <= 12_000 else "")
        print(f"| {shape} | {one['pods']:,} | {one['policies']:,} | {one['columns']:,} | " + " | ".join(cells) + " |", flush=True)


def plot(path):
    found = [measured(shape, CNIS[0]) for shape in LADDER]
    for one in found:
        print(f"{one['shape']:12} {one['pods']:>8,} pods {one['milliseconds']:8.1f} ms {one['cpuMilliseconds']:8.1f} ms CPU {one['peakMiB']:8.1f} MiB", flush=True)
    path.write_text(svg(found))
    print(path)


def svg(found):
    """Two lines over the number of pods, both axes logarithmic."""
    width, height, left, right, top, bottom = 680, 400, 60, 110, 40, 50
    pods = [f["pods"] for f in found]
    low, high = math.log10(1000), math.log10(200_000)
    x = lambda n: left + (math.log10(max(n, 1000)) - low) / (high - low) * (width - left - right)
    values = [f[k] for f in found for k in ("cpuMilliseconds", "peakMiB")]
    bottom_value, top_value = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    y = lambda v: height - bottom - (math.log10(v) - bottom_value) / (top_value - bottom_value) * (height - top - bottom)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" role="img">',
           "<title>Time and memory of the all-pairs engine from 1,000 to 150,000 pods</title>",
           "<style>text{fill:#24292f}.grid{stroke:#d0d7de}.time{stroke:#0969da;fill:none}.heap{stroke:#bc4c00;fill:none}"
           ".t{fill:#0969da}.h{fill:#bc4c00}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}}</style>",
           f'<text x="{left}" y="20" font-size="14">All pairs of the ladder clusters (--cni kube-network-policies)</text>']
    for power in range(bottom_value, top_value + 1):
        label = f"{10 ** power:g}"
        out.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(10 ** power):.1f}" y2="{y(10 ** power):.1f}"/>')
        out.append(f'<text x="{left - 8}" y="{y(10 ** power) + 4:.1f}" text-anchor="end">{label}</text>')
    for n in pods:
        out.append(f'<line class="grid" x1="{x(n):.1f}" x2="{x(n):.1f}" y1="{top}" y2="{height - bottom}"/>')
        out.append(f'<text x="{x(n):.1f}" y="{height - bottom + 18}" text-anchor="middle">{round(n / 1000)}k</text>')
    out.append(f'<text x="{(left + width - right) / 2}" y="{height - 12}" text-anchor="middle">pods, with ten policies to a namespace</text>')
    for key, line, fill, unit in (("cpuMilliseconds", "time", "t", "ms of CPU"), ("peakMiB", "heap", "h", "MiB")):
        points = [(x(f["pods"]), y(f[key])) for f in found]
        out.append(f'<polyline class="{line}" stroke-width="2" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
        out += [f'<circle class="{fill}" cx="{a:.1f}" cy="{b:.1f}" r="3"/>' for a, b in points]
        a, b = points[-1]
        out.append(f'<text class="{fill}" x="{a + 8:.1f}" y="{b + 4:.1f}">{found[-1][key]:.0f} {unit}</text>')
    return "\n".join(out) + "\n</svg>\n"


def main():
    if "--plot" in sys.argv:
        plot(ROOT / "docs" / "growth.svg")
    else:
        table("--instructions" in sys.argv)


if __name__ == "__main__":
    main()
