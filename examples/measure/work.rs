//! A shape, read and lowered, and what is done with it once.

use netcheck::analysis::diff::{Version, diff};
use netcheck::model::{BuildOptions, Cluster};
use netcheck::policy::profile::compose;
use netcheck::policy::{Composition, Direction, Edits, Policies, Profile};
use netcheck::reach::matrix::{Engine, Matrix, Options};
use netcheck::source::{Options as LoadOptions, load_text};

/// A cluster in memory.
pub struct Loaded {
    pub cluster: Cluster,
    pub policies: Policies,
    pub profile: Profile,
    pub compositions: Vec<Composition>,
}

impl Loaded {
    /// Generates and reads a shape.
    pub fn new(shape: &str, cni: &str) -> Result<Self, String> {
        let mut text = Vec::new();
        if !crate::shapes::write(shape, true, &mut text).map_err(|e| e.to_string())? {
            return Err(format!("unknown shape `{shape}`: one of {}", crate::shapes::NAMES.join(", ")));
        }
        let text = String::from_utf8(text).map_err(|e| e.to_string())?;
        let input = load_text("generated.json", &text, &LoadOptions::default()).map_err(|e| e.to_string())?;
        let cluster = Cluster::build(input.objects, &BuildOptions::default()).map_err(|e| format!("{e:?}"))?;
        let policies = Policies::lower(&cluster);
        let profile: Profile = cni.parse()?;
        let compositions = compose(&policies, &profile);
        Ok(Self { cluster, policies, profile, compositions })
    }

    /// All pairs: classes, sets, every row.
    pub fn matrix(&self) -> Matrix<'_> {
        Matrix::build(&self.cluster, &self.policies, &self.compositions, Options::default())
    }

    /// The same policies, but one of them in the middle allows nothing any more in this direction.
    pub fn with_one_changed(&self, direction: Direction) -> Policies {
        let mut changed = self.policies.clone();
        let list = std::sync::Arc::make_mut(match direction {
            Direction::Ingress => &mut changed.network.ingress,
            Direction::Egress => &mut changed.network.egress,
        });
        let middle = list.len() / 2;
        if let Some(policy) = list[middle..].iter_mut().find(|p| !p.rules.is_empty()) {
            policy.rules.clear();
        }
        changed
    }

    /// All pairs, ready for these policies.
    pub fn engine(&self, changed: &Policies) -> Result<Engine<'_>, String> {
        let edits = self.edits(changed)?;
        Ok(Engine::new(&self.cluster, &self.policies, &self.profile, &[&edits], Options::default()))
    }

    /// What differs.
    pub fn edits<'p>(&'p self, changed: &'p Policies) -> Result<Edits<'p>, String> {
        Edits::between(&self.policies, changed).ok_or_else(|| "what can't be evaluated differs".to_owned())
    }

    /// Lays changed policies over all pairs; how many groups of servers may differ.
    pub fn revise(&self, engine: &Engine<'_>, changed: &Policies, edits: &Edits<'_>) -> Option<usize> {
        engine.revise(&self.policies, changed, &self.profile, edits).map(|revision| revision.changed.len())
    }

    /// How many changes a change of one policy makes.
    pub fn changes(&self, changed: &Policies) -> usize {
        let version = |policies| Version { cluster: &self.cluster, policies, profile: &self.profile };
        diff(version(&self.policies), version(changed)).changes.len()
    }
}
