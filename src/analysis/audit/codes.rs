//! The codes of findings: one table, from which text, documents and tests are made.
//!
//! A code means the same for ever; one that is given up is not given to another finding. Codes below NC1010 are those of
//! reading: they are documented beside these, and drawn where objects are read.

use crate::source::Severity;

/// A code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Such as `NC1010`.
    pub id: &'static str,
    /// Its name, such as `policy-selects-nothing`.
    pub slug: &'static str,
    /// How grave its findings are; single ones may be less grave, none is graver.
    pub severity: Severity,
    /// What it is, in a line.
    pub title: &'static str,
}

impl Code {
    /// Its page, from the root of the project.
    pub fn page(&self) -> String {
        format!("docs/codes/{}.md", self.id)
    }
}

macro_rules! codes {
    ($($name:ident = $id:literal, $slug:literal, $severity:ident, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: &Code =
                &Code { id: $id, slug: $slug, severity: Severity::$severity, title: $title };
        )*
        /// Every code of the audit, in order.
        pub const ALL: &[&Code] = &[$($name),*];
    };
}

codes! {
    POLICY_SELECTS_NOTHING = "NC1010", "policy-selects-nothing", Warning, "a policy selects no pod";
    PEER_SELECTS_NOTHING = "NC1011", "peer-selects-nothing", Warning, "a peer of a rule selects no pod";
    LABEL_TYPO = "NC1012", "label-typo", Warning, "a selector names a label that no object has, and a near one exists";
    UNKNOWN_NAMESPACE = "NC1013", "unknown-namespace", Warning, "a rule names a namespace that doesn't exist";
    SERVICE_PORT = "NC1014", "service-port", Warning, "a rule names the Service's port, not the pod's";
    UNDECLARED_PORT = "NC1015", "undeclared-port", Note, "a rule names a port that no selected pod declares";
    UNKNOWN_PORT_NAME = "NC1016", "unknown-port-name", Warning, "a rule names a port that no selected pod has a name for";
    COVERED_RULE = "NC1017", "covered-rule", Note, "another rule allows all that this one allows";
    ALLOW_ALL = "NC1018", "allow-all-beside-narrow", Warning, "a rule that allows everything stands beside narrower ones";
    NO_DNS = "NC1019", "no-dns", Warning, "pods isolated for egress can't ask the cluster's DNS";
    NO_DEFAULT_DENY = "NC1020", "no-default-deny", Warning, "a namespace has no default deny for ingress";
    INTERNET = "NC1021", "open-to-the-internet", Warning, "pods can be reached from the internet";
    EVERYWHERE = "NC1022", "open-to-everyone", Note, "a rule lets every pod of every namespace in";
    SERVICE_UNREACHABLE = "NC1023", "service-unreachable", Warning, "no pod can reach a Service";
    CLIENT_BLOCKED = "NC1024", "client-blocked", Error, "policies stop a pod from a Service that its environment names";
    SERVICE_ADDRESS = "NC1025", "ip-block-of-services", Warning, "an ipBlock names addresses of Services, which policies don't see";
    POD_ADDRESS = "NC1026", "ip-block-of-pods", Note, "an ipBlock names addresses of pods, which network plugins read differently";
    SHADOWED_RULE = "NC1027", "shadowed-rule", Warning, "an earlier rule decides all that this one would";
    EQUAL_PRIORITY = "NC1028", "equal-priority", Warning, "cluster-wide policies of equal priority disagree";
    DEPRECATED_KIND = "NC1029", "deprecated-kind", Note, "a policy is of a kind that has a successor";
    NOT_EVALUATED = "NC1030", "not-evaluated", Note, "a policy can't be evaluated";
    UNUSED_SUPPRESSION = "NC1031", "unused-suppression", Warning, "a suppression matches no finding";
    ROUTE_BLOCKED = "NC1032", "route-blocked", Error, "policies stop an ingress controller or a Gateway from where a route leads";
    ROUTE_NOWHERE = "NC1033", "route-leads-nowhere", Warning, "an Ingress or a route leads nowhere";
}

/// The code of this name: its id in any case, or its slug.
pub fn code(text: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|c| c.id.eq_ignore_ascii_case(text) || c.slug == text)
}
