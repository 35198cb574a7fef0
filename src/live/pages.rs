//! A list in pages: each page's body as it comes, and the next asked for while one is on its way.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;

use futures::channel::oneshot;
use futures::future::{Either, MaybeDone, maybe_done, select};
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};

use super::client::{Api, LARGEST, Sent, Take, encode};
use super::error::{LiveError, Trouble};

/// Objects of a page; kubectl asks for as many.
const PAGE: usize = 500;
/// Objects of a page that is asked for because one of more was too large: etcd keeps none of more than 1.5 MiB by default.
const SMALLEST_PAGE: usize = 8;
/// Bytes of a page above which fewer objects are asked for with the next.
const AMPLE: usize = 8 << 20;
/// Bytes of a page at which fewer objects are asked for instead of it.
const TOO_MUCH: usize = 32 << 20;
/// Bytes of a page's start in which its token is looked for.
const START: usize = 64 << 10;

/// A page that was asked for.
struct Coming<'a, T> {
    /// Where it starts.
    token: Option<String>,
    /// How many objects were asked for.
    limit: usize,
    body: Pin<Box<MaybeDone<Body<'a, T>>>>,
    /// The token of the page behind it, once it is known.
    next: oneshot::Receiver<String>,
}

type Body<'a, T> = Pin<Box<dyn Future<Output = Result<T, LiveError>> + 'a>>;

impl Api {
    /// Reads a list in pages, each taken in by what `take` makes, and hands out each in its turn. A page is asked for as soon as the start of the one before it
    /// tells its token, so that the server works while bodies are on their way. A list that expired (410) is read once more
    /// from the start, after `restart`.
    pub(super) async fn pages<T: Take>(
        &self,
        path: &str,
        accept: &'static str,
        what: &str,
        take: impl Fn() -> T,
        mut page: impl FnMut(T) -> Result<(), LiveError>,
        mut restart: impl FnMut(),
    ) -> Result<(), LiveError> {
        let ask = |token: Option<String>, limit: usize| self.coming(path, accept, what, &take, token, limit);
        let mut restarted = false;
        let mut limit = PAGE;
        let mut coming = ask(None, limit);
        loop {
            let Coming { token, limit: asked, mut body, next } = coming;
            let told = match select(body.as_mut(), next).await {
                Either::Right((Ok(told), _)) => Some(told),
                _ => None,
            };
            // A server that repeats a page is not asked for it again.
            let mut ahead = told.filter(|told| Some(told) != token.as_ref()).map(|told| ask(Some(told), limit));
            beside(body.as_mut(), &mut ahead).await;
            // It is done, and was not taken before.
            let Some(body) = body.as_mut().take_output() else { return Ok(()) };
            let body = match body {
                Err(error) if error.trouble == Trouble::TooLarge && asked > SMALLEST_PAGE => {
                    limit = (asked / 8).max(SMALLEST_PAGE);
                    coming = ask(token, limit);
                    continue;
                }
                Err(error) if error.trouble == Trouble::Gone && !restarted => {
                    restarted = true;
                    restart();
                    coming = ask(None, limit);
                    continue;
                }
                other => other?,
            };
            let next = continue_token(&body.outline()).map_err(|()| {
                LiveError::new(Trouble::Protocol, format!("the answer to {what} is not a Kubernetes list"))
            })?;
            if next.is_some() && next == token {
                return Err(LiveError::new(
                    Trouble::Protocol,
                    format!("the list of {what} does not get on: the server repeats a page"),
                ));
            }
            limit = next_limit(asked, body.bytes());
            page(body)?;
            coming = match (ahead, next) {
                (_, None) => return Ok(()),
                (Some(ahead), next) if ahead.token == next => ahead,
                (_, next) => ask(next, limit),
            };
        }
    }

    /// Asks for a page; nothing is sent before it is polled.
    fn coming<'a, T: Take>(
        &'a self,
        path: &'a str,
        accept: &'static str,
        what: &'a str,
        take: &'a dyn Fn() -> T,
        token: Option<String>,
        limit: usize,
    ) -> Coming<'a, T> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut url = format!("{path}{separator}limit={limit}");
        if let Some(token) = &token {
            url.push_str("&continue=");
            url.push_str(&encode(token));
        }
        let most = if limit > SMALLEST_PAGE { TOO_MUCH } else { LARGEST };
        let (tell, next) = oneshot::channel();
        let body = async move {
            let tell = Cell::new(Some(tell));
            let start = |start: &[u8]| match continue_token(start) {
                Ok(token) => {
                    // It fails only where nobody waits for it any more.
                    if let (Some(tell), Some(token)) = (tell.take(), token) {
                        drop(tell.send(token));
                    }
                    true
                }
                Err(()) => start.len() > START,
            };
            self.retried(&Sent::get(&url, accept), most, what, take, &start).await
        };
        let body: Body<'a, T> = Box::pin(body);
        Coming { token, limit, body: Box::pin(maybe_done(body)), next }
    }
}

/// Does something while the page ahead comes.
async fn beside<T, P>(work: impl Future<Output = T>, ahead: &mut Option<Coming<'_, P>>) -> T {
    let mut work = std::pin::pin!(work);
    poll_fn(|context| {
        if let Some(ahead) = ahead {
            // Its answer is kept until its turn comes.
            let _ = ahead.body.as_mut().poll(context);
        }
        work.as_mut().poll(context)
    })
    .await
}

/// How many objects to ask for after a page of so many bytes: memory is bounded by bytes, not by objects.
fn next_limit(limit: usize, bytes: usize) -> usize {
    if bytes > AMPLE {
        (limit * AMPLE / bytes).clamp(SMALLEST_PAGE, limit)
    } else if bytes < AMPLE / 4 {
        (limit * 2).min(PAGE)
    } else {
        limit
    }
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
    fn large_objects_are_asked_for_in_smaller_pages() {
        assert_eq!(next_limit(500, 7 << 20), 500);
        assert_eq!(next_limit(500, 16 << 20), 250);
        assert_eq!(next_limit(62, 31 << 20), 16);
        assert_eq!(next_limit(8, 100 << 20), 8);
        assert_eq!(next_limit(62, 1 << 20), 124);
        assert_eq!(next_limit(400, 0), 500);
    }
}
