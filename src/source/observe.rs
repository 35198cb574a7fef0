//! A second reader of the objects that are loaded.
//!
//! Loading keeps what connectivity needs. Whoever needs more of an object asks to be shown each one once, as it passes by,
//! and keeps what it wants: nothing is read twice, and standard input works as a file does.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// An object as it is read.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Kind.
    pub kind: &'a str,
    /// `apiVersion`.
    pub api_version: &'a str,
    /// Its content.
    pub content: Content<'a>,
}

/// The content of an object.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// JSON text.
    Json(&'a [u8]),
    /// A value.
    Value(&'a Value),
}

impl Content<'_> {
    /// As a type of the observer's own; none where it doesn't fit.
    pub fn read<T: serde::de::DeserializeOwned>(self) -> Option<T> {
        match self {
            Self::Json(text) => serde_json::from_slice(text).ok(),
            Self::Value(value) => T::deserialize(value).ok(),
        }
    }
}

/// What an observer makes of an object before its turn comes.
pub type Seen = Box<dyn Any + Send>;

/// Is shown every object, twice: as soon as it is read, then in the order of the sources.
pub trait Observe: Send + Sync {
    /// An object as it is read, beside others and in no order. What is made of it comes back with its turn.
    fn see(&self, _object: &Observed<'_>) -> Option<Seen> {
        None
    }

    /// An object as it is read, at the start of a JSON text that goes on behind it: what is made of it, and where it ends;
    /// nothing where that can't be told without looking at it twice.
    fn see_first(&self, _object: &Observed<'_>) -> Option<(Seen, usize)> {
        None
    }

    /// An object in its turn, with what was made of it; nothing where it was not shown before.
    fn take(&self, object: &Observed<'_>, seen: Option<Seen>);
}

/// Is shown every object.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Observe>);

impl Observer {
    /// Shows every object in its turn.
    pub fn in_order(show: impl Fn(&Observed<'_>) + Send + Sync + 'static) -> Self {
        struct InOrder<F>(F);
        impl<F: Fn(&Observed<'_>) + Send + Sync> Observe for InOrder<F> {
            fn take(&self, object: &Observed<'_>, _: Option<Seen>) {
                (self.0)(object);
            }
        }
        Self(Arc::new(InOrder(show)))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
