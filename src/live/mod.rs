//! The live cluster as a source: a question, or a scope, becomes requests; their answers go to the loader.
//!
//! The only room with async, TLS and a network stack. It knows what a question needs of a cluster, and nothing of what a
//! policy means: objects leave as `source::wire` types, like those of a file. `probe` runs the agent in a pod's network.

pub mod ask;
mod client;
mod config;
mod discovery;
mod error;
mod gather;
mod identity;
mod interrupt;
mod known;
mod needs;
mod pages;
pub mod probe;
mod progress;
pub mod rights;
mod socks;
pub mod watch;
pub mod why;

use tokio::runtime::Runtime;

pub use config::ConnectOptions;
pub use error::{LiveError, Trouble};
pub use gather::{Depth, Gathered, Scope};
pub use needs::Question;

use crate::source::Loader;
use client::Api;
use gather::Sink;

/// A connection to a cluster. Nothing is sent before something is asked.
pub struct Session {
    runtime: Runtime,
    api: Api,
    context: String,
    namespace: String,
    progress: bool,
}

impl Session {
    /// Chooses the cluster. `progress` tells a terminal about what takes over a second.
    pub fn connect(options: &ConnectOptions, progress: bool) -> Result<Self, LiveError> {
        let failed = |error: std::io::Error| LiveError::new(Trouble::Config, format!("can't start: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let chosen = runtime.block_on(config::choose(options))?;
        let namespace = chosen.config.default_namespace.clone();
        let api = {
            let _inside = runtime.enter();
            Api::new(chosen.config, options.timeout)?
        };
        Ok(Self { runtime, api, context: chosen.context, namespace, progress })
    }

    /// The context's name.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// The time now by the cluster's clock, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.api.now()
    }

    /// The context's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Reads what one question needs.
    pub fn question(&self, question: &Question, loader: &mut Loader) -> Result<Gathered, LiveError> {
        let source = loader.cluster(&self.context);
        self.runtime.block_on(async {
            let work = gather::question(&self.api, question, |body| loader.answer(source, body));
            progress::beside(&self.api, self.progress, work).await
        })
    }

    /// Whether there is a namespace of this name, as far as may be known.
    pub fn has_namespace(&self, name: &str) -> Result<bool, LiveError> {
        self.runtime.block_on(gather::has_namespace(&self.api, name))
    }

    /// Whether the pods of every namespace may be listed.
    pub fn may_read_everything(&self) -> Result<bool, LiveError> {
        self.runtime.block_on(gather::may_read_everything(&self.api))
    }

    /// Reads a scope, as deep as is said.
    pub fn everything(&self, scope: &Scope, depth: &Depth, loader: &mut Loader) -> Result<Gathered, LiveError> {
        let sink = Sink::new(loader, &self.context);
        let work = gather::everything(&self.api, scope, depth, &sink);
        self.runtime.block_on(progress::beside(&self.api, self.progress, work))
    }

    /// Reads things one by one; what isn't there is left out, what may not be read is told.
    pub fn each(&self, asks: &[ask::Ask], loader: &mut Loader) -> Result<Gathered, LiveError> {
        let sink = Sink::new(loader, &self.context);
        let work = gather::each(&self.api, asks, &sink);
        self.runtime.block_on(progress::beside(&self.api, self.progress, work))
    }
}
