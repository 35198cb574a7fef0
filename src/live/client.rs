//! Requests to an API server: one at a time with bounded retries. Only the probe sends anything but GET.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::io::AsyncBufRead;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER};
use http_body_util::BodyExt;
use kube::client::Body;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::{LiveError, Trouble, of_client, of_config, of_status, timeout};
use super::identity::Identity;

/// An API server.
pub(super) struct Api {
    client: kube::Client,
    /// Its address, for messages.
    server: String,
    /// The proxy that leads to it, for messages.
    proxy: Option<String>,
    /// Whether that proxy is told a name and a password.
    login: bool,
    /// The client certificate that is shown to it.
    identity: Option<Identity>,
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
/// Bytes of one answer that can't be made smaller by asking for less.
pub(super) const LARGEST: usize = 256 << 20;
/// Bytes of an answer that is an error.
const LARGEST_ERROR: usize = 1 << 20;

/// Who takes in a body as it comes.
pub(super) trait Take {
    /// More of it has come.
    fn more(&mut self, data: &[u8]);

    /// How many bytes have come.
    fn bytes(&self) -> usize;

    /// What has come, but for items of a list that were taken in already.
    fn outline(&self) -> Cow<'_, [u8]>;
}

impl Take for Vec<u8> {
    fn more(&mut self, data: &[u8]) {
        self.extend_from_slice(data);
    }

    fn bytes(&self) -> usize {
        self.len()
    }

    fn outline(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }
}

/// Who looks at a body as it comes: true once enough was seen.
pub(super) type Watch<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What a request expects.
pub(super) const JSON: &str = "application/json";
/// Names, labels and owners of objects, without the rest.
pub(super) const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1";
/// All groups with their resources in one answer (KEP-3352: `v2` since Kubernetes 1.30, `v2beta1` since 1.26), or their names
/// alone from an older server.
pub(super) const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

impl Api {
    pub(super) fn new(config: kube::Config, limit: Option<Duration>) -> Result<Self, LiveError> {
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let proxy = config.proxy_url.as_ref().map(|url| super::config::without_user(&url.to_string()));
        let identity = Identity::of(&config.auth_info);
        let login = super::socks::login(&config);
        let logs_in = login.is_some();
        let client = match login {
            Some(login) => super::socks::client(&config, login),
            None => kube::Client::try_from(config),
        };
        let client = client.map_err(|error| of_config(&error))?;
        let timeout = limit.unwrap_or(TIMEOUT);
        Ok(Self {
            client,
            server,
            proxy: proxy.map(|url| url.trim_end_matches('/').to_owned()),
            login: logs_in,
            identity,
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
                Err(self.refused(of_status(status.code, body.as_bytes(), what, &self.server)))
            }
            Ok(Err(error)) => Err(self.failed(&error).error),
            Err(_) => Err(timeout(&self.server)),
        }
    }

    /// The body of an answer. `what` names it in messages: "pods in namespace `shop`".
    pub(super) async fn get(&self, path: &str, accept: &'static str, what: &str) -> Result<Vec<u8>, LiveError> {
        self.retried(&Sent::get(path, accept), LARGEST, what, &Vec::new, &|_| true).await
    }

    /// The same, taken in as it comes by what `take` makes for each try.
    pub(super) async fn take<T: Take>(
        &self,
        path: &str,
        accept: &'static str,
        what: &str,
        take: &dyn Fn() -> T,
    ) -> Result<T, LiveError> {
        self.retried(&Sent::get(path, accept), LARGEST, what, take, &|_| true).await
    }

    /// Sends something, and returns the answer's body. It is sent again like a GET: only for what comes to the same the
    /// second time.
    pub(super) async fn send(&self, sent: &Sent<'_>, what: &str) -> Result<Vec<u8>, LiveError> {
        self.retried(sent, LARGEST, what, &Vec::new, &|_| true).await
    }

