//! Whether one selector, peer or port list holds all that another does, from what is written alone.
//!
//! Pods that happen to exist don't count: a rule that is covered today by accident is no finding. "No" may also mean that
//! it can't be told.

use super::facts::NAME_LABEL;
use crate::policy::rule::{Block, Expr, L4, Match, Op, Peer, PortMatch, Ports, Requirement, Rule, Scope, Term};

/// Whether everything that `a` selects, `b` selects too.
pub(super) fn implies(a: &Expr, b: &Expr) -> bool {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    if !conjuncts(a, &mut of_a) {
        return true;
    }
    if !conjuncts(b, &mut of_b) {
        return false;
    }
    of_b.iter().all(|b| of_a.iter().any(|a| conjunct(a, b)))
}

/// The conjuncts of an expression; false where it selects nothing.
fn conjuncts<'e>(e: &'e Expr, out: &mut Vec<&'e Expr>) -> bool {
    match e {
        Expr::Anything => true,
        Expr::Nothing => false,
        Expr::All(all) => all.iter().all(|e| conjuncts(e, out)),
        other => {
            out.push(other);
            true
        }
    }
}

fn conjunct(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Is(a), Expr::Is(b)) => requirement(a, b),
        _ => a == b,
    }
}

fn requirement(a: &Requirement, b: &Requirement) -> bool {
    // Every namespace carries its name as a label.
    let looks_at = |r: &Requirement| match r.scope {
        Scope::NamespaceName => (Scope::Namespace, NAME_LABEL.to_owned()),
        scope => (scope, r.key.to_string()),
    };
    if looks_at(a) != looks_at(b) {
        return false;
    }
    match (&a.op, &b.op) {
        (Op::In(x), Op::In(y)) => x.iter().all(|v| y.contains(v)),
        (Op::In(x), Op::NotIn(y)) => !x.iter().any(|v| y.contains(v)),
        (Op::NotIn(x), Op::NotIn(y)) => y.iter().all(|v| x.contains(v)),
        (Op::DoesNotExist, Op::NotIn(_)) | (Op::In(_), Op::Exists) => true,
        (x, y) => x == y,
    }
}

/// Whether `b` holds every endpoint that `a` does.
pub(super) fn peers(a: &Match, b: &Match) -> bool {
    match (a, b) {
        (_, Match::Any) => true,
        (Match::Any, Match::OneOf(_)) => false,
        (Match::OneOf(a), Match::OneOf(b)) => a.iter().all(|a| b.iter().any(|b| peer(a, b))),
    }
}

/// Every term of `b` must follow from a term of `a`.
fn peer(a: &Peer, b: &Peer) -> bool {
    b.terms.iter().all(|b| a.terms.iter().any(|a| term(a, b)))
}

fn term(a: &Term, b: &Term) -> bool {
    match (a, b) {
        (Term::Pods(a), Term::Pods(b)) | (Term::Nodes(a), Term::Nodes(b)) => implies(a, b),
        (Term::Cidr(a, x), Term::Cidr(b, y)) => x == y && a.iter().all(|a| b.iter().any(|b| block(a, b))),
        // A peer of a kind that isn't known equals no other.
        (Term::Unknown, _) | (_, Term::Unknown) => false,
        _ => a == b,
    }
}

fn block(a: &Block, b: &Block) -> bool {
    let apart = |x: &ipnet::IpNet, y: &ipnet::IpNet| !x.contains(y) && !y.contains(x);
    b.cidr.contains(&a.cidr)
        && b.except.iter().all(|hole| apart(hole, &a.cidr) || a.except.iter().any(|mine| mine.contains(hole)))
}

/// Whether `b` holds every port that `a` does.
pub(super) fn l4(a: &L4, b: &L4) -> bool {
    match (a, b) {
        (_, L4::Any) => true,
        (L4::Any, L4::OneOf(_)) => false,
        (L4::OneOf(a), L4::OneOf(b)) => a.iter().all(|a| b.iter().any(|b| port(a, b))),
    }
}

fn port(a: &PortMatch, b: &PortMatch) -> bool {
    if b.protocol.is_some() && a.protocol != b.protocol {
        return false;
    }
    match (&a.ports, &b.ports) {
        (_, Ports::All) => true,
        (Ports::Range(first, last), Ports::Range(from, to)) => from <= first && last <= to,
        (a, b) => a == b,
    }
}

/// Whether a rule matches every connection, as far as the side across and the port go, that another does.
pub(super) fn rule(a: &Rule, b: &Rule) -> bool {
    l4(&a.l4, &b.l4) && peers(&a.source, &b.source) && peers(&a.destination, &b.destination)
}
