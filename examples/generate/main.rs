//! The clusters of the benchmarks, as one JSON `List` on standard output.
//!
//! `cargo run --release --example generate -- SHAPE [--slim]`. The same shape is the same bytes on every machine (seed 42).
//! `--slim` leaves out of the pods what no check reads.

mod shapes;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let slim = arguments.iter().any(|a| a == "--slim");
    let shapes: Vec<&String> = arguments.iter().filter(|a| *a != "--slim").collect();
    let [shape] = shapes.as_slice() else {
        eprintln!("usage: generate SHAPE [--slim], where SHAPE is one of {}", shapes::NAMES.join(", "));
        return ExitCode::from(2);
    };
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match shapes::write(shape, slim, &mut out).and_then(|known| out.flush().map(|()| known)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("unknown shape `{shape}`: one of {}", shapes::NAMES.join(", "));
            ExitCode::from(2)
        }
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
