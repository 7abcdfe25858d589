//! The compressing direction.
//!
//! Turns pieces of a message into the DEFLATE blocks of a frame. It knows nothing of what is
//! received, and where its context comes from only by asking the pool.
//!
//! RFC 7692, section 7.2.1.

use flate2::{Compress, FlushCompress};

use super::{TAIL, Takeover, pool};

/// The compressing direction.
pub(super) struct Encoder {
    /// The window and tables, from the first message on; without takeover, during a message only.
    pub(super) context: Option<Compress>,
    pub(super) settings: EncoderSettings,
    pub(super) takeover: Takeover,
    /// Whether the window is not the peer's any more, and must be forgotten.
    pub(super) has_diverged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EncoderSettings {
    pub(super) level: u32,
    pub(super) window_bits: u8,
}

impl Encoder {
    pub(super) fn encode(&mut self, piece: &[u8], fin: bool, output: &mut Vec<u8>) {
        let settings = self.settings;
        let context = self
            .context
            .get_or_insert_with(|| pool::take_encoder(settings));
        if core::mem::take(&mut self.has_diverged) {
            context.reset();
        }
        deflate(context, piece, fin, output);
        if fin
            && self.takeover == Takeover::No
            && let Some(mut context) = self.context.take()
        {
            context.reset();
            pool::give_encoder(settings, context);
        }
    }
}

/// Compresses a whole message that refers to none before it.
pub(super) fn encode_alone(settings: EncoderSettings, message: &[u8], output: &mut Vec<u8>) {
    let mut context = pool::take_encoder(settings);
    deflate(&mut context, message, true, output);
    context.reset();
    pool::give_encoder(settings, context);
}

/// Appends the blocks of a piece, without the tail if it is the last of its message.
fn deflate(context: &mut Compress, piece: &[u8], fin: bool, output: &mut Vec<u8>) {
    let start = output.len();
    let mut rest = piece;
    loop {
        let room = (rest.len() + FLUSH_LEN).min(STEP_LEN);
        let before = (context.total_in(), context.total_out());
        // 7.2.1 item 1: an empty block without content aligns the end to a byte.
        let status = append(output, room, |room| {
            let status = context.compress(rest, room, FlushCompress::Sync);
            (status, context.total_out() - before.1)
        });
        debug_assert!(status.0.is_ok(), "a compressor takes whatever it is given");
        let consumed = usize::try_from(context.total_in() - before.0).unwrap_or(rest.len());
        rest = rest.get(consumed..).unwrap_or(&[]);
        // A flush is complete once it leaves room.
        if rest.is_empty() && status.1 == Room::Left {
            break;
        }
    }
    if !fin {
        return;
    }
    // 7.2.1 item 2: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end."
    if output[start..].ends_with(&TAIL) {
        output.truncate(output.len() - TAIL.len());
    }
    // 7.2.3.6: a flush of nothing emits nothing, and an empty message is the one byte 0x00.
    if output.len() == start {
        output.push(0);
    }
}

/// Whether a step left any of its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Left,
    Full,
}

/// Appends to `output` what `write` puts at the front of `room` bytes.
///
/// The library would clear all spare capacity before each call, however much that is.
fn append<T>(
    output: &mut Vec<u8>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> (T, u64),
) -> (T, Room) {
    let start = output.len();
    output.resize(start + room, 0);
    let (written, len) = write(&mut output[start..]);
    let len = usize::try_from(len).map_or(room, |len| len.min(room));
    output.truncate(start + len);
    (written, if len < room { Room::Left } else { Room::Full })
}

/// How much room a step of deflating has at most.
const STEP_LEN: usize = 64 << 10;

/// What a flush needs beyond the data: block headers, and room to show that it is complete.
const FLUSH_LEN: usize = 64;
