//! On the clusters of the benchmarks, the document of `graph -o json` says what single checks say. Small ones here; the
//! large ones by `cargo run --release --example measure -- agree SHAPE`.

#[path = "../examples/generate/shapes.rs"]
#[allow(dead_code)]
mod shapes;

#[path = "../examples/measure/agree.rs"]
mod agree;

#[path = "../examples/measure/work.rs"]
#[allow(dead_code)]
mod work;

use netcheck::policy::profile::NAMED;

fn agrees(shape: &str, pairs: usize) {
    for cni in NAMED.into_iter().chain(["generic"]) {
        let loaded = work::Loaded::new(shape, cni).unwrap();
        let asked = agree::agree(&loaded, pairs).unwrap_or_else(|e| panic!("{shape} {cni}: {e}"));
        eprintln!("{shape} {cni}: {} pairs, {} answers, {} open", asked.pairs, asked.answers, asked.open);
        assert!(asked.pairs == pairs && asked.open > 20 && asked.answers > 10 * asked.open / 9, "{shape} {cni}");
    }
}

#[test]
fn the_boutique_agrees_under_every_profile() {
    agrees("boutique", 1000);
}

#[test]
fn a_thousand_pods_agree_under_every_profile() {
    agrees("ladder-1k", 150);
}
