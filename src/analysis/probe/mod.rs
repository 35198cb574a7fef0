//! The packets beside the policies: what to try for a check, and what the classes that came back say of its verdict.
//!
//! A check comes in and [`plan`] names targets for the probe agent; their records come back and [`judge`] holds them against
//! the static verdict, target by target. It knows nothing of clusters that answer or of containers: that is `live::probe`.

mod judge;
mod locate;
mod plan;
mod sample;
mod wire;

pub use judge::{Agreement, Context, Enforcement, Finding, Judgement, judge};
pub use locate::{Burst, End, Located, Place, locate};
pub use plan::{Item, Plan, Role, plan};
pub use sample::{Tally, sample};
pub use wire::{On, Passed, logged, seen};
