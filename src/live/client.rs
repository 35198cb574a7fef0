//! Requests to an API server: one at a time with bounded retries, or a list page by page. Only the probe sends anything
//! but GET.

use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::io::AsyncBufRead;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER};
use kube::client::Body;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};

use super::error::{LiveError, Trouble, of_client, of_status, timeout};

/// An API server.
pub(super) struct Api {
    client: kube::Client,
    /// Its address, for messages.
    server: String,
    /// How long one request may take.
    timeout: Duration,
    /// Requests that were sent, for messages and tests.
    pub(super) sent: AtomicUsize,
    /// Bytes that were received.
    pub(super) received: AtomicU64,
    /// Seconds that the server's clock is ahead of this one, by the last answer that told; `i64::MIN` where none did.
    ahead: AtomicI64,
}

/// How long a request may take where nothing was said.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is tried.
const TRIES: u32 = 4;
/// The longest that is waited because the server asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// Objects of a page; kubectl asks for as many.
const PAGE: usize = 500;
/// Bytes of one answer.
const LARGEST: usize = 1 << 30;

/// What a request expects.
pub(super) const JSON: &str = "application/json";
/// Names, labels and owners of objects, without the rest.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1";
/// All groups with their resources in one answer (Kubernetes 1.30), or their names alone from an older server.
pub(super) const DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

impl Api {
    pub(super) fn new(config: kube::Config, limit: Option<Duration>) -> Result<Self, LiveError> {
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = kube::Client::try_from(config).map_err(|error| match of_client(&error, &server) {
            (error, _) if error.trouble != Trouble::Broken => error,
            _ => LiveError::new(
                Trouble::Config,
                format!("the kubeconfig can't be used: {}", super::error::shorten(&error.to_string())),
            )
            .help("`kubectl config view --minify` shows what it says"),
        })?;
        let timeout = limit.unwrap_or(TIMEOUT);
        Ok(Self {
            client,
            server,
            timeout,
            sent: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            ahead: AtomicI64::new(i64::MIN),
        })
    }

    /// The time now by the server's clock, in seconds since 1970; by this one's where the server doesn't tell.
    pub(super) fn now(&self) -> i64 {
        let ahead = self.ahead.load(Ordering::Relaxed);
        clock() + if ahead == i64::MIN { 0 } else { ahead }
    }

    /// The client of the library, for what is more than one answer to one request.
    pub(super) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// An answer that goes on: its body as it comes. Waits for its start no longer than for another answer.
    pub(super) async fn stream(&self, path: &str, what: &str) -> Result<impl AsyncBufRead + use<>, LiveError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = Request::get(path)
            .header(ACCEPT, JSON)
            .body(Vec::new())
            .map_err(|error| LiveError::new(Trouble::Protocol, format!("`{path}` can't be asked for: {error}")))?;
        match tokio::time::timeout(self.timeout, self.client.request_stream(request)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(kube::Error::Api(status))) => {
                let body = serde_json::json!({"kind": "Status", "message": status.message}).to_string();
                Err(of_status(status.code, body.as_bytes(), what, &self.server))
            }
            Ok(Err(error)) => Err(self.failed(&error).error),
            Err(_) => Err(timeout(&self.server)),
        }
    }

    /// The body of an answer. `what` names it in messages: "pods in namespace `shop`".
    pub(super) async fn get(&self, path: &str, accept: &'static str, what: &str) -> Result<Vec<u8>, LiveError> {
        self.retried(&Sent::get(path, accept), what).await
    }

    /// Sends something, and returns the answer's body. It is sent again like a GET: only for what comes to the same the
    /// second time.
    pub(super) async fn send(&self, sent: &Sent<'_>, what: &str) -> Result<Vec<u8>, LiveError> {
        self.retried(sent, what).await
    }

    async fn retried(&self, sent: &Sent<'_>, what: &str) -> Result<Vec<u8>, LiveError> {
        let mut attempt = 1;
        loop {
            match self.once(sent, what).await {
                Ok(body) => return Ok(body),
                Err(failure) => match failure.wait {
                    Some(wait) if attempt < TRIES => {
                        let own = Duration::from_millis(100 << attempt);
                        tokio::time::sleep(wait.max(own)).await;
                        attempt += 1;
                    }
                    _ => return Err(failure.error),
                },
            }
        }
    }

    async fn once(&self, sent: &Sent<'_>, what: &str) -> Result<Vec<u8>, Failure> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        match tokio::time::timeout(self.timeout, self.exchange(sent, what)).await {
            Ok(result) => result,
            Err(_) => Err(Failure { error: timeout(&self.server), wait: None }),
        }
    }

    async fn exchange(&self, sent: &Sent<'_>, what: &str) -> Result<Vec<u8>, Failure> {
        let path = sent.path;
        let mut request = Request::builder().method(sent.method).uri(path).header(ACCEPT, sent.accept);
        let body = match &sent.body {
            Some((kind, body)) => {
                request = request.header(CONTENT_TYPE, *kind);
                Body::from(body.clone())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| Failure {
            error: LiveError::new(Trouble::Protocol, format!("`{path}` can't be asked for: {error}")),
            wait: None,
        })?;
        let response = self.client.send(request).await.map_err(|error| self.failed(&error))?;
        let code = response.status().as_u16();
        if let Some(date) = response.headers().get(DATE).and_then(|v| http_date(v.to_str().ok()?)) {
            self.ahead.store(date - clock(), Ordering::Relaxed);
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok());
        let body = response.into_body().collect_bytes().await.map_err(|error| self.failed(&error))?;
        self.received.fetch_add(body.len() as u64, Ordering::Relaxed);
        if body.len() > LARGEST {
            let error =
                LiveError::new(Trouble::Protocol, format!("the answer to {what} is larger than {} MiB", LARGEST >> 20));
            return Err(Failure { error, wait: None });
        }
        if (200..300).contains(&code) {
            return Ok(body.into());
        }
        let passing = matches!(code, 429 | 500 | 502 | 503 | 504);
        let asked = after.map(Duration::from_secs);
        // A server that wants more patience than this is not waited for.
        let wait = (passing && asked.is_none_or(|a| a <= LONGEST_WAIT)).then(|| asked.unwrap_or_default());
        Err(Failure { error: of_status(code, &body, what, &self.server), wait })
    }

    fn failed(&self, error: &kube::Error) -> Failure {
        let (error, passing) = of_client(error, &self.server);
        Failure { error, wait: passing.then_some(Duration::ZERO) }
    }

    /// Reads a list in pages and hands out each page's body. A list that expired on the way (410) is read once more from
    /// the start, after `restart`.
    pub(super) async fn pages<F: Future<Output = Result<(), LiveError>>>(
        &self,
        path: &str,
        accept: &'static str,
        what: &str,
        mut page: impl FnMut(Vec<u8>) -> F,
        mut restart: impl FnMut(),
    ) -> Result<(), LiveError> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut restarted = false;
        let mut token: Option<String> = None;
        loop {
            let mut url = format!("{path}{separator}limit={PAGE}");
            if let Some(token) = &token {
                url.push_str("&continue=");
                url.push_str(&encode(token));
            }
            let body = match self.get(&url, accept, what).await {
                Err(error) if error.trouble == Trouble::Gone && !restarted => {
                    (restarted, token) = (true, None);
                    restart();
                    continue;
                }
                other => other?,
            };
            let next = continue_token(&body).map_err(|()| {
                LiveError::new(Trouble::Protocol, format!("the answer to {what} is not a Kubernetes list"))
            })?;
            if next.is_some() && next == token {
                return Err(LiveError::new(
                    Trouble::Protocol,
                    format!("the list of {what} does not get on: the server repeats a page"),
                ));
            }
            page(body).await?;
            match next {
                Some(next) => token = Some(next),
                None => return Ok(()),
            }
        }
    }
}