    /// The body of an answer of at most `most` bytes, taken in by what `take` makes for each try; `start` sees what has come
    /// of it until it has seen enough, and says so.
    pub(super) async fn retried<T: Take>(
        &self,
        sent: &Sent<'_>,
        most: usize,
        what: &str,
        take: &dyn Fn() -> T,
        start: Watch<'_>,
    ) -> Result<T, LiveError> {
        let mut attempt = 1;
        loop {
            self.sent.fetch_add(1, Ordering::Relaxed);
            let tried = tokio::time::timeout(self.timeout, self.exchange(sent, most, what, take(), start)).await;
            match tried.unwrap_or_else(|_| Err(Failure { error: timeout(&self.server), wait: None })) {
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

    async fn exchange<T: Take>(
        &self,
        sent: &Sent<'_>,
        most: usize,
        what: &str,
        into: T,
        start: Watch<'_>,
    ) -> Result<T, Failure> {
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
        let good = (200..300).contains(&code);
        if good {
            return self.body(response.into_body(), most, into, start).await?.ok_or_else(|| {
                let message = format!("the answer to {what} is larger than {} MiB", most >> 20);
                Failure { error: LiveError::new(Trouble::TooLarge, message), wait: None }
            });
        }
        let body = self.body(response.into_body(), LARGEST_ERROR, Vec::new(), &|_| true).await?.unwrap_or_default();
        let passing = matches!(code, 429 | 500 | 502 | 503 | 504);
        let asked = after.map(Duration::from_secs);
        // A server that wants more patience than this is not waited for.
        let wait = (passing && asked.is_none_or(|a| a <= LONGEST_WAIT)).then(|| asked.unwrap_or_default());
        Err(Failure { error: self.refused(of_status(code, &body, what, &self.server)), wait })
    }

    /// A body as it comes; none where it has more than `most` bytes.
    async fn body<T: Take>(
        &self,
        mut body: Body,
        most: usize,
        into: T,
        start: Watch<'_>,
    ) -> Result<Option<T>, Failure> {
        let mut out = into;
        let mut seen = false;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.failed(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            self.received.fetch_add(data.len() as u64, Ordering::Relaxed);
            if out.bytes() + data.len() > most {
                return Ok(None);
            }
            out.more(data);
            seen = seen || start(&out.outline());
        }
        Ok(Some(out))
    }

    fn failed(&self, error: &kube::Error) -> Failure {
        let (mut error, passing) = of_client(error, &self.server);
        if let Some(proxy) = self.proxy.as_ref().filter(|_| error.trouble == Trouble::Unreachable) {
            let help = format!(
                "the way leads through the proxy `{proxy}`: look at HTTPS_PROXY, NO_PROXY and `proxy-url` in the kubeconfig"
            );
            error.helps.insert(0, help);
            if error.message.ends_with(super::error::NO_WAY_IN) {
                let help =
                    if self.login { "it wants no name and no password" } else { "it wants a name and a password" };
                error.helps.insert(0, format!("{help}: `socks5://NAME:PASSWORD@HOST:PORT` is an address with both"));
            }
        }
        Failure { error: self.refused(error), wait: passing.then_some(Duration::ZERO) }
    }

    /// An error that the client certificate explains, told by it: an API server says 401 to one that has expired, as to
    /// all it does not know, and what ends TLS before it may only hang up.
    fn refused(&self, error: LiveError) -> LiveError {
        let Some(identity) = &self.identity else { return error };
        let Some(end) = identity.expired(self.now()) else { return error };
        match error.trouble {
            Trouble::Unauthorized => LiveError::new(
                Trouble::Unauthorized,
                format!("`{}` does not know you: the client certificate of the kubeconfig expired at {end}", self.server),
            )
            .help("get a new kubeconfig, the way you got this one; `kubeadm certs renew admin.conf` renews an administrator's of kubeadm"),
            Trouble::Broken => error.help(format!("the client certificate of the kubeconfig expired at {end}")),
            _ => error,
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
    pub(super) fn get(path: &'a str, accept: &'static str) -> Self {
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

/// A text inside a query.
pub(super) fn encode(text: &str) -> String {
    // RFC 3986, 2.3: what is never escaped.
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
