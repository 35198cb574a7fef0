//! The causes, each with its code and its name in machine output.

use std::fmt;

macro_rules! causes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal $title:literal;)*) => {
        /// Why a pod fails.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Cause {
            $($(#[$doc])* $variant,)*
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &'static [Cause] = &[$(Cause::$variant,)*];

            /// Stable code.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Name in machine output.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What people call it.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

causes! {
    /// A policy stops the connection to a dependency.
    PolicyBlocked = "NC2001" "policy-blocked" "a policy blocks the connection";
    /// A policy stops name resolution.
    DnsBlocked = "NC2002" "dns-blocked" "a policy blocks DNS";
    /// No policy is at fault, and the name servers don't answer.
    DnsDown = "NC2003" "dns-down" "DNS doesn't answer";
    /// The name doesn't exist.
    NameNotFound = "NC2004" "name-not-found" "the name does not exist";
    /// The Service has no endpoint that is ready.
    NoEndpoints = "NC2005" "no-endpoints" "the Service has no endpoints";
    /// The dependency doesn't run or doesn't listen.
    DependencyDown = "NC2006" "dependency-down" "the dependency is down";
    /// The dependency was reached and doesn't serve in time.
    SlowDependency = "NC2007" "slow-dependency" "the dependency is too slow or not ready";
    /// The dependency turned the credentials down.
    AuthFailed = "NC2008" "auth-failed" "the dependency refuses the credentials";
    /// TCP works, TLS doesn't.
    Tls = "NC2009" "tls" "the TLS handshake fails";
    /// The Service doesn't have the port that is dialled.
    WrongPort = "NC2010" "wrong-port" "the Service has no such port";
    /// The kernel killed it for its memory.
    Oom = "NC2020" "oom" "out of memory";
    /// The JVM's heap doesn't fit.
    JvmHeap = "NC2021" "jvm-heap" "the JVM's heap does not fit";
    /// The application's own error.
    AppError = "NC2022" "app-error" "the application fails";
    /// It ends with success, and is restarted for that.
    ExitZero = "NC2023" "exit-zero" "the program ends, and is restarted";
    /// There is no such program.
    CommandNotFound = "NC2024" "command-not-found" "there is no such command";
    /// The program is for another architecture or has no interpreter.
    ExecFormat = "NC2025" "exec-format" "the program can't run on this node";
    /// A fault of its machine code.
    Segfault = "NC2026" "segfault" "the program crashes in native code";
    /// It was asked to stop.
    Sigterm = "NC2027" "sigterm" "the program was stopped";
    /// It was killed, and nothing says by whom.
    Sigkill = "NC2028" "sigkill" "the program was killed";
    /// Two programs want one port.
    PortClash = "NC2029" "port-clash" "the port is taken";
    /// It may not do what it does.
    Permission = "NC2030" "permission" "a permission is missing";
    /// A disk is full.
    DiskFull = "NC2031" "disk-full" "no space left";
    /// The liveness probe asks for the wrong thing.
    LivenessWrong = "NC2040" "liveness-wrong" "the liveness probe is wrong";
    /// The liveness probe doesn't wait for the start.
    LivenessTooEarly = "NC2041" "liveness-too-early" "the liveness probe starts too early";
    /// It runs and isn't ready.
    ReadinessOnly = "NC2042" "readiness-only" "it runs, and is not ready";
    /// The image can't be had.
    ImagePull = "NC2050" "image-pull" "the image can't be pulled";
    /// A ConfigMap, a Secret or a key of a ConfigMap isn't there.
    MissingConfig = "NC2051" "missing-config" "configuration is missing";
    /// A key isn't in its Secret.
    MissingSecretKey = "NC2052" "missing-secret-key" "the Secret lacks a key";
    /// A claim isn't bound, or a volume isn't mounted.
    Pvc = "NC2053" "pvc" "a volume is missing";
    /// No node takes it.
    Unschedulable = "NC2054" "unschedulable" "no node takes the pod";
    /// An init container fails.
    InitFailed = "NC2055" "init-failed" "an init container fails";
    /// The kubelet can't make the container.
    ContainerCreate = "NC2056" "container-create" "the container can't be made";
    /// The pod's network can't be made.
    Sandbox = "NC2057" "sandbox" "the pod's network can't be set up";
    /// The node is short of something, or gone.
    NodePressure = "NC2060" "node-pressure" "the node is in trouble";
    /// The node asked it to leave.
    Evicted = "NC2061" "evicted" "the pod was evicted";
}

impl Cause {
    /// Whether a policy is at fault.
    pub fn is_policy(self) -> bool {
        matches!(self, Self::PolicyBlocked | Self::DnsBlocked)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Possible; nothing better was found.
    Low,
    /// Likely.
    Medium,
    /// As good as proven by what is quoted.
    High,
}

impl Confidence {
    /// As machine output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// Of a score (CRASH.md's "Score, then confirm"): 6 and above is high, 3 and above medium.
    pub fn of(score: i32) -> Self {
        match score {
            6.. => Self::High,
            3..=5 => Self::Medium,
            _ => Self::Low,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_and_names_are_unique() {
        let codes: BTreeSet<_> = Cause::ALL.iter().map(|c| c.code()).collect();
        let names: BTreeSet<_> = Cause::ALL.iter().map(|c| c.name()).collect();
        assert_eq!((codes.len(), names.len()), (Cause::ALL.len(), Cause::ALL.len()));
        assert!(codes.iter().all(|c| c.starts_with("NC2")));
    }
}