fn clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(0))
}

/// Seconds since 1970 of `Tue, 15 Nov 1994 08:12:31 GMT` (RFC 9110, 5.6.7), as servers write it.
fn http_date(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|m| m == month)? + 1;
    crate::analysis::why::seconds(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

/// One request.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    method: &'static str,
    path: &'a str,
    accept: &'static str,
    /// The body with its type.
    body: Option<(&'static str, Vec<u8>)>,
}

/// A patch that merges lists by the names of their entries, as kubectl sends it.
pub(super) const STRATEGIC_MERGE: &str = "application/strategic-merge-patch+json";

impl<'a> Sent<'a> {
    fn get(path: &'a str, accept: &'static str) -> Self {
        Self { method: "GET", path, accept, body: None }
    }

    pub(super) fn post(path: &'a str, body: &serde_json::Value) -> Self {
        Self { method: "POST", path, accept: JSON, body: Some((JSON, body.to_string().into_bytes())) }
    }

    pub(super) fn patch(path: &'a str, body: &serde_json::Value) -> Self {
        Self { method: "PATCH", path, accept: JSON, body: Some((STRATEGIC_MERGE, body.to_string().into_bytes())) }
    }

    pub(super) fn delete(path: &'a str, body: &serde_json::Value) -> Self {
        Self { method: "DELETE", path, accept: JSON, body: Some((JSON, body.to_string().into_bytes())) }
    }
}

struct Failure {
    error: LiveError,
    /// How long to wait before another try; none where it would not help.
    wait: Option<Duration>,
}

/// `metadata.continue` of a list. The API server writes `metadata` before `items`, so most of the body is not looked at.
fn continue_token(body: &[u8]) -> Result<Option<String>, ()> {
    struct Head<'h>(&'h mut Option<Option<String>>);
    impl<'de> Visitor<'de> for Head<'_> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            #[derive(Default, Deserialize)]
            #[serde(default)]
            struct Metadata {
                #[serde(rename = "continue")]
                token: Option<String>,
            }
            while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                if key == "metadata" {
                    *self.0 = Some(map.next_value::<Metadata>()?.token);
                    return Err(de::Error::custom("found"));
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut found = None;
    let read = serde_json::Deserializer::from_slice(body).deserialize_map(Head(&mut found));
    match (found, read) {
        (Some(token), _) => Ok(token.filter(|t| !t.is_empty())),
        (None, Ok(())) => Ok(None),
        (None, Err(_)) => Err(()),
    }
}

/// A text inside a query.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_the_next_page() {
        let token = |text: &str| continue_token(text.as_bytes());
        assert_eq!(token(r#"{"kind":"PodList","metadata":{"continue":"abc"},"items":[{"#), Ok(Some("abc".to_owned())));
        assert_eq!(token(r#"{"items":[{"metadata":{"continue":"no"}}],"metadata":{"continue":""}}"#), Ok(None));
        assert_eq!(token(r#"{"items":[]}"#), Ok(None));
        assert_eq!(token("<html>"), Err(()));
    }

    #[test]
    fn dates_of_answers() {
        assert_eq!(http_date("Sat, 21 Nov 2026 04:02:57 GMT"), Some(1_795_233_777));
        assert_eq!(http_date("Sun Nov  6 08:49:37 1994"), None);
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encode("a in (b,c)=ü"), "a%20in%20%28b%2Cc%29%3D%C3%BC");
    }
}
