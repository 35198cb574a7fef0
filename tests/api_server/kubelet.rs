//! The part of a kubelet: containers that were added are run by what the test gave, and their states told.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Reply, Request, State};

/// Runs what a request that was answered has added.
pub(super) fn run(request: &Request, reply: &Reply, state: &Arc<Mutex<State>>) {
    let dry = request.query("dryRun").is_some();
    let patch = request.method == "PATCH" && request.path.ends_with("/ephemeralcontainers");
    let post = request.method == "POST" && request.path.ends_with("/pods");
    if dry || reply.code >= 300 || !(patch || post) {
        return;
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (list, statuses) =
        if patch { ("ephemeralContainers", "ephemeralContainerStatuses") } else { ("containers", "containerStatuses") };
    let name = match patch {
        true => request.path.rsplit('/').nth(1).unwrap_or_default().to_owned(),
        false => body["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
    };
    let Some(kubelet) = state.lock().expect("no panic in the server").kubelet.clone() else { return };
    for container in body["spec"][list].as_array().cloned().unwrap_or_default() {
        let (kubelet, state, pod) = (kubelet.clone(), state.clone(), name.clone());
        std::thread::spawn(move || {
            tell(&state, &pod, statuses, &container, json!({"waiting": {"reason": "ContainerCreating"}}), true);
            // What takes a while is told to run.
            let (done, waits) = mpsc::channel::<()>();
            let running = {
                let (state, pod, container) = (state.clone(), pod.clone(), container.clone());
                std::thread::spawn(move || {
                    if waits.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
                        tell(&state, &pod, statuses, &container, json!({"running": {}}), false);
                    }
                })
            };
            let mut placed = container.clone();
            placed["inPod"] = pod.clone().into();
            let end = kubelet(&placed);
            let _ = done.send(());
            let _ = running.join();
            if let Some(end) = end {
                tell(&state, &pod, statuses, &container, end, false);
            } else {
                forget(&state, &pod, statuses);
            }
        });
    }
}

fn tell(state: &Mutex<State>, pod: &str, statuses: &str, container: &Value, now: Value, first: bool) {
    let mut state = state.lock().expect("no panic in the server");
    let Some(object) = state.objects.iter_mut().find(|o| o["kind"] == "Pod" && o["metadata"]["name"] == pod) else {
        return;
    };
    let mut all = object["status"][statuses].as_array().cloned().unwrap_or_default();
    if !first {
        all.retain(|s| s["name"] != container["name"]);
    }
    all.push(json!({"name": container["name"], "image": container["image"], "state": now, "lastState": {}}));
    object["status"][statuses] = all.into();
}

fn forget(state: &Mutex<State>, pod: &str, statuses: &str) {
    let mut state = state.lock().expect("no panic in the server");
    if let Some(object) = state.objects.iter_mut().find(|o| o["kind"] == "Pod" && o["metadata"]["name"] == pod) {
        object["status"][statuses] = json!([]);
    }
}
