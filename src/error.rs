//! What can go wrong, in three families by whose fault it is.
//!
//! Values only, and no import from this crate: which close code or HTTP status an error earns is
//! written beside the rules, in `frame::close` and `handshake::refusal`.
//!
//! [`ProtocolError`] is the peer's fault once the connection is open, [`SendError`] is the
//! caller's, [`HandshakeError`] is the opening that did not become a connection. The adapters have
//! an `Error` over the three. A normal close is none of them: the end of a connection is a value,
//! [`End`](crate::End).
#![doc = include_str!("error/taxonomy.md")]

use bytes::Bytes;

/// Whose fault an error is: who has to change something before the same can go well.
///
/// A server that counts its errors by fault sees its own apart from those that any client can
/// cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other end's, or that of a proxy on the way: it broke a rule, or exceeded a limit.
    Peer,
    /// This program's: it asked for what may not be, or of the wrong server.
    Caller,
    /// Nobody's: the network, or how busy an end or a proxy is. Only this passes by itself.
    Network,
}

/// The peer broke a rule, and the connection has failed (RFC 6455, section 7.1.7).
///
/// The Close frame that it earns, whose code is [`close_code`](Self::close_code), is in the output
/// already when this is returned, and the same error is returned from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// 5.2: a frame of an opcode that means nothing yet.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// 5.2: RSV1, RSV2 or RSV3 without an extension that gives it a meaning there.
    #[error("reserved bit is set and no negotiated extension claims it")]
    ReservedBitSet,
    /// 5.5: a Close, Ping or Pong with FIN clear.
    #[error("control frame is fragmented")]
    ControlFragmented,
    /// 5.5: a Close, Ping or Pong with a longer payload than one may have.
    #[error("control frame payload exceeds 125 bytes")]
    ControlTooLong,
    /// 5.2: a 64-bit length with its most significant bit set.
    #[error("payload length exceeds 63 bits")]
    LengthTooLarge,
    /// 5.2: a length in 16 or 64 bits that fits in fewer.
    #[error("payload length is not in its shortest form")]
    LengthNotMinimal,
    /// 5.1: a frame from a client without a masking key.
    #[error("client frame is not masked")]
    MaskMissing,
    /// 5.1: a frame from a server with a masking key.
    #[error("server frame is masked")]
    MaskUnexpected,
    /// 5.4: a continuation frame where no message is unfinished.
    #[error("continuation frame continues no message")]
    ContinuationUnexpected,
    /// 5.4: a text or binary frame where a message is unfinished.
    #[error("data frame interrupts a fragmented message")]
    MessageInterrupted,
    /// 8.1: a text message that is not UTF-8.
    #[error("text message is not UTF-8")]
    TextNotUtf8,
    /// 5.5.1: a Close payload of one byte, which is too short for a code.
    #[error("close frame payload of one byte holds no status code")]
    CloseTooShort,
    /// 7.4: a status code that may not be on the wire.
    #[error("close code {0} may not be sent")]
    CloseCodeInvalid(u16),
    /// 5.5.1: a reason that is not UTF-8.
    #[error("close reason is not UTF-8")]
    CloseReasonNotUtf8,
    /// RFC 7692, 7.2.2: a compressed message that cannot be decompressed.
    #[error("compressed message is not valid deflate data")]
    CompressedDataInvalid,
    /// 10.4: a frame longer than [`Config::max_frame_len`](crate::Config::max_frame_len).
    #[error("frame exceeds max_frame_len")]
    FrameTooLong,
    /// 10.4: a message longer than [`Config::max_message_len`](crate::Config::max_message_len).
    #[error("message exceeds max_message_len")]
    MessageTooLong,
    /// 10.4: more frames in a message than [`Config::max_fragments`](crate::Config::max_fragments).
    #[error("message has more frames than max_fragments")]
    TooManyFragments,
}

