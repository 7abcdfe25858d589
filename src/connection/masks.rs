//! Where masking keys come from.
//!
//! Knows that each key must be fresh and unpredictable; not what is masked with it.
//!
//! RFC 6455, sections 5.3 and 10.3.

use core::fmt;

use crate::frame::MaskingKey;

/// A source of masking keys, for a client that wants its own.
///
/// 5.3: "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a
/// strong source of entropy". The default is the thread's cryptographic generator; another one is
/// for tests that must repeat, and for targets without an operating system.
pub trait MaskSource: fmt::Debug + Send + Sync {
    /// Returns the key of the next frame.
    fn next_key(&mut self) -> MaskingKey;
}

/// Returns a key of `source`, or of the thread's generator.
#[inline]
pub(super) fn next_key(source: Option<&mut (dyn MaskSource + 'static)>) -> MaskingKey {
    match source {
        Some(source) => source.next_key(),
        // One number, because four bytes would take a word of the generator each.
        None => MaskingKey::new(rand::random::<u32>().to_ne_bytes()),
    }
}
