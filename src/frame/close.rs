//! Close codes, and the payload of a Close frame both ways.
//!
//! Knows which codes may be on the wire and which error earns which code; not the closing
//! handshake.
//!
//! RFC 6455, sections 5.5.1 and 7.4.

use core::fmt;
use core::num::NonZeroU16;
use std::borrow::Cow;

use crate::error::ProtocolError;

/// A status code that may be on the wire: why an endpoint closes (7.4).
///
/// It cannot hold 1005, 1006 or 1015, which section 7.4.1 forbids to send, nor a number that is
/// reserved or out of range. What such a number would have said is in
/// [`End::code`](crate::End::code).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(NonZeroU16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    #[doc(alias = "Normal")]
    pub const NORMAL_CLOSURE: Self = Self::registered(1000);
    /// 1001: a server goes down, or a browser leaves the page.
    #[doc(alias = "Away")]
    pub const GOING_AWAY: Self = Self::registered(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self::registered(1002);
    /// 1003: a type of data that this endpoint does not accept, such as binary where it reads text.
    pub const UNSUPPORTED_DATA: Self = Self::registered(1003);
    /// 1007: data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_FRAME_PAYLOAD_DATA: Self = Self::registered(1007);
    /// 1008: a message that breaks this endpoint's policy, where no other code fits.
    pub const POLICY_VIOLATION: Self = Self::registered(1008);
    /// 1009: a message that is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self::registered(1009);
    /// 1010: a client needs an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self::registered(1010);
    /// 1011: a condition that keeps this endpoint from fulfilling the request.
    pub const INTERNAL_ERROR: Self = Self::registered(1011);
    /// 1012: the service restarts; a client may reconnect, after a random delay.
    pub const SERVICE_RESTART: Self = Self::registered(1012);
    /// 1013: the service is overloaded; a client should try again later or elsewhere.
    pub const TRY_AGAIN_LATER: Self = Self::registered(1013);
    /// 1014: a gateway got an invalid answer from the server behind it.
    pub const BAD_GATEWAY: Self = Self::registered(1014);

    /// Returns the code of a number, or `None` if it may not be on the wire.
    ///
    /// 1000 to 1003 and 1007 to 1014 are registered; 3000 to 3999 are for libraries and
    /// frameworks, 4000 to 4999 for private use (7.4.2).
    #[inline]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => match NonZeroU16::new(code) {
                Some(code) => Some(Self(code)),
                None => None,
            },
            _ => None,
        }
    }

    /// Returns the number on the wire.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Makes a constant; a number that is not a code fails the build.
    const fn registered(code: u16) -> Self {
        match Self::new(code) {
            Some(code) => code,
            None => panic!("a constant of the registry is a valid code"),
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.get()
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({self})")
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a Close frame with a payload says.
///
/// A Close frame without one is `None` where this stands in an `Option`.
#[doc(alias = "close_frame")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why the endpoint closes.
    pub code: CloseCode,
    /// The reason in words, for people who debug; at most 123 bytes, often empty.
    pub reason: Cow<'a, str>,
}

impl CloseFrame<'_> {
    /// The longest reason: a control payload less the two bytes of the code.
    pub const MAX_REASON_LEN: usize = 123;

    /// Returns the same frame with a reason of its own.
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame {
            code: self.code,
            reason: Cow::Owned(self.reason.into_owned()),
        }
    }
}

impl<'a> CloseFrame<'a> {
    /// Decodes the payload of a Close frame; `None` if it is empty.
    ///
    /// # Errors
    ///
    /// [`CloseTooShort`](ProtocolError::CloseTooShort) for one byte,
    /// [`CloseCodeInvalid`](ProtocolError::CloseCodeInvalid) and
    /// [`CloseReasonNotUtf8`](ProtocolError::CloseReasonNotUtf8).
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, ProtocolError> {
        if payload.is_empty() {
            return Ok(None);
        }
        // 5.5.1: "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned
        // integer"
        let Some((code, reason)) = payload.split_first_chunk() else {
            return Err(ProtocolError::CloseTooShort);
        };
        let code = u16::from_be_bytes(*code);
        let Some(code) = CloseCode::new(code) else {
            return Err(ProtocolError::CloseCodeInvalid(code));
        };
        let Ok(reason) = core::str::from_utf8(reason) else {
            return Err(ProtocolError::CloseReasonNotUtf8);
        };
        Ok(Some(Self {
            code,
            reason: Cow::Borrowed(reason),
        }))
    }

    /// Appends the payload of a Close frame to `output`.
    pub fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.code.get().to_be_bytes());
        output.extend_from_slice(self.reason.as_bytes());
    }
}

impl ProtocolError {
    /// Returns the code of the Close frame that this error earns the peer (7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedOpcode(_)
            | Self::ReservedBitSet
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthTooLarge
            | Self::LengthNotMinimal
            | Self::MaskMissing
            | Self::MaskUnexpected
            | Self::ContinuationUnexpected
            | Self::MessageInterrupted
            | Self::CloseTooShort
            | Self::CloseCodeInvalid(_) => CloseCode::PROTOCOL_ERROR,
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 | Self::CompressedDataInvalid => {
                CloseCode::INVALID_FRAME_PAYLOAD_DATA
            }
            Self::TooManyFragments => CloseCode::POLICY_VIOLATION,
            Self::FrameTooLong | Self::MessageTooLong => CloseCode::MESSAGE_TOO_BIG,
        }
    }
}

impl From<ProtocolError> for CloseCode {
    fn from(error: ProtocolError) -> Self {
        error.close_code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_on_the_wire_exist() {
        // 7.4.2 and the registry: 1004 is reserved, 1005, 1006 and 1015 are never sent, 1016 to
        // 2999 are for the protocol's future.
        for code in 0..=u16::MAX {
            let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            assert_eq!(
                CloseCode::new(code).map(CloseCode::get),
                allowed.then_some(code)
            );
        }
    }

    #[test]
    fn a_payload_decodes_to_what_was_encoded() {
        let frame = CloseFrame {
            code: CloseCode::GOING_AWAY,
            reason: "auf Wiedersehen, 世界".into(),
        };
        let mut payload = Vec::new();
        frame.encode(&mut payload);
        assert_eq!(CloseFrame::decode(&payload), Ok(Some(frame)));
    }

    #[test]
    fn a_payload_of_one_byte_is_refused() {
        assert_eq!(CloseFrame::decode(b""), Ok(None));
        assert_eq!(
            CloseFrame::decode(b"\x03"),
            Err(ProtocolError::CloseTooShort)
        );
    }

    #[test]
    fn a_reason_that_is_not_utf8_is_refused() {
        assert_eq!(
            CloseFrame::decode(b"\x03\xe8\xff"),
            Err(ProtocolError::CloseReasonNotUtf8)
        );
    }

    #[test]
    fn a_code_that_may_not_be_sent_is_refused() {
        assert_eq!(
            CloseFrame::decode(&1006_u16.to_be_bytes()),
            Err(ProtocolError::CloseCodeInvalid(1006))
        );
    }
}
