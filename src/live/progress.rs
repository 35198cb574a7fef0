//! A line on the terminal about what takes over a second, taken away when it is done.

use std::future::Future;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Api;
use super::interrupt::Line;

/// Does some work with a line about it beside.
pub(super) async fn beside<T>(api: &Api, wanted: bool, work: impl Future<Output = T>) -> T {
    let line = || {
        let requests = api.sent.load(Ordering::Relaxed);
        let bytes = api.received.load(Ordering::Relaxed);
        format!("reading the cluster: {requests} requests, {} MiB", bytes >> 20)
    };
    with_line(wanted, line, work).await
}

/// Probes with a line about it beside: from how many pods, for how long.
pub(super) async fn probing<T>(wanted: bool, pods: usize, work: impl Future<Output = T>) -> T {
    let began = std::time::Instant::now();
    let from = if pods == 1 { "one pod".to_owned() } else { format!("{pods} pods") };
    with_line(wanted, || format!("probing from {from}: {} s", began.elapsed().as_secs()), work).await
}

async fn with_line<T>(wanted: bool, line: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    if !wanted || !stderr().is_terminal() {
        return work.await;
    }
    let work = std::pin::pin!(work);
    let lines = std::pin::pin!(async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        // Taken away where the work is done, and where it is given up.
        let shown = Line::new();
        loop {
            shown.show(&line());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    match futures::future::select(work, lines).await {
        futures::future::Either::Left((result, _)) => result,
        futures::future::Either::Right((never, _)) => never,
    }
}
