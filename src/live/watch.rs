//! Pods as they change: a list in pages, then a watch from there on, taken up again where it ends.
//!
//! Each pod is handed on and forgotten: memory holds one page, or one line. A connection that breaks is made again from where
//! it was, after a growing pause; where the server has forgotten that place (410), the list is read anew.

use std::time::Duration;

use futures::AsyncBufReadExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Session;
use super::ask::{Ask, PODS};
use super::client::JSON;
use super::error::{LiveError, Trouble};

/// How long the server is asked to let one watch last, in seconds.
const LASTS: u32 = 300;
/// Bytes of one line of a watch: more than etcd lets an object have.
const LINE: usize = 8 << 20;
/// The longest pause before a connection is made again.
const PAUSE: Duration = Duration::from_secs(30);

/// What happens to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It is there, or has changed.
    Seen,
    /// It is gone.
    Gone,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    On,
    /// Enough.
    Stop,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    metadata: Version,
    /// Of a Status.
    code: Option<u16>,
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Version {
    resource_version: String,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: Version,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// How a watch ended.
enum Ended {
    /// Enough was seen.
    Stopped,
    /// The server ended it, or the connection broke: there is more from here on.
    Broken,
    /// The server doesn't remember so far back.
    Forgotten,
}

impl Session {
    /// Hands out pods of a namespace, or of all, as they are and as they change, until `each` has enough or the user stops it.
    /// `trouble` is told why the connection has to be made again.
    pub fn watch_pods(
        &self,
        namespace: Option<&str>,
        mut each: impl FnMut(Happening, &[u8]) -> Next,
        mut trouble: impl FnMut(&str),
    ) -> Result<(), LiveError> {
        let ask = match namespace {
            Some(namespace) => Ask::list(PODS, namespace),
            None => Ask::everywhere(PODS),
        };
        self.runtime.block_on(async {
            tokio::select! {
                result = self.follow(&ask, &mut each, &mut trouble) => result,
                () = super::interrupt::interrupted() => Ok(()),
            }
        })
    }

    async fn follow(
        &self,
        ask: &Ask,
        each: &mut impl FnMut(Happening, &[u8]) -> Next,
        trouble: &mut impl FnMut(&str),
    ) -> Result<(), LiveError> {
        let mut pause = Duration::from_secs(1);
        let mut version: Option<String> = None;
        let mut first = true;
        loop {
            let from = match version.take() {
                Some(version) => version,
                None => match self.list(ask, each).await {
                    Ok(Some(version)) => version,
                    Ok(None) => return Ok(()),
                    // What is wrong from the start is wrong; what goes wrong later may pass.
                    Err(error) if first || !passes(&error) => return Err(error),
                    Err(error) => {
                        trouble(&error.message);
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PAUSE);
                        continue;
                    }
                },
            };
            first = false;
            let mut at = from;
            let began = std::time::Instant::now();
            match self.watch(ask, &mut at, each).await {
                Ok(Ended::Stopped) => return Ok(()),
                Ok(Ended::Forgotten) => {}
                Ok(Ended::Broken) => {
                    version = Some(at);
                    // One that ends as soon as it begins would be asked for without a pause.
                    if began.elapsed() < Duration::from_secs(5) {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PAUSE);
                    } else {
                        pause = Duration::from_secs(1);
                    }
                }
                Err(error) if !passes(&error) => return Err(error),
                Err(error) => {
                    trouble(&error.message);
                    version = Some(at);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE);
                }
            }
        }
    }

    /// All pods there are now; the version from which to watch, none where enough was seen.
    async fn list(
        &self,
        ask: &Ask,
        each: &mut impl FnMut(Happening, &[u8]) -> Next,
    ) -> Result<Option<String>, LiveError> {
        let state = std::cell::RefCell::new((String::new(), Next::On));
        let each = std::cell::RefCell::new(each);
        let page = |body: Vec<u8>| {
            let read = serde_json::from_slice::<Page<'_>>(&body);
            match read {
                Ok(page) => {
                    let mut state = state.borrow_mut();
                    state.0 = page.metadata.resource_version;
                    for item in page.items.unwrap_or_default() {
                        if state.1 == Next::On {
                            state.1 = (each.borrow_mut())(Happening::Seen, item.get().as_bytes());
                        }
                    }
                    Ok(())
                }
                Err(_) => Err(LiveError::new(Trouble::Protocol, "the list of pods can't be read")),
            }
        };
        self.api.pages(&ask.path(), JSON, &ask.describe(), Vec::new, page, || {}).await?;
        let (version, next) = state.into_inner();
        Ok((next == Next::On).then_some(version))
    }

    /// What changes from a version on, which moves along.
    async fn watch(
        &self,
        ask: &Ask,
        version: &mut String,
        each: &mut impl FnMut(Happening, &[u8]) -> Next,
    ) -> Result<Ended, LiveError> {
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={LASTS}&resourceVersion={}",
            ask.path(),
            super::client::encode(version)
        );
        let body = match self.api.stream(&path, &ask.describe()).await {
            Ok(body) => body,
            Err(error) if error.trouble == Trouble::Gone => return Ok(Ended::Forgotten),
            Err(error) => return Err(error),
        };
        let mut body = std::pin::pin!(body);
        let mut held: Vec<u8> = Vec::new();
        // A server that falls silent without an end is left after its own time and a little.
        let patience = Duration::from_secs(u64::from(LASTS) + 30);
        loop {
            let read = match tokio::time::timeout(patience, body.fill_buf()).await {
                Ok(Ok(frame)) if !frame.is_empty() => {
                    held.extend_from_slice(frame);
                    frame.len()
                }
                _ => return Ok(Ended::Broken),
            };
            body.consume_unpin(read);
            let mut start = 0;
            while let Some(end) = held[start..].iter().position(|b| *b == b'\n') {
                let line = &held[start..start + end];
                start += end + 1;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Ok(Ended::Broken) };
                let head: Head = serde_json::from_str(line.object.get()).unwrap_or_default();
                let happening = match line.kind {
                    "ADDED" | "MODIFIED" => Happening::Seen,
                    "DELETED" => Happening::Gone,
                    "BOOKMARK" => {
                        *version = head.metadata.resource_version;
                        continue;
                    }
                    _ if head.code == Some(410) => return Ok(Ended::Forgotten),
                    _ => {
                        let said = head.message.unwrap_or_else(|| "the watch failed".to_owned());
                        return Err(LiveError::new(Trouble::Server, said));
                    }
                };
                *version = head.metadata.resource_version;
                if each(happening, line.object.get().as_bytes()) == Next::Stop {
                    return Ok(Ended::Stopped);
                }
            }
            held.drain(..start);
            if held.len() > LINE {
                return Ok(Ended::Broken);
            }
        }
    }
}

/// Whether trouble may pass by itself.
fn passes(error: &LiveError) -> bool {
    matches!(
        error.trouble,
        Trouble::Unreachable | Trouble::Timeout | Trouble::Busy | Trouble::Server | Trouble::Broken | Trouble::Gone
    )
}
