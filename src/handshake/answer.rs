//! The answer to a request of ours, as its bytes come.
//!
//! Finds the head of the final answer behind interim ones, and keeps a bounded part of the body
//! where it refuses. Whether an answer that grants follows its own rules is for `client` and
//! `proxy` to judge.
//!
//! RFC 9110, section 15; RFC 9112, section 6.3.

use std::sync::Arc;
use std::time::Instant;

use super::Patience;
use super::body::{Body, Cut};
use super::head::ResponseHead;
use super::scanner::{HeadKind, HeadScanner};
use crate::connection::{Config, RecvBuffer};
use crate::error::{HandshakeError, RefusedResponse};

/// A reader of one answer.
#[derive(Debug)]
pub(super) struct AnswerReader {
    config: Arc<Config>,
    asked: Asked,
    patience: Patience,
    scanner: HeadScanner,
    interim_responses: usize,
    /// The answer that refused, and its body as far as it came.
    refusal: Option<(ResponseHead, Body)>,
    /// The error latches: what comes behind an answer that failed is no answer.
    failed: Option<HandshakeError>,
}

/// What the answer is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A GET with an upgrade: 101 grants it.
    Upgrade,
    /// A CONNECT: any 2xx grants it.
    Tunnel,
}

/// What a status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Granted,
    Interim,
    Refused,
}

impl Asked {
    const fn verdict(self, status: u16) -> Verdict {
        match (self, status) {
            (Self::Upgrade, 101) | (Self::Tunnel, 200..=299) => Verdict::Granted,
            // Nobody asked a proxy to switch protocols.
            (Self::Tunnel, 101) => Verdict::Refused,
            (_, 100..=199) => Verdict::Interim,
            _ => Verdict::Refused,
        }
    }
}

impl AnswerReader {
    pub(super) fn new(asked: Asked, config: Arc<Config>) -> Self {
        Self {
            config,
            asked,
            patience: Patience::default(),
            scanner: HeadScanner::default(),
            interim_responses: 0,
            refusal: None,
            failed: None,
        }
    }

    /// Tells the time; the first call starts the clock.
    pub(super) fn set_now(&mut self, now: Instant) {
        let timeout = match self.asked {
            Asked::Upgrade => self.config.handshake_timeout,
            Asked::Tunnel => self.config.connect_timeout,
        };
        self.patience.set_now(timeout, now);
    }

    /// Reads the head of the answer that grants; `None` if it needs more bytes.
    pub(super) fn receive(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<ResponseHead>, HandshakeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let received = self.receive_head(input);
        self.failed = received.as_ref().err().cloned();
        received
    }

    /// Notes that the transport ended, and returns what that makes of the answer.
    pub(super) fn receive_eof(&mut self) -> HandshakeError {
        self.fail(HandshakeError::EndOfStream, Cut::Eof)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), HandshakeError> {
        self.set_now(now);
        if !self.patience.is_over(now) {
            return Ok(());
        }
        let error = match self.asked {
            Asked::Upgrade => HandshakeError::TimedOut,
            Asked::Tunnel => HandshakeError::ProxyTimedOut,
        };
        Err(self.fail(error, Cut::Deadline))
    }

    /// Notes that the answer that granted breaks a rule.
    #[cold]
    pub(super) fn latch(&mut self, error: HandshakeError) -> HandshakeError {
        self.failed.get_or_insert(error).clone()
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.patience.deadline
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    fn receive_head(
        &mut self,
        input: &mut RecvBuffer,
    ) -> Result<Option<ResponseHead>, HandshakeError> {
        loop {
            if let Some((_, body)) = &mut self.refusal {
                return if body.receive(input) {
                    Err(self.refused(Cut::Done))
                } else {
                    Ok(None)
                };
            }
            let Some(len) = self
                .scanner
                .scan(HeadKind::Response, &self.config, input.unread())?
            else {
                return Ok(None);
            };
            let head = ResponseHead::parse(&self.scanner, &input.unread()[..len])?;
            input.consume_head(len);
            self.scanner = HeadScanner::default();
            match self.asked.verdict(head.status) {
                Verdict::Granted => return Ok(Some(head)),
                // RFC 9110, section 15.2: "A client MUST be able to parse one or more 1xx
                // responses received prior to a final response".
                Verdict::Interim => {
                    self.interim_responses += 1;
                    if self.interim_responses > MAX_INTERIM_RESPONSES {
                        return Err(HandshakeError::TooManyInterimResponses);
                    }
                }
                Verdict::Refused => {
                    let max_len = self.config.max_refused_body_len;
                    let body = Body::new(head.status, &head.headers, max_len);
                    self.refusal = Some((head, body));
                }
            }
        }
    }

    /// Ends the answer where no more of it is read, and returns what latches: the error from
    /// before, the answer that refused as far as it came, or else `error`.
    #[cold]
    fn fail(&mut self, error: HandshakeError, cut: Cut) -> HandshakeError {
        if self.failed.is_none() {
            self.failed = Some(if self.refusal.is_some() {
                self.refused(cut)
            } else {
                error.clone()
            });
        }
        self.failed.clone().unwrap_or(error)
    }

    /// Returns the answer that refused.
    #[cold]
    fn refused(&mut self, cut: Cut) -> HandshakeError {
        let Some((head, body)) = self.refusal.take() else {
            return HandshakeError::EndOfStream;
        };
        let mut response = RefusedResponse::new(head.status, head.headers.to_owned_lines());
        let (kept, truncated) = body.finish(cut);
        response.body = kept.into();
        response.body_truncated = truncated;
        match self.asked {
            Asked::Upgrade => HandshakeError::Refused(Box::new(response)),
            Asked::Tunnel => HandshakeError::ProxyRefused(Box::new(response)),
        }
    }
}

/// More than a patient client should read.
const MAX_INTERIM_RESPONSES: usize = 8;
