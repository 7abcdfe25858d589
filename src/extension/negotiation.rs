//! Which parameters of permessage-deflate two endpoints agree on.
//!
//! Pure functions over parsed offers and answers, for both roles. It compresses nothing and reads
//! no header.
//!
//! RFC 7692, sections 5 and 7.1.

use core::fmt::Write;

use super::config::{DeflateConfig, LARGEST_WINDOW as LARGEST};
use super::offer::ExtensionOffer;
use crate::error::HandshakeError;

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreement {
    /// The server forgets its window after every message.
    pub(crate) server_no_context_takeover: bool,
    /// The client forgets its window after every message.
    pub(crate) client_no_context_takeover: bool,
    /// The server's window has at most 2 to this power bytes: 8 to 15.
    pub(crate) server_max_window_bits: u8,
    /// The client's window, likewise.
    pub(crate) client_max_window_bits: u8,
}

/// The parameters of an offer or an answer, each at most once, with values that are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// The inner `None` is the parameter without a value, which only an offer may have.
    client_max_window_bits: Option<Option<u8>>,
}

/// Returns the value of Sec-WebSocket-Extensions that a client offers.
pub(crate) fn make_offer(config: &DeflateConfig) -> String {
    let mut offer = NAME.to_owned();
    if config.server_no_context_takeover {
        offer.push_str("; server_no_context_takeover");
    }
    if config.client_no_context_takeover {
        offer.push_str("; client_no_context_takeover");
    }
    // Writing into a `String` cannot fail.
    if config.server_bits() < LARGEST {
        let _ = write!(offer, "; server_max_window_bits={}", config.server_bits());
    }
    // 7.1.2.2: the parameter allows the server to ask for a smaller window.
    offer.push_str("; client_max_window_bits");
    if config.client_bits() < LARGEST {
        let _ = write!(offer, "={}", config.client_bits());
    }
    offer
}

/// Accepts the first of the offers that can be accepted, and returns the answer to it as well.
///
/// 5.1: an offer with a parameter that is unknown, repeated or has a bad value is declined, and the
/// next one is tried.
pub(crate) fn accept_offer(
    config: &DeflateConfig,
    offers: &[ExtensionOffer],
) -> Option<(Agreement, String)> {
    offers
        .iter()
        .filter(|offer| offer.name.eq_ignore_ascii_case(NAME))
        .find_map(|offer| accept(config, parse(offer, Side::Offer)?))
}

fn accept(config: &DeflateConfig, offer: Params) -> Option<(Agreement, String)> {
    let server_max_window_bits = match offer.server_max_window_bits {
        // A window of 256 bytes is what no zlib can compress with: it takes 512 and says nothing.
        Some(SMALLEST) => return None,
        Some(bits) => bits.min(config.server_bits()),
        None => config.server_bits(),
    };
    let agreement = Agreement {
        // 7.1.1.1: the server accepts the parameter by including it, and may include it unasked.
        server_no_context_takeover: offer.server_no_context_takeover
            || config.server_no_context_takeover,
        // 7.1.1.2: the offer is a hint, the answer binds.
        client_no_context_takeover: offer.client_no_context_takeover
            || config.client_no_context_takeover,
        server_max_window_bits,
        client_max_window_bits: match offer.client_max_window_bits {
            // 7.1.2.2: "If a received extension negotiation offer doesn't have the
            // "client_max_window_bits" extension parameter, the corresponding extension
            // negotiation response to the offer MUST NOT include" it.
            None => LARGEST,
            Some(None) => config.client_bits(),
            Some(Some(bits)) => bits.min(config.client_bits()),
        },
    };
    let mut answer = NAME.to_owned();
    if agreement.server_no_context_takeover {
        answer.push_str("; server_no_context_takeover");
    }
    if agreement.client_no_context_takeover {
        answer.push_str("; client_no_context_takeover");
    }
    if offer.server_max_window_bits.is_some() || agreement.server_max_window_bits < LARGEST {
        let _ = write!(
            answer,
            "; server_max_window_bits={}",
            agreement.server_max_window_bits
        );
    }
    // An offer of 8 is accepted by saying nothing: whatever the client uses, we can inflate.
    if offer.client_max_window_bits.is_some()
        && (SMALLEST + 1..LARGEST).contains(&agreement.client_max_window_bits)
    {
        let _ = write!(
            answer,
            "; client_max_window_bits={}",
            agreement.client_max_window_bits
        );
    }
    Some((agreement, answer))
}

