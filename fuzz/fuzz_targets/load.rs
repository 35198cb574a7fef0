//! Any text loads or is refused, and every diagnostic can be drawn. Run with `cargo fuzz run load`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netcheck::report::snippet::render;
use netcheck::source::{Options, load_text};

fuzz_target!(|text: &str| {
    let (diagnostics, sources) = match load_text("fuzz", text, &Options::default()) {
        Ok(input) => {
            for loaded in &input.objects {
                assert!(input.sources.value(loaded.origin).is_some());
            }
            (input.warnings, input.sources)
        }
        Err(error) => (error.diagnostics, error.sources),
    };
    for diagnostic in diagnostics.iter().take(20) {
        let drawn = render(diagnostic, &sources, false, 80);
        assert!(drawn.chars().all(|c| c == '\n' || !c.is_control()));
    }
});
