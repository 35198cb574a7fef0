//! The tables of patterns that class one line of text, and the engine that runs them.
//!
//! One line without its wrapping comes in, a class goes out. Order is precedence: a failed lookup
//! before a failed connection, what the system answered (`errno`) before what a driver made of it,
//! and both before lines that only lead up to an error. Patterns match families of wordings:
//! the system's messages in every language's spelling first, then what drivers say instead.

mod context;
mod dns;
mod drivers;
mod locale;
mod pool;
mod sockets;
mod tls;

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::LogClass;

/// A pattern and what it proves.
pub(super) struct Rule {
    /// `None`: the line looks like a connection error and is none.
    pub(super) class: Option<LogClass>,
    pub(super) certain: bool,
    pub(super) runtime: Option<&'static str>,
    pub(super) pattern: &'static str,
}

/// The line alone settles the class.
const fn sure(class: LogClass, pattern: &'static str) -> Rule {
    Rule { class: Some(class), certain: true, runtime: None, pattern }
}

/// The class is likely, and the line alone does not settle it.
const fn likely(class: LogClass, pattern: &'static str) -> Rule {
    Rule { class: Some(class), certain: false, runtime: None, pattern }
}

/// Looks like an error of the network and is none.
const fn none(pattern: &'static str) -> Rule {
    Rule { class: None, certain: true, runtime: None, pattern }
}

const fn by(runtime: &'static str, mut rule: Rule) -> Rule {
    rule.runtime = Some(runtime);
    rule
}

/// What a line was found to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) class: LogClass,
    pub(super) certain: bool,
    pub(super) runtime: Option<&'static str>,
    /// Where in the line the words stand that settled it.
    pub(super) at: usize,
}

/// A set of patterns that is run at once, and each of them by itself.
pub(super) struct Table<T: 'static> {
    pub(super) rows: Vec<&'static T>,
    set: RegexSet,
    patterns: Vec<&'static str>,
    compiled: Vec<OnceLock<Option<Regex>>>,
}

impl<T> Table<T> {
    pub(super) fn new(rows: Vec<&'static T>, pattern: fn(&'static T) -> &'static str) -> Self {
        let patterns: Vec<&'static str> = rows.iter().map(|row| pattern(row)).collect();
        let relaxed: Vec<String> = patterns.iter().map(|pattern| relax(pattern)).collect();
        let set = RegexSetBuilder::new(&relaxed)
            .case_insensitive(true)
            .unicode(false)
            .size_limit(64 << 20)
            .dfa_size_limit(64 << 20)
            .build()
            .unwrap_or_else(|_| RegexSet::empty());
        let compiled = patterns.iter().map(|_| OnceLock::new()).collect();
        Table { rows, set, patterns, compiled }
    }

    /// The rows whose pattern is in the line, in order.
    pub(super) fn matches<'a>(&'a self, line: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.set
            .matches(line.as_bytes())
            .into_iter()
            .filter(move |row| self.regex(*row).is_some_and(|regex| regex.is_match(line.as_bytes())))
    }

    /// The pattern of one row. `None` only for a pattern that does not compile, which the tests
    /// rule out.
    pub(super) fn regex(&self, row: usize) -> Option<&Regex> {
        let pattern = *self.patterns.get(row)?;
        self.compiled
            .get(row)?
            .get_or_init(|| RegexBuilder::new(pattern).case_insensitive(true).unicode(false).build().ok())
            .as_ref()
    }

    #[cfg(test)]
    pub(super) fn compiles(&self) -> bool {
        self.set.len() == self.rows.len() && (0..self.rows.len()).all(|row| self.regex(row).is_some())
    }
}

/// A pattern without the bounds of its gaps: it matches what the pattern matches, and more. Counted
/// gaps make an automaton of hundreds of patterns too large to run; the few rows that it finds are
/// then tried as they were written.
fn relax(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(start) = rest.find(['{']) {
        let (head, tail) = rest.split_at(start);
        out.push_str(head);
        let count = tail.find('}').and_then(|end| Some((tail.get(1..end)?, tail.get(end + 1..)?)));
        match count {
            Some((bounds, after))
                if !head.ends_with('\\')
                    && bounds.contains(',')
                    && bounds.bytes().all(|b| b.is_ascii_digit() || b == b',') =>
            {
                out.push(if bounds.starts_with('0') { '*' } else { '+' });
                rest = after;
            }
            _ => {
                out.push('{');
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

pub(super) static RULES: LazyLock<Table<Rule>> = LazyLock::new(|| {
    let rows = [
        sockets::EXCEPTIONS,
        dns::RULES,
        tls::RULES,
        pool::RULES,
        sockets::RULES,
        locale::RULES,
        drivers::RULES,
        context::RULES,
    ]
    .into_iter()
    .flatten()
    .collect();
    Table::new(rows, |rule: &'static Rule| rule.pattern)
});

/// The class of one line, or nothing.
pub(super) fn classify(line: &str) -> Option<Class> {
    let mut matches = RULES.matches(line);
    let first = matches.next()?;
    let rule = RULES.rows.get(first)?;
    let class = rule.class?;
    let at = RULES.regex(first).and_then(|regex| regex.find(line.as_bytes())).map_or(0, |found| found.start());
    let runtime = rule.runtime.or_else(|| matches.filter_map(|row| RULES.rows.get(row)).find_map(|rule| rule.runtime));
    Some(Class { class, certain: rule.certain, runtime, at })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        assert!(super::RULES.compiles());
    }

    #[test]
    fn relaxing_takes_counts_away_and_nothing_else() {
        for (pattern, relaxed) in [
            (r"a.{0,40}b", "a.*b"),
            (r"a.{1,80}?b", "a.+?b"),
            (r"\{0,1\}", r"\{0,1\}"),
            (r"\d{4}-\d\d", r"\d{4}-\d\d"),
            (r"\d{2,5}\b", r"\d+\b"),
        ] {
            assert_eq!(super::relax(pattern), relaxed);
        }
    }
}
