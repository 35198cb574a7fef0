//! Kubernetes label selectors into expressions.

use std::collections::HashSet;

use super::rule::{Expr, Op, Requirement, RequirementAt, Scope};
use crate::model::Str;
use crate::source::wire;

/// Shares equal strings of selectors.
#[derive(Default)]
pub(super) struct Strings(HashSet<Str>);

impl Strings {
    pub(super) fn get(&mut self, text: &str) -> Str {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Str = text.into();
        self.0.insert(new.clone());
        new
    }

    /// A selector over the labels of one scope; an empty one selects everything. An operator that is not known selects
    /// nothing: the loading edge refused it already.
    pub(super) fn selector(&mut self, selector: &wire::LabelSelector, scope: Scope) -> Expr {
        let mut all = Vec::with_capacity(selector.match_labels.len() + selector.match_expressions.len());
        for (key, value) in &selector.match_labels {
            all.push(Expr::Is(Requirement {
                scope,
                key: self.get(key),
                op: Op::In(vec![self.get(value)]),
                at: RequirementAt::MatchLabels,
            }));
        }
        for (index, requirement) in selector.match_expressions.iter().enumerate() {
            let values = |strings: &mut Self| requirement.values.iter().map(|v| strings.get(v)).collect();
            let op = match requirement.operator.as_str() {
                "In" => Op::In(values(self)),
                "NotIn" => Op::NotIn(values(self)),
                "Exists" => Op::Exists,
                "DoesNotExist" => Op::DoesNotExist,
                _ => return Expr::Nothing,
            };
            all.push(Expr::Is(Requirement {
                scope,
                key: self.get(&requirement.key),
                op,
                at: RequirementAt::Expression(index as u32),
            }));
        }
        match all.len() {
            0 => Expr::Anything,
            1 => all.swap_remove(0),
            _ => Expr::All(all),
        }
    }
}
