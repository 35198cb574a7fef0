//! The cluster that the flags choose: connecting, what it refuses, what it hides.

use crate::cli::Global;
use crate::live::{ConnectOptions, Gathered, LiveError, Scope, Session};

use super::Output;

/// Connects as the flags say.
pub(super) fn connect(global: &Global, output: &mut Output) -> Option<Session> {
    let flags = &global.cluster;
    let options = ConnectOptions {
        context: flags.context.clone(),
        kubeconfig: flags.kubeconfig.clone(),
        impersonate: flags.impersonate.clone(),
        groups: flags.as_group.clone(),
        timeout: flags.request_timeout,
    };
    match Session::connect(&options, !global.quiet) {
        Ok(session) => Some(session),
        Err(error) => {
            refuse(&error, output);
            None
        }
    }
}

/// What `-n` and `-A` choose.
pub(super) fn scope(global: &Global, namespace: &str) -> Scope {
    if global.all_namespaces { Scope::Cluster } else { Scope::Namespaces(vec![namespace.to_owned()]) }
}

/// Writes why the cluster can't be read.
pub(super) fn refuse(error: &LiveError, output: &mut Output) {
    output.error(&error.message);
    for help in &error.helps {
        output.help(help);
    }
    if !error.roles.is_empty() {
        output.error_block(&format!("\n{}", error.roles));
    }
}

/// Writes what was read, and the roles that would show more.
pub(super) fn tell(global: &Global, gathered: &Gathered, output: &mut Output) {
    if global.verbose > 0 {
        output.note(&format!("note: read with {} requests\n", gathered.requests));
        if let (None, Some(plugin)) = (&global.cni, gathered.plugin) {
            output.note(&format!("note: the cluster's network plugin is {plugin}, by its APIs\n"));
        }
    }
    let roles = gathered.roles();
    if roles.is_empty() {
        return;
    }
    let what: Vec<String> = gathered.unread.iter().map(|u| u.what.clone()).collect();
    output.note(&format!(
        "note: you may not read {}; to know more, ask for\n{roles}\n",
        crate::report::safe(&what.join(", "))
    ));
}
