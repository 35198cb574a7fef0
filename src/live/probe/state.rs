//! How far a container has come, read from its status; states that never end are told apart from those that pass.

use serde::Deserialize;

use super::super::error::{LiveError, Trouble, shorten};

/// `status.containerStatuses[]`, as far as it matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) state: Written,
    pub(super) last_state: Written,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Written {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<Running>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    reason: String,
    message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Running {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    reason: String,
    message: String,
}

/// How far a container has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The kubelet has not said anything.
    Unseen,
    /// It will start, as far as can be told: with the reason it waits for.
    Starting(String),
    /// It runs.
    Running,
    /// It has ended: its exit code and its last words.
    Ended { code: i32, words: String },
    /// It will never run: why.
    Broken { reason: String, message: String },
}

/// Reasons for which a container waits and then starts.
const PASSING: [&str; 3] = ["", "ContainerCreating", "PodInitializing"];

/// The state of a container among those of a pod.
pub(super) fn of(statuses: &[ContainerStatus], name: &str) -> State {
    let Some(status) = statuses.iter().find(|s| s.name == name) else { return State::Unseen };
    let started = |t: &Terminated| !is_stillborn(t);
    if let Some(ended) =
        status.state.terminated.as_ref().or(status.last_state.terminated.as_ref().filter(|t| started(t)))
    {
        return match is_stillborn(ended) {
            true => State::Broken { reason: ended.reason.clone(), message: ended.message.clone() },
            false => State::Ended { code: ended.exit_code, words: ended.message.clone() },
        };
    }
    match (&status.state.waiting, &status.state.running) {
        (Some(waiting), _) if never_ends(&waiting.reason) => {
            State::Broken { reason: waiting.reason.clone(), message: waiting.message.clone() }
        }
        (Some(waiting), _) => State::Starting(waiting.reason.clone()),
        (None, Some(_)) => State::Running,
        // A state that says nothing is a container that waits (API reference, ContainerState).
        (None, None) => State::Starting(String::new()),
    }
}

/// A container that ended before its command ran: the runtime could not start it.
fn is_stillborn(terminated: &Terminated) -> bool {
    matches!(terminated.reason.as_str(), "StartError" | "ContainerCannotRun" | "ContainerStatusUnknown")
}

/// Whether a container that waits for this reason waits for ever: `ErrImagePull`, `ImagePullBackOff`,
/// `InvalidImageName`, `ErrImageNeverPull`, `CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`,
/// `RegistryUnavailable`, `SignatureValidationFailed` and whatever is named like them. An image that can't be pulled now
/// may come later; who waits at a terminal would rather know.
fn never_ends(reason: &str) -> bool {
    !PASSING.contains(&reason)
        && (reason.starts_with("Err")
            || reason.starts_with("Invalid")
            || ["Error", "BackOff", "Unavailable", "Failed"].iter().any(|end| reason.ends_with(end)))
}

/// Why a container never ran, with what to do about it.
pub(super) fn broken(what: &str, image: &str, reason: &str, message: &str) -> LiveError {
    let said = shorten(message);
    let because = if said.is_empty() { reason.to_owned() } else { format!("{reason}: {said}") };
    let error = LiveError::new(Trouble::NotStarted, format!("{what} does not start: {because}"));
    let pull = ["Pull", "ImageName", "Registry", "ImageInspect", "Signature"].iter().any(|word| reason.contains(word));
    if pull {
        return error.help(format!(
            "the node can't get `{image}`: name one it can get with --probe-image, such as a mirror of it, or --probe-image @target for the pod's own"
        ));
    }
    if said.contains("runAsNonRoot") || said.contains("non-numeric user") {
        return error.help("the image's user is root or a name: give another image with --probe-image");
    }
    if matches!(reason, "RunContainerError" | "StartError" | "ContainerCannotRun" | "CreateContainerError") {
        return error.help(format!(
            "`{image}` does not hold the program that the probe runs: give another one with --probe-image"
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str) -> State {
        of(&[serde_json::from_str(status).expect(status)], "a")
    }

    #[test]
    fn states_of_a_real_kubelet() {
        let broken = |s: State| matches!(s, State::Broken { .. });
        assert_eq!(of(&[], "a"), State::Unseen);
        assert_eq!(state(r#"{"name":"b","state":{}}"#), State::Unseen);
        assert_eq!(state(r#"{"name":"a","state":{}}"#), State::Starting(String::new()));
        assert_eq!(
            state(r#"{"name":"a","state":{"waiting":{"reason":"ContainerCreating"}},"lastState":{}}"#),
            State::Starting("ContainerCreating".to_owned())
        );
        assert_eq!(state(r#"{"name":"a","state":{"running":{"startedAt":"2026-11-21T04:01:13Z"}}}"#), State::Running);
        assert_eq!(
            state(r#"{"name":"a","state":{"terminated":{"exitCode":1,"reason":"Error","message":"x"}}}"#),
            State::Ended { code: 1, words: "x".to_owned() }
        );
        for reason in [
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "ErrImageNeverPull",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "RegistryUnavailable",
            "SignatureValidationFailed",
        ] {
            let text = format!(r#"{{"name":"a","state":{{"waiting":{{"reason":"{reason}","message":"m"}}}}}}"#);
            assert!(broken(state(&text)), "{reason}");
        }
        assert!(broken(state(
            r#"{"name":"a","state":{"terminated":{"exitCode":128,"reason":"StartError","message":"no"}}}"#
        )));
        assert!(broken(state(
            r#"{"name":"a","state":{"waiting":{"reason":"RunContainerError","message":"no such file"}},
                "lastState":{"terminated":{"exitCode":128,"reason":"StartError","message":"no such file"}}}"#
        )));
    }
}
