//! Times the all-pairs engine, the semantic difference and one changed policy on the clusters of the benchmarks, and holds
//! the answers of `graph -o json` against single checks.
//!
//! `cargo run --release --example measure -- engine|diff|revise|agree SHAPE [CNI [TIMES or PAIRS]]`: one line of JSON. Reading and
//! lowering are not part of a time. `--example peak` is the same with the largest heap in the place of the time.

#[path = "../generate/shapes.rs"]
mod shapes;

mod agree;
mod work;

use std::process::ExitCode;
use std::time::Instant;

use netcheck::policy::Direction;
use work::Loaded;

/// As in the program.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, shape, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: measure engine|diff|revise|agree SHAPE [CNI [TIMES or PAIRS]]");
        return ExitCode::from(2);
    };
    let cni = rest.first().map_or("kube-network-policies", String::as_str);
    let number = rest.get(1).and_then(|n| n.parse().ok());
    match run(what, shape, cni, number) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Time on a processor of all threads so far, where the system says (Linux): of other programs on the same machine it
/// hears less than the clock does.
fn cpu_milliseconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let of = |task: std::fs::DirEntry| -> Option<u64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(|task| of(task.ok()?)).sum::<u64>() as f64 / 1e6
}

fn run(what: &str, shape: &str, cni: &str, number: Option<usize>) -> Result<serde_json::Value, String> {
    let loaded = Loaded::new(shape, cni)?;
    let times = number.unwrap_or(10).max(1);
    let timed = |work: &mut dyn FnMut()| {
        let mut best = [f64::INFINITY; 2];
        for _ in 0..times {
            let (start, cpu) = (Instant::now(), cpu_milliseconds());
            work();
            let taken = [start.elapsed().as_secs_f64() * 1e3, cpu_milliseconds() - cpu];
            best = [best[0].min(taken[0]), best[1].min(taken[1])];
        }
        best
    };
    let policies = loaded.policies.info.len();
    match what {
        "engine" => {
            let [milliseconds, cpu] = timed(&mut || drop(std::hint::black_box(loaded.matrix())));
            let counts = loaded.matrix().counts();
            Ok(serde_json::json!({
                "shape": shape, "cni": cni, "milliseconds": milliseconds, "cpuMilliseconds": cpu,
                "policies": policies, "pods": counts.pods,
                "columns": counts.columns, "rows": counts.rows, "parts": counts.rectangles, "openPairs": counts.open_pairs,
            }))
        }
        // One policy changed, over a matrix that is there already: in each direction, and how long it takes to find it.
        "revise" => {
            let mut out = serde_json::json!({"shape": shape, "cni": cni, "policies": policies});
            for direction in [Direction::Ingress, Direction::Egress] {
                let changed = loaded.with_one_changed(direction);
                let engine = loaded.engine(&changed)?;
                let edits = loaded.edits(&changed)?;
                let mut rows = None;
                let [milliseconds, cpu] = timed(&mut || rows = loaded.revise(&engine, &changed, &edits));
                let [found, _] = timed(&mut || drop(std::hint::black_box(loaded.edits(&changed))));
                out[direction.name()] = serde_json::json!({
                    "milliseconds": milliseconds, "cpuMilliseconds": cpu, "rows": rows, "foundMilliseconds": found,
                });
            }
            Ok(out)
        }
        "diff" => {
            let changed = loaded.with_one_changed(Direction::Ingress);
            let mut changes = 0;
            let [milliseconds, cpu] = timed(&mut || changes = loaded.changes(&changed));
            Ok(serde_json::json!({
                "shape": shape, "cni": cni, "milliseconds": milliseconds, "cpuMilliseconds": cpu,
                "policies": policies, "changes": changes,
            }))
        }
        "agree" => agree::agree(&loaded, number.unwrap_or(1000)).map(|asked| {
            serde_json::json!({"shape": shape, "cni": cni, "pairs": asked.pairs, "answers": asked.answers, "open": asked.open})
        }),
        _ => Err(format!("`{what}` is none of engine, diff, revise, agree")),
    }
}
