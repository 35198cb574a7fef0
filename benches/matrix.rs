//! The all-pairs engine on clusters in memory: classes, sets, every row. Reading and lowering are not part of it.

#[path = "../examples/generate/shapes.rs"]
mod shapes;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use divan::Bencher;
use netcheck::analysis::diff::{Version, diff};
use netcheck::model::{BuildOptions, Cluster};
use netcheck::policy::profile::compose;
use netcheck::policy::{Edits, Policies, Profile};
use netcheck::reach::matrix::{Engine, Matrix, Options};
use netcheck::source::{Options as LoadOptions, load_text};

fn main() {
    divan::main();
}

type Loaded = Arc<(Cluster, Policies)>;

/// A shape, generated and read once.
fn loaded(shape: &str) -> Loaded {
    static SHAPES: LazyLock<Mutex<HashMap<String, Loaded>>> = LazyLock::new(Mutex::default);
    let mut shapes = SHAPES.lock().expect("no bench panics");
    let load = || {
        let mut text = Vec::new();
        assert!(shapes::write(shape, true, &mut text).expect("memory takes writes"), "a shape");
        let text = String::from_utf8(text).expect("JSON is UTF-8");
        let input = load_text("generated.json", &text, &LoadOptions::default()).expect("objects are valid");
        let cluster = Cluster::build(input.objects, &BuildOptions::default()).expect("names are unique");
        let policies = Policies::lower(&cluster);
        Arc::new((cluster, policies))
    };
    shapes.entry(shape.to_owned()).or_insert_with(load).clone()
}

const SHAPES: [&str; 11] = [
    "boutique",
    "ladder-1k",
    "ladder-10k",
    "ladder-150k",
    "real",
    "redhat",
    "adversarial-per-pod",
    "adversarial-notin",
    "adversarial-cidr",
    "adversarial-cluster-policies",
    "adversarial-random-10k",
];

fn build(bencher: Bencher<'_, '_>, shape: &str, profile: &Profile) {
    let loaded = loaded(shape);
    let (cluster, policies) = &*loaded;
    let compositions = compose(policies, profile);
    eprintln!("{shape}: {:?}", Matrix::build(cluster, policies, &compositions, Options::default()).counts());
    bencher.bench_local(|| Matrix::build(cluster, policies, &compositions, Options::default()));
}

#[divan::bench(args = SHAPES, sample_count = 20, sample_size = 1, max_time = 10)]
fn kube_network_policies(bencher: Bencher<'_, '_>, shape: &str) {
    build(bencher, shape, &"kube-network-policies".parse().expect("a profile"));
}

#[divan::bench(args = SHAPES, sample_count = 20, sample_size = 1, max_time = 10)]
fn generic(bencher: Bencher<'_, '_>, shape: &str) {
    build(bencher, shape, &Profile::generic());
}

/// 150,000 pods with random labels: of the order of 60,000 classes.
#[divan::bench(sample_count = 3, sample_size = 1, max_time = 60)]
fn kube_network_policies_random_150k(bencher: Bencher<'_, '_>) {
    build(bencher, "adversarial-random-150k", &"kube-network-policies".parse().expect("a profile"));
}

/// The same policies, but one of them in the middle allows nothing any more.
fn with_one_changed(policies: &Policies) -> Policies {
    let mut changed = policies.clone();
    let list = Arc::make_mut(&mut changed.network.ingress);
    let middle = list.len() / 2;
    if let Some(policy) = list[middle..].iter_mut().find(|p| !p.rules.is_empty()) {
        policy.rules.clear();
    }
    changed
}

/// One changed policy over a matrix that is there already.
#[divan::bench(args = ["ladder-10k", "real", "ladder-150k"], sample_count = 50, sample_size = 1, max_time = 10)]
fn one_policy_changed(bencher: Bencher<'_, '_>, shape: &str) {
    let loaded = loaded(shape);
    let (cluster, policies) = &*loaded;
    let profile: Profile = "kube-network-policies".parse().expect("a profile");
    let changed = with_one_changed(policies);
    let edits = Edits::between(policies, &changed).expect("nothing foreign differs");
    let engine = Engine::new(cluster, policies, &profile, &[&edits], Options::default());
    bencher.bench_local(|| engine.revise(policies, &changed, &profile, &edits));
}

/// The semantic difference of two versions that differ in one policy, after loading.
#[divan::bench(args = ["ladder-10k", "ladder-150k"], sample_count = 10, sample_size = 1, max_time = 30)]
fn diff_of_one_policy(bencher: Bencher<'_, '_>, shape: &str) {
    let loaded = loaded(shape);
    let (cluster, policies) = &*loaded;
    let profile: Profile = "kube-network-policies".parse().expect("a profile");
    let changed = with_one_changed(policies);
    let version = |policies| Version { cluster, policies, profile: &profile };
    bencher.bench_local(|| diff(version(policies), version(&changed)));
}

/// Lowering the policies of a cluster, for scale.
#[divan::bench(args = ["ladder-10k", "real", "ladder-150k"], sample_count = 20, sample_size = 1, max_time = 10)]
fn lower(bencher: Bencher<'_, '_>, shape: &str) {
    let loaded = loaded(shape);
    bencher.bench_local(|| Policies::lower(&loaded.0));
}