/// Judges the server's answer to what [`make_offer`] offered; `None` if it uses no extension.
pub(crate) fn judge_answer(
    config: &DeflateConfig,
    answer: &[ExtensionOffer],
) -> Result<Option<Agreement>, HandshakeError> {
    let answer = match answer {
        [] => return Ok(None),
        [answer] if answer.name.eq_ignore_ascii_case(NAME) => answer,
        [answer, again]
            if answer.name.eq_ignore_ascii_case(NAME) && again.name.eq_ignore_ascii_case(NAME) =>
        {
            return Err(HandshakeError::ExtensionParametersInvalid);
        }
        _ => return Err(HandshakeError::ExtensionNotOffered),
    };
    let params = parse(answer, Side::Answer).ok_or(HandshakeError::ExtensionParametersInvalid)?;
    // 7.1.1.1: "A server accepts an extension negotiation offer that includes the
    // "server_no_context_takeover" extension parameter by including" it.
    let ignores_takeover = config.server_no_context_takeover && !params.server_no_context_takeover;
    // 7.1.2.1: "with the same or smaller value as the offer".
    let server_bits = params.server_max_window_bits.unwrap_or(LARGEST);
    // 7.1.2.2: likewise.
    let client_bits = params.client_max_window_bits.flatten().unwrap_or(LARGEST);
    let raises_client_bits =
        params.client_max_window_bits.is_some() && client_bits > config.client_bits();
    if ignores_takeover || server_bits > config.server_bits() || raises_client_bits {
        return Err(HandshakeError::ExtensionParametersInvalid);
    }
    Ok(Some(Agreement {
        server_no_context_takeover: params.server_no_context_takeover,
        client_no_context_takeover: params.client_no_context_takeover
            || config.client_no_context_takeover,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits.min(config.client_bits()),
    }))
}

/// Whether parameters are those of an offer or those of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Offer,
    Answer,
}

/// Returns the parameters, or `None` if one is unknown, repeated or has a bad value (7.1).
fn parse(offer: &ExtensionOffer, side: Side) -> Option<Params> {
    let mut params = Params::default();
    for (name, value) in &offer.params {
        match (name.to_ascii_lowercase().as_str(), value.as_deref()) {
            ("server_no_context_takeover", None) if !params.server_no_context_takeover => {
                params.server_no_context_takeover = true;
            }
            ("client_no_context_takeover", None) if !params.client_no_context_takeover => {
                params.client_no_context_takeover = true;
            }
            ("server_max_window_bits", Some(bits)) if params.server_max_window_bits.is_none() => {
                params.server_max_window_bits = Some(window_bits(bits)?);
            }
            ("client_max_window_bits", Some(bits)) if params.client_max_window_bits.is_none() => {
                params.client_max_window_bits = Some(Some(window_bits(bits)?));
            }
            ("client_max_window_bits", None)
                if params.client_max_window_bits.is_none() && side == Side::Offer =>
            {
                params.client_max_window_bits = Some(None);
            }
            _ => return None,
        }
    }
    Some(params)
}

/// 7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse().ok()?;
    let is_plain = !value.starts_with(['0', '+']);
    (is_plain && (SMALLEST..=LARGEST).contains(&bits)).then_some(bits)
}

const NAME: &str = "permessage-deflate";
const SMALLEST: u8 = 8;
