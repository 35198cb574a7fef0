//! `netcheck rbac`: the roles to ask for.

use crate::cli::{Global, RbacArgs};
use crate::live::rights::{Purpose, capture, further, rights, roles};

use super::{Exit, Output, cluster};

/// Prints the roles.
pub(super) fn run(global: &Global, args: &RbacArgs, output: &mut Output) -> Exit {
    let purpose = match args.what.as_str() {
        "probe" => Purpose::Probe,
        "why" => Purpose::Why,
        "snapshot" => Purpose::Snapshot,
        "check" => Purpose::Check,
        _ => Purpose::Survey,
    };
    let mut namespaces = args.namespaces.clone();
    if !global.all_namespaces {
        let own = match &global.namespace {
            Some(namespace) => namespace.clone(),
            None if namespaces.is_empty() => match cluster::connect(global, output) {
                Some(session) => session.namespace().to_owned(),
                None => return Exit::Error,
            },
            None => namespaces.remove(0),
        };
        namespaces.insert(0, own);
        namespaces.dedup();
    }
    output.text(&roles(&rights(purpose, &namespaces)));
    if purpose == Purpose::Probe {
        for flag in capture(&namespaces) {
            output.text(&further(&flag));
        }
    }
    Exit::Yes
}
