//! Messages that are encoded once for any number of connections.
//!
//! Owns the frame as a server sends it, and the same compressed, once for each way to compress it.
//! It knows no connection: whether a message may be sent, and compressed, is `sender`'s to know.
//!
//! RFC 6455, section 5.2; RFC 7692, section 7.2.1.

use core::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::compression::Compression;
use super::send_buffer::{SHARED_LEN, SendBuffer};
use crate::error::SendError;
use crate::extension::{Extension, Variant};
use crate::frame::{FrameHeader, Rsv};
use crate::message::{Message, MessageKind, Utf8Bytes};

/// A text or binary message that is encoded once for any number of connections.
///
/// A server sends the same bytes to all of them, and shares those of a long message instead of
/// copying them. A client masks every frame with a key of its own (5.3), so that only the payload
/// is shared. Cloning costs a reference count.
///
/// Where permessage-deflate was agreed on, the message is compressed when the first connection
/// needs it, and not again for those with the same window and level. It refers to no message before
/// it, nor does the next message refer to any before that: with context takeover, many prepared
/// messages among others make those compress less.
///
/// ```
/// use framewright::{Config, Connection, PreparedMessage, Role, SendBuffer, SendError};
///
/// let message = PreparedMessage::text("news");
/// for _ in 0..1000 {
///     let mut server = Connection::new(Role::Server, Config::default().into());
///     let mut output = SendBuffer::new();
///     server.send_prepared(&message, &mut output)?;
///     assert_eq!(output.to_vec(), b"\x81\x04news");
/// }
/// # Ok::<(), SendError>(())
/// ```
#[doc(alias = "broadcast")]
#[derive(Clone)]
pub struct PreparedMessage {
    shared: Arc<Shared>,
}

struct Shared {
    kind: MessageKind,
    compression: Compression,
    plain: PreparedFrame,
    /// The ways in which it was compressed so far, each at its first use.
    encoded: [OnceLock<Encoded>; MAX_VARIANTS],
}

struct Encoded {
    variant: Variant,
    /// `None` if the message does not shrink.
    frame: Option<PreparedFrame>,
}

impl PreparedMessage {
    /// Prepares a text message.
    pub fn text(text: impl Into<Utf8Bytes>) -> Self {
        Self::new(MessageKind::Text, text.into().into_bytes())
    }

    /// Prepares a binary message.
    pub fn binary(data: impl Into<Bytes>) -> Self {
        Self::new(MessageKind::Binary, data.into())
    }

    /// Says whether the message is compressed, where permessage-deflate was agreed on. Default:
    /// [`Compression::Auto`].
    ///
    /// The length of what is compressed tells what a secret in it has in common with text of
    /// somebody else's: such a message is not to be compressed for anybody.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind: self.shared.kind,
                compression,
                plain: self.shared.plain.clone(),
                encoded: Default::default(),
            }),
        }
    }

    /// Returns what the message is made of.
    pub fn kind(&self) -> MessageKind {
        self.shared.kind
    }

    /// Returns the payload, as it was before compression.
    pub fn payload(&self) -> &[u8] {
        &self.shared.plain.payload
    }

    /// Returns whether the message is compressed.
    pub fn compression(&self) -> Compression {
        self.shared.compression
    }

    /// Returns the frame without compression.
    pub(super) fn plain(&self) -> &PreparedFrame {
        &self.shared.plain
    }

    /// Passes on the compressed frame; `false` if the message does not shrink.
    pub(super) fn with_encoded(
        &self,
        extension: &dyn Extension,
        send: impl FnOnce(&PreparedFrame),
    ) -> bool {
        let variant = extension.variant();
        let kept = self.shared.encoded.iter().find_map(|slot| {
            let encoded = slot.get_or_init(|| self.encode(extension));
            (encoded.variant == variant).then_some(encoded)
        });
        // An application with more variants than there is room for compresses the others every
        // time.
        let frame = match kept {
            Some(encoded) => &encoded.frame,
            None => &self.encode(extension).frame,
        };
        if let Some(frame) = frame {
            send(frame);
        }
        frame.is_some()
    }

    fn new(kind: MessageKind, payload: Bytes) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind,
                compression: Compression::default(),
                plain: PreparedFrame::new(kind, Rsv::NONE, payload),
                encoded: Default::default(),
            }),
        }
    }

    fn encode(&self, extension: &dyn Extension) -> Encoded {
        let mut encoded = Vec::new();
        extension.encode_alone(self.payload(), &mut encoded);
        let is_worth_it =
            self.compression() != Compression::Auto || encoded.len() < self.payload().len();
        Encoded {
            variant: extension.variant(),
            frame: is_worth_it.then(|| {
                // It may be kept for long, and had room for a message that does not shrink.
                encoded.shrink_to_fit();
                PreparedFrame::new(self.kind(), extension.rsv(), encoded.into())
            }),
        }
    }
}

/// Prepares a message that was received, or made.
///
/// It fails with [`MessageNotData`](SendError::MessageNotData) for a control frame.
impl TryFrom<Message> for PreparedMessage {
    type Error = SendError;

    fn try_from(message: Message) -> Result<Self, SendError> {
        match message {
            Message::Text(text) => Ok(Self::text(text)),
            Message::Binary(data) => Ok(Self::binary(data)),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {
                Err(SendError::MessageNotData)
            }
        }
    }
}

impl fmt::Debug for PreparedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedMessage")
            .field("kind", &self.kind())
            .field("payload_len", &self.payload().len())
            .field("compression", &self.compression())
            .finish_non_exhaustive()
    }
}

/// A whole message in one frame, as a server sends it.
#[derive(Clone)]
pub(super) struct PreparedFrame {
    pub(super) header: FrameHeader,
    pub(super) payload: Bytes,
    /// The bytes of the header, and of a payload that is so short that it is copied.
    front: Bytes,
}

impl PreparedFrame {
    fn new(kind: MessageKind, rsv: Rsv, payload: Bytes) -> Self {
        let header = FrameHeader {
            fin: true,
            rsv,
            opcode: kind.opcode(),
            mask: None,
            payload_len: payload.len() as u64,
        };
        let mut front = Vec::new();
        header.encode(&mut front);
        if payload.len() >= SHARED_LEN {
            return Self {
                header,
                payload,
                front: front.into(),
            };
        }
        let header_len = front.len();
        front.reserve_exact(payload.len());
        front.extend_from_slice(&payload);
        let front = Bytes::from(front);
        Self {
            header,
            payload: front.slice(header_len..),
            front,
        }
    }

    /// Appends the frame to what a server sends.
    pub(super) fn append(&self, output: &mut SendBuffer) {
        output.tail().extend_from_slice(&self.front);
        if self.payload.len() >= SHARED_LEN {
            output.append_shared(self.payload.clone());
        }
    }
}

/// A server has one level, and clients that ask for a smaller window than its own are few.
const MAX_VARIANTS: usize = 4;
