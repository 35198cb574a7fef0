//! Ctrl-C: the line about what is going on is taken away, then the program ends as one that the signal ended.
//!
//! Nothing changes before something stands on the terminal, or somebody wants to end in good order. Who does (a probe removes
//! what it made) holds `Mine` meanwhile, and is not ended from here.

use std::io::{Write, stderr};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a line stands on the terminal.
static SHOWN: AtomicBool = AtomicBool::new(false);
/// How many see to an interrupt themselves.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// A line on the terminal; it is taken away where this is dropped.
pub(super) struct Line(());

impl Line {
    pub(super) fn new() -> Self {
        watch();
        Self(())
    }

    /// Shows a text in place of what stands there.
    pub(super) fn show(&self, text: &str) {
        SHOWN.store(true, Ordering::SeqCst);
        let mut terminal = stderr().lock();
        let _ = write!(terminal, "\r\x1b[K{text}");
        let _ = terminal.flush();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        clear();
    }
}

fn clear() {
    let mut terminal = stderr().lock();
    if SHOWN.swap(false, Ordering::SeqCst) {
        let _ = write!(terminal, "\r\x1b[K");
        let _ = terminal.flush();
    }
}

/// Held by whoever sees to an interrupt.
pub(super) struct Mine(());

impl Mine {
    pub(super) fn new() -> Self {
        HELD.fetch_add(1, Ordering::SeqCst);
        watch();
        Self(())
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Ctrl-C, or a request to end. Once it came, the program ends in its own good order.
pub(super) async fn interrupted() {
    let mine = Mine::new();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            std::mem::forget(mine);
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    std::mem::forget(mine);
}

/// From now on an interrupt ends the program from here, as the library's way to hear of one keeps the system from doing it.
fn watch() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let (ready, heard) = std::sync::mpsc::channel();
        // Without it an interrupt ends the program by itself, and the line stays: not worth failing for.
        let started = std::thread::Builder::new().name("interrupts".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
            runtime.block_on(listen(ready));
        });
        // Nothing stands on the terminal before it would be taken away.
        if started.is_ok() {
            let _ = heard.recv();
        }
    });
}

/// Listens for good; `ready` is told when it does.
async fn listen(ready: std::sync::mpsc::Sender<()>) {
    #[cfg(unix)]
    let Ok(mut interrupts) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()) else { return };
    #[cfg(windows)]
    let Ok(mut interrupts) = tokio::signal::windows::ctrl_c() else { return };
    drop(ready);
    while interrupts.recv().await.is_some() {
        if HELD.load(Ordering::SeqCst) == 0 {
            clear();
            end();
        }
    }
}

/// Ends as if nobody had listened: a shell then stops its loop too, which it doesn't for a mere exit code of 130.
fn end() {
    #[cfg(unix)]
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
    std::process::exit(130);
}
