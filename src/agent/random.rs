//! Numbers that a stranger can't guess, for DNS questions and TLS hellos, from the seed that the standard library
//! draws for its hash maps.

use std::hash::{BuildHasher, RandomState};

/// `N` bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let state = RandomState::new();
    let mut out = [0; N];
    for (index, chunk) in out.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&state.hash_one(index).to_ne_bytes()[..chunk.len()]);
    }
    out
}
