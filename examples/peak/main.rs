//! The largest heap of the all-pairs engine on a cluster of the benchmarks, above what the cluster itself takes.
//!
//! `cargo run --release --example peak -- engine SHAPE [CNI]`: one line of JSON. Counting costs time: times are `measure`'s.

#[path = "../generate/shapes.rs"]
mod shapes;

#[allow(dead_code)]
#[path = "../measure/work.rs"]
mod work;

use std::process::ExitCode;

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, shape, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: peak engine SHAPE [CNI]");
        return ExitCode::from(2);
    };
    let cni = rest.first().map_or("kube-network-policies", String::as_str);
    let loaded = match work::Loaded::new(shape, cni) {
        Ok(loaded) if what == "engine" => loaded,
        Ok(_) => {
            eprintln!("`{what}` is not engine");
            return ExitCode::from(2);
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let matrix = loaded.matrix();
    let (peak, kept) = (HEAP.peak_usage() - before, HEAP.current_usage() - before);
    let counts = matrix.counts();
    println!(
        "{}",
        serde_json::json!({
            "shape": shape, "cni": cni, "pods": counts.pods, "peakMiB": mebibytes(peak), "keptMiB": mebibytes(kept),
        })
    );
    ExitCode::SUCCESS
}