/// The caller asked for something that may not be sent; nothing was appended to the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// 5.5.1: nothing but a Pong follows a Close frame.
    #[doc(alias("SendAfterClosing", "AlreadyClosed"))]
    #[error("connection is closing: a close frame was sent or received")]
    Closing,
    /// 5.5: a Ping or Pong with a payload of more than 125 bytes.
    #[error("control frame payload exceeds 125 bytes")]
    ControlTooLong,
    /// 5.5.1: a close reason of more than 123 bytes, which is never cut short.
    #[error("close reason exceeds 123 bytes")]
    ReasonTooLong,
    /// 5.4: a message, or a fragment of another kind, inside a fragmented message.
    #[error("a fragmented message is unfinished: finish it with a fragment that has fin set")]
    MessageUnfinished,
    /// 8.1: fragments of a text that cannot be UTF-8 together.
    #[error("text fragments are not UTF-8 together")]
    TextNotUtf8,
    /// 5.5: a control frame is for one connection, and is not prepared for many.
    #[error("message is a control frame: only text and binary messages are prepared")]
    MessageNotData,
    /// The output holds more than `write_high_water` and one message already.
    #[doc(alias = "WriteBufferFull")]
    #[error("write buffer is full: flush it, or wait until the peer reads")]
    BufferFull,
    /// RFC 9110, section 5.1: a header name that is not a token.
    #[error("header name is not a token")]
    HeaderNameInvalid,
    /// 4.1, 4.2.2: a header that the opening handshake writes itself.
    #[error("header belongs to the opening handshake, which writes it itself")]
    HeaderReserved,
    /// RFC 9110, section 5.5: a header value with CR, LF, NUL or another control character.
    #[error("header value holds a control character")]
    HeaderValueInvalid,
    /// 4.1: a subprotocol that is not a token.
    #[error("subprotocol is not a token")]
    SubprotocolInvalid,
    /// 4.1: a subprotocol that was offered twice.
    #[error("subprotocol is offered twice")]
    SubprotocolRepeated,
    /// 4.2.2: a subprotocol that the client did not offer.
    #[error("subprotocol was not offered by the client")]
    SubprotocolNotOffered,
    /// RFC 6454: an origin that is not `scheme://host` or `scheme://host:port`.
    #[error("origin is not scheme://host or scheme://host:port")]
    OriginInvalid,
    /// RFC 9110, section 15: a status that cannot answer a request for good, below 200 or
    /// above 599.
    #[error("status must be from 200 to 599")]
    StatusInvalid,
    /// 3: a URI whose scheme is neither `ws` nor `wss`.
    #[error("URI scheme must be ws or wss")]
    UriSchemeUnsupported,
    /// 3: a URI without a host, or with one that is not a name or an address.
    #[error("URI host is missing or not a name, an IPv4 or a bracketed IPv6 address")]
    UriHostInvalid,
    /// 3: a URI whose port is not a number from 1 to 65535.
    #[error("URI port must be a number from 1 to 65535")]
    UriPortInvalid,
    /// 3: "fragment identifiers are meaningless in the context of WebSocket URIs".
    #[error("URI has a fragment: leave it out, or write %23 for a # that is meant")]
    UriFragment,
    /// 3: a URI with a user name or password, for which its grammar has no place, and which would
    /// end in logs.
    #[error("URI holds user information: send it in an Authorization header")]
    UriUserInfo,
    /// RFC 3986, section 2: a character that is not allowed in a URI, control characters and spaces
    /// among them.
    #[error("URI holds a character that must be percent-encoded")]
    UriCharacterInvalid,
    /// RFC 9110, section 4.2.1: a proxy whose URI is not `http://host` or `http://host:port`, with
    /// or without a user.
    #[error("proxy URI must be http://host:port, without a path")]
    ProxyUriInvalid,
    /// RFC 7617, section 2: a user name with a colon, or credentials that are not UTF-8 or hold a
    /// control character.
    #[error(
        "proxy user name holds a colon, or credentials are not text without control characters"
    )]
    ProxyCredentialsInvalid,
    /// 4.1 item 2: a request whose method is not GET.
    #[error("method of an upgrade request must be GET")]
    MethodNotGet,
    /// More header lines than `http::HeaderMap` holds.
    #[error("answer has more header lines than an http::HeaderMap holds")]
    TooManyHeaders,
    /// RFC 8441, section 5: bytes of HTTP/1.1 for a request that came over HTTP/2.
    #[error("request is an extended CONNECT, which is not answered in HTTP/1.1")]
    AnswerNotHttp1,
}

