//! Logs from a directory: `NAMESPACE_POD_CONTAINER.log` and `NAMESPACE_POD_CONTAINER.previous.log`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::analysis::why::facts::Facts;
use crate::analysis::why::{ContainerLog, Logs, Subject};

/// Bytes of a log that are read: its end, where it says why it ended.
const LOG_BYTES: u64 = 4 << 20;
/// Bytes of a log's start, where it says whom it dials.
const HEAD_BYTES: u64 = 1 << 18;

/// Logs of the pods in trouble, and of every pod of a namespace they may depend on: those that have a file.
pub(super) fn read_logs(directory: &Path, facts: &Facts, subjects: &[Subject]) -> io::Result<Logs> {
    let mut logs = Logs::default();
    std::fs::read_dir(directory)?;
    if subjects.is_empty() {
        return Ok(logs);
    }
    for (key, pod) in &facts.pods {
        let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        for container in containers {
            let stem = format!("{}_{}_{}", key.0, key.1, container.name);
            let log = ContainerLog {
                current: read_log(&directory.join(format!("{stem}.log")))?,
                previous: read_log(&directory.join(format!("{stem}.previous.log")))?,
            };
            if log.current.is_some() || log.previous.is_some() {
                logs.0.insert((key.0.clone(), key.1.clone(), container.name.clone()), log);
            }
        }
    }
    Ok(logs)
}

/// A log: all of it, or its head and its end.
fn read_log(path: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length > LOG_BYTES {
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut bytes)?;
        bytes.push(b'\n');
        file.seek(SeekFrom::Start(length - (LOG_BYTES - HEAD_BYTES)))?;
    }
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.trim().is_empty()))
}
