//! The rule model against the truth tables of two dialects, lowered by hand: what their loaders will produce must be
//! expressible and evaluate as their sources say. Row numbers are those of the tables; past
//! their ends, of rows without a number.

mod calico;
mod cilium;
mod newer;
mod world;
