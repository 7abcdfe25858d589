//! Contexts that belong to a thread, lent to messages without takeover.
//!
//! Making one costs more than most messages do. It compresses and inflates nothing.

use std::cell::RefCell;

use flate2::{Compress, Compression};

use super::decoder::DecoderContext;
use super::encoder::EncoderSettings;
use crate::extension::config::SMALLEST_WINDOW;

thread_local! {
    /// Contexts that wait for the next message of any connection without takeover.
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { encoders: Vec::new(), decoders: Vec::new() })
    };
}

/// A few contexts of each kind, so that a message without takeover need not make one.
struct Pool {
    encoders: Vec<(EncoderSettings, Compress)>,
    #[expect(clippy::vec_box, reason = "they come and go without being copied")]
    decoders: Vec<Box<DecoderContext>>,
}

pub(super) fn take_encoder(settings: EncoderSettings) -> Compress {
    let pooled = with_pool(|pool| {
        let encoders = &mut pool.encoders;
        let index = encoders.iter().position(|(other, _)| *other == settings)?;
        Some(encoders.swap_remove(index).1)
    });
    pooled.flatten().unwrap_or_else(|| {
        Compress::new_with_window_bits(
            Compression::new(settings.level),
            false,
            // The library panics below 9; `can_encode` has said no.
            settings.window_bits.max(SMALLEST_WINDOW),
        )
    })
}

pub(super) fn give_encoder(settings: EncoderSettings, context: Compress) {
    with_pool(|pool| {
        if pool.encoders.len() == POOLED {
            pool.encoders.remove(0);
        }
        pool.encoders.push((settings, context));
    });
}

pub(super) fn take_decoder() -> Box<DecoderContext> {
    let pooled = with_pool(|pool| pool.decoders.pop()).flatten();
    pooled.unwrap_or_else(|| Box::new(DecoderContext::new()))
}

pub(super) fn give_decoder(context: Box<DecoderContext>) {
    with_pool(|pool| {
        if pool.decoders.len() < POOLED {
            pool.decoders.push(context);
        }
    });
}

/// A thread that is ending has no pool any more.
fn with_pool<T>(operate: impl FnOnce(&mut Pool) -> T) -> Option<T> {
    POOL.try_with(|pool| operate(&mut pool.borrow_mut())).ok()
}

/// A thread rarely has more messages under way at once.
const POOLED: usize = 4;
