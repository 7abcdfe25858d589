//! The HTTP answer that each failure of a request earns.
//!
//! One total match from error to status, and the header lines that go with it. Which rule a request
//! broke is not judged here.
//!
//! RFC 6455, section 4.2.2; RFC 9110, section 15.5.

use super::response::{Response, WithBody};
use crate::connection::SendBuffer;
use crate::error::HandshakeError;

impl HandshakeError {
    /// Returns the HTTP status that a server answers with; `None` where it owes no answer, because
    /// the error is a client's or the transport has ended.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::HeadMalformed
            | Self::HostInvalid
            | Self::TargetInvalid
            | Self::BodyUnexpected
            | Self::ConnectionNotUpgrade
            | Self::KeyInvalid
            | Self::SubprotocolsInvalid
            | Self::ExtensionsInvalid => Some(400),
            Self::OriginForbidden => Some(403),
            Self::MethodNotGet => Some(405),
            Self::TimedOut => Some(408),
            Self::RequestLineTooLong => Some(414),
            Self::NotAnUpgrade | Self::VersionUnsupported => Some(426),
            Self::HeadTooLong | Self::TooManyHeaders => Some(431),
            Self::HttpVersionUnsupported => Some(505),
            Self::Refused(_)
            | Self::UpgradeMismatch
            | Self::AcceptMismatch
            | Self::ExtensionNotOffered
            | Self::ExtensionParametersInvalid
            | Self::SubprotocolNotOffered
            | Self::TooManyInterimResponses
            | Self::LocationInvalid
            | Self::RedirectInsecure
            | Self::TooManyRedirects(_)
            | Self::ProxyRefused(_)
            | Self::ProxySpokeFirst
            | Self::ProxyTimedOut
            | Self::EndOfStream => None,
        }
    }

    /// Returns the HTTP answer that a server owes, if it owes one, with a body that says why.
    ///
    /// For [`PlainRequest::respond`](super::PlainRequest::respond) and for servers whose HTTP is
    /// somebody else's.
    pub fn response(&self) -> Option<Response> {
        let response = Response::with_status(self.status()?);
        let response = match self {
            // RFC 9110, section 15.5.6: "The origin server MUST generate an Allow header field in a
            // 405 response".
            Self::MethodNotGet => response.known_header("Allow", "GET"),
            // RFC 9110, section 15.5.22: a 426 says which protocol it wants.
            Self::NotAnUpgrade => response.known_header("Upgrade", "websocket"),
            // 4.2.2 item 4: "include a |Sec-WebSocket-Version| header field indicating the
            // version(s) the server is capable of understanding".
            Self::VersionUnsupported => response
                .known_header("Upgrade", "websocket")
                .known_header("Sec-WebSocket-Version", "13"),
            _ => response,
        };
        let typed = response.known_header("Content-Type", "text/plain; charset=utf-8");
        Some(typed.body(format!("{self}\n")))
    }

    /// Appends the HTTP answer that a server owes, if it owes one; the transport closes after it.
    ///
    /// The method of the request is not known here: an error that a HEAD request can earn is
    /// answered without a body. [`PlainRequest::refuse`](super::PlainRequest::refuse) knows it.
    pub fn respond(&self, output: &mut SendBuffer) {
        let Some(response) = self.response() else {
            return;
        };
        let response = match self {
            // RFC 9110, section 9.3.2: "the server MUST NOT send content in the response" to HEAD.
            Self::MethodNotGet | Self::NotAnUpgrade | Self::HostInvalid => response.without_body(),
            _ => response,
        };
        response.write(WithBody::Yes, output);
    }
}