/// The opening handshake did not become a connection (RFC 6455, section 4).
///
/// On a server, `respond` writes the HTTP answer that the client is owed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// RFC 9112: not an HTTP/1.1 head, as a strict reader reads it.
    #[error("HTTP head is malformed")]
    HeadMalformed,
    /// RFC 9110, section 15.5.15: the request line is longer than
    /// [`Config::max_request_line_len`](crate::Config::max_request_line_len).
    #[error("request line exceeds max_request_line_len")]
    RequestLineTooLong,
    /// RFC 6585, section 5: the head is longer than
    /// [`Config::max_head_len`](crate::Config::max_head_len).
    #[error("HTTP head exceeds max_head_len")]
    HeadTooLong,
    /// RFC 6585, section 5: the head has more header lines than
    /// [`Config::max_headers`](crate::Config::max_headers).
    #[error("HTTP head has more header lines than max_headers")]
    TooManyHeaders,
    /// RFC 9112, section 2.3: a major version of HTTP that is not 1; or a 101 in HTTP/1.0, which
    /// knows none.
    #[error("HTTP version is not 1.1")]
    HttpVersionUnsupported,
    /// RFC 9112, section 3.2: no Host, several, or one that is not a host and a port.
    #[error("host header is missing, repeated or malformed")]
    HostInvalid,
    /// 4.2.1: a request target that names no resource of this server.
    #[error("request target is neither a path nor an absolute URI")]
    TargetInvalid,
    /// RFC 9110, section 7.8: an upgrade request with a body, which would be taken for frames.
    #[error("upgrade request announces a body")]
    BodyUnexpected,
    /// 4.2.1: a request that does not ask for the WebSocket protocol.
    #[error("request does not ask for an upgrade to websocket")]
    NotAnUpgrade,
    /// 4.2.1 item 1: a method other than GET.
    #[error("upgrade request method is not GET")]
    MethodNotGet,
    /// 4.1 item 3, 4.2.1 item 4: no `Upgrade` among the tokens of Connection.
    #[error("connection header holds no upgrade token")]
    ConnectionNotUpgrade,
    /// 4.2.1 item 5: no Sec-WebSocket-Key, several, or one that is not 16 bytes in base64.
    #[error("sec-websocket-key is not one value of 16 bytes in base64")]
    KeyInvalid,
    /// 4.2.1 item 6, 4.4: a Sec-WebSocket-Version other than 13.
    #[error("sec-websocket-version is not 13")]
    VersionUnsupported,
    /// 4.3: Sec-WebSocket-Protocol is not a list of at most 64 distinct tokens.
    #[error("sec-websocket-protocol is not a list of at most 64 distinct tokens")]
    SubprotocolsInvalid,
    /// 9.1: Sec-WebSocket-Extensions does not follow its grammar, or makes more than 16 offers.
    #[error("sec-websocket-extensions is malformed or makes more than 16 offers")]
    ExtensionsInvalid,
    /// 10.2: the origin policy refused the Origin of the page that asks.
    #[error("origin is not allowed by the origin policy")]
    OriginForbidden,
    /// 4.1 item 1: the server answered with something other than 101.
    #[error("server refused the handshake with status {}", .0.status)]
    Refused(Box<RefusedResponse>),
    /// 4.1 item 2: the 101 answer does not switch to `websocket`.
    #[error("server switches to a protocol that is not websocket")]
    UpgradeMismatch,
    /// 4.1 item 4: the answer to our key is missing, repeated or wrong.
    #[error("sec-websocket-accept does not answer the key")]
    AcceptMismatch,
    /// 4.1 item 5: the server uses an extension that was not offered.
    #[error("server uses an extension that was not offered")]
    ExtensionNotOffered,
    /// RFC 7692, 7.1: the server's answer has parameters that the offer does not allow.
    #[error("server answered permessage-deflate with parameters that were not offered")]
    ExtensionParametersInvalid,
    /// 4.1 item 6: the server chose a subprotocol that was not offered.
    #[error("server chose a subprotocol that was not offered")]
    SubprotocolNotOffered,
    /// RFC 9110, section 15.2: more than eight interim answers came before the final one.
    #[error("server sent more than 8 interim responses")]
    TooManyInterimResponses,
    /// RFC 9110, section 10.2.2: a redirect with several Locations, or with one that leads to no
    /// `ws:`, `wss:`, `http:` or `https:` URI.
    #[error("location of the redirect is repeated, or is not a URI that can be opened")]
    LocationInvalid,
    /// 10.6: a redirect from `wss` to `ws`, where everybody on the way would read what was to be
    /// secret.
    #[error("server redirects from wss to ws")]
    RedirectInsecure,
    /// RFC 9110, section 15.4: more redirects than the client follows; the answer is that of the
    /// last.
    #[error("server redirects more often than the client follows")]
    TooManyRedirects(Box<RefusedResponse>),
    /// RFC 9110, section 9.3.6: the proxy answered CONNECT with something other than 2xx.
    #[error("proxy refused the tunnel with status {}", .0.status)]
    ProxyRefused(Box<RefusedResponse>),
    /// RFC 9110, section 9.3.6: bytes came through the tunnel with the proxy's answer, and no
    /// server speaks first.
    #[error("proxy sent bytes behind its answer, before the client spoke to the server")]
    ProxySpokeFirst,
    /// The proxy took longer than [`Config::connect_timeout`](crate::Config::connect_timeout).
    #[error("proxy opened no tunnel within connect_timeout")]
    ProxyTimedOut,
    /// The handshake took longer than
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    #[error("opening handshake exceeded handshake_timeout")]
    TimedOut,
    /// RFC 9112, section 8: the peer closed the transport before the head was whole.
    #[error("transport ended inside the opening handshake")]
    EndOfStream,
}

