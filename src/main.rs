//! The `netcheck` command.
fn main() {}
