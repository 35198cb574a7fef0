//! Memory of bodies that were read, for bodies to come: a page is some megabytes, which the system would have to clear each time.

use std::sync::Mutex;

/// Bodies that were read.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

/// How many are kept.
const KEPT: usize = 4;
/// Bytes of the largest that is kept.
const LARGEST: usize = 16 << 20;

impl Spare {
    /// Memory for a body, empty.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.lock().ok().and_then(|mut kept| kept.pop()).unwrap_or_default()
    }

    /// Gives the memory of a body back.
    pub(super) fn give(&self, mut body: Vec<u8>) {
        body.clear();
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < KEPT
            && body.capacity() <= LARGEST
        {
            kept.push(body);
        }
    }
}