impl ProtocolError {
    /// Returns whose fault it is: the peer's, in every case.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl SendError {
    /// Returns whose fault it is: the caller's, but for a buffer that is full because the peer
    /// reads more slowly than the caller sends.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::BufferFull => Fault::Network,
            Self::Closing
            | Self::ControlTooLong
            | Self::ReasonTooLong
            | Self::MessageUnfinished
            | Self::TextNotUtf8
            | Self::MessageNotData
            | Self::HeaderNameInvalid
            | Self::HeaderReserved
            | Self::HeaderValueInvalid
            | Self::SubprotocolInvalid
            | Self::SubprotocolRepeated
            | Self::SubprotocolNotOffered
            | Self::OriginInvalid
            | Self::StatusInvalid
            | Self::UriSchemeUnsupported
            | Self::UriHostInvalid
            | Self::UriPortInvalid
            | Self::UriFragment
            | Self::UriUserInfo
            | Self::UriCharacterInvalid
            | Self::ProxyUriInvalid
            | Self::ProxyCredentialsInvalid
            | Self::MethodNotGet
            | Self::TooManyHeaders
            | Self::AnswerNotHttp1 => Fault::Caller,
        }
    }
}

impl HandshakeError {
    /// Returns whose fault it is; of an answer that is not 101, by its status.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Refused(response) | Self::ProxyRefused(response) => response.fault(),
            Self::ProxyTimedOut | Self::TimedOut | Self::EndOfStream => Fault::Network,
            Self::HeadMalformed
            | Self::RequestLineTooLong
            | Self::HeadTooLong
            | Self::TooManyHeaders
            | Self::HttpVersionUnsupported
            | Self::HostInvalid
            | Self::TargetInvalid
            | Self::BodyUnexpected
            | Self::NotAnUpgrade
            | Self::MethodNotGet
            | Self::ConnectionNotUpgrade
            | Self::KeyInvalid
            | Self::VersionUnsupported
            | Self::SubprotocolsInvalid
            | Self::ExtensionsInvalid
            | Self::OriginForbidden
            | Self::UpgradeMismatch
            | Self::AcceptMismatch
            | Self::ExtensionNotOffered
            | Self::ExtensionParametersInvalid
            | Self::SubprotocolNotOffered
            | Self::TooManyInterimResponses
            | Self::LocationInvalid
            | Self::RedirectInsecure
            | Self::TooManyRedirects(_)
            | Self::ProxySpokeFirst => Fault::Peer,
        }
    }

    /// Whether the same attempt may go well later, without anybody changing a thing: where the
    /// fault is the [network's](Fault::Network).
    ///
    /// That is what ran out of time or broke off, and an answer that says "not now": 408, 425, 429,
    /// 500, 502, 503 or 504. Wait before the next attempt, longer each time, or as long as the
    /// answer's Retry-After says.
    ///
    /// ```
    /// use framewright::HandshakeError;
    ///
    /// assert!(HandshakeError::TimedOut.is_retryable());
    /// assert!(!HandshakeError::AcceptMismatch.is_retryable()); // That is no WebSocket server.
    /// ```
    pub const fn is_retryable(&self) -> bool {
        matches!(self.fault(), Fault::Network)
    }
}

/// The answer of a server that did not switch protocols: a redirect, a 401, a page; or of a proxy
/// that opened no tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The header lines, in order: names in lower case, values as they came.
    pub headers: Vec<(String, Bytes)>,
    /// The body, or as much of it as
    /// [`Config::max_refused_body_len`](crate::Config::max_refused_body_len) keeps.
    pub body: Bytes,
    /// Whether the body was longer, or ended early.
    pub body_truncated: bool,
}

impl RefusedResponse {
    pub(crate) fn new(status: u16, headers: Vec<(String, Bytes)>) -> Self {
        Self {
            status,
            headers,
            body: Bytes::new(),
            body_truncated: false,
        }
    }

    /// Returns the first value of a header, whose name is compared without case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// Returns where a redirect points to: the Location header, if there is one and not several,
    /// and if it is text.
    pub fn location(&self) -> Option<&str> {
        let mut locations = self.values("location");
        let location = locations.next()?;
        match locations.next() {
            None => core::str::from_utf8(location).ok(),
            Some(_) => None,
        }
    }

    const fn fault(&self) -> Fault {
        match self.status {
            408 | 425 | 429 | 500 | 502..=504 => Fault::Network,
            501.. => Fault::Peer,
            // A redirect that is not followed, a page where no WebSocket is, a login that is
            // missing.
            ..=499 => Fault::Caller,
        }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }
}
