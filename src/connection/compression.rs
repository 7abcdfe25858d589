//! Whether a message is compressed.
//!
//! Weighs what the caller says against what the extension thinks worth it. It knows no frame and no
//! byte of the message.

use crate::extension::Extension;

/// Whether a message is compressed, where permessage-deflate was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// If it is long enough to be worth it, and shrinks.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case: for secrets that travel with text of somebody else's, whose compressed length
    /// would tell what they have in common.
    Never,
}

/// The extension that a message may be encoded with, and whether it is to be.
pub(super) struct Encoding<'a> {
    pub(super) extension: Option<&'a mut (dyn Extension + 'static)>,
    pub(super) compression: Compression,
}

impl<'a> Encoding<'a> {
    /// Returns the extension if a message that begins with `len` bytes is to be encoded.
    pub(super) fn choose(self, len: usize) -> Option<&'a mut (dyn Extension + 'static)> {
        let compression = self.compression;
        self.extension
            .filter(|extension| extension.can_encode())
            .filter(|extension| match compression {
                Compression::Auto => extension.is_worth_encoding(len),
                Compression::Always => true,
                Compression::Never => false,
            })
    }
}
