//! Messages with memory of their own.
//!
//! Values that can be kept, sent to another thread and cloned cheaply. How one comes out of the
//! receive buffer is for `connection` to know.

use core::fmt;
use core::ops::Deref;
use core::str::Utf8Error;

use bytes::Bytes;

use crate::frame::{CloseFrame, Opcode};

/// A message, or a control frame, that owns its payload.
///
/// Cloning shares the payload. The adapters' `recv` returns only [`Text`](Self::Text) and
/// [`Binary`](Self::Binary): the library answers control frames itself, so that an echo of all
/// that `recv` returns is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message (5.6).
    Text(Utf8Bytes),
    /// A binary message (5.6).
    Binary(Bytes),
    /// A Ping, with at most 125 bytes (5.5.2).
    Ping(Bytes),
    /// A Pong, with at most 125 bytes (5.5.3).
    Pong(Bytes),
    /// A Close, with or without a code and a reason (5.5.1).
    Close(Option<CloseFrame<'static>>),
}

impl Message {
    /// Makes a text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a binary message.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::Binary(data.into())
    }

    /// Returns the text of a text message.
    #[doc(alias("to_text", "into_text"))]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) | Self::Ping(_) | Self::Pong(_) | Self::Close(_) => None,
        }
    }

    /// Returns the payload; of a Close, its reason.
    #[doc(alias = "as_payload")]
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data,
            Self::Close(Some(frame)) => frame.reason.as_bytes(),
            Self::Close(None) => &[],
        }
    }

    /// Returns the payload as [`Bytes`]; of a Close, its reason.
    #[doc(alias = "into_data")]
    pub fn into_payload(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(data) | Self::Ping(data) | Self::Pong(data) => data,
            Self::Close(Some(frame)) => frame.reason.into_owned().into(),
            Self::Close(None) => Bytes::new(),
        }
    }

    /// Whether this is a text message.
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Whether this is a binary message.
    pub const fn is_binary(&self) -> bool {
        matches!(self, Self::Binary(_))
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Message {
    fn from(data: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(data))
    }
}

impl From<Vec<u8>> for Message {
    fn from(data: Vec<u8>) -> Self {
        Self::binary(data)
    }
}

impl From<Bytes> for Message {
    fn from(data: Bytes) -> Self {
        Self::Binary(data)
    }
}

/// What a message is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl MessageKind {
    /// Returns the opcode of the frame that begins such a message (5.6).
    #[inline]
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// Text that is cheap to clone: [`Bytes`] that were checked to be UTF-8 once.
#[derive(Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Utf8Bytes {
    /// INVARIANT: valid UTF-8.
    bytes: Bytes,
}

impl Utf8Bytes {
    /// Makes text of a literal, without copying.
    pub const fn from_static(text: &'static str) -> Self {
        Self {
            bytes: Bytes::from_static(text.as_bytes()),
        }
    }

    /// Makes text of bytes that the caller has validated.
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(
            core::str::from_utf8(&bytes).is_ok(),
            "validated text is UTF-8"
        );
        Self { bytes }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self
    }

    /// Returns the bytes of the text.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

#[allow(
    unsafe_code,
    reason = "text is validated once, when it is received or made, and read many times"
)]
impl Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        // SAFETY: `bytes` is valid UTF-8 by the invariant of the field, which every constructor
        // upholds: from `str` and `String`, from `TryFrom` after a check, and from
        // `from_validated`, whose caller is `connection::recv_buffer` with text that the
        // streaming validator has accepted whole.
        unsafe { core::str::from_utf8_unchecked(&self.bytes) }
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        core::str::from_utf8(&bytes)?;
        Ok(Self { bytes })
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self { bytes: text.into() }
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.bytes
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
