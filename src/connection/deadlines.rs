//! Keepalive, idleness and the closing handshake's patience, as data.
//!
//! Owns the moments that matter and says which is next. It reads no clock, sleeps nowhere and
//! sends nothing: `connection` acts on what is due.
//!
//! RFC 6455, sections 5.5.2 and 7.1.1.

use std::time::{Duration, Instant};

use super::State;
use super::config::Config;

/// The moments that deadlines are counted from.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// The time as of the last wake-up; `None` until somebody tells it, and then nothing is due.
    now: Option<Instant>,
    /// When a byte last arrived: any byte is a sign of life.
    last_received: Option<Instant>,
    /// When a message last passed in either direction, as of when the time was told before.
    last_message: Option<Instant>,
    /// Whether one has passed since.
    has_message_passed: bool,
    /// The keepalive Ping that is on its way.
    ping: Option<Ping>,
    /// How many keepalive Pings were sent, which is also what the latest one says.
    pings: u32,
    /// When the closing handshake must be over.
    close: Option<Instant>,
    round_trip_time: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    sent: Instant,
    /// When the first Ping was sent of those that no byte has followed; `None` once one has.
    ///
    /// Pings that are more frequent than the patience must not prolong it.
    unanswered_since: Option<Instant>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A keepalive Ping with this payload.
    Ping([u8; 4]),
    /// No byte came in answer to a Ping.
    PongOverdue,
    /// No message passed for long.
    Idle,
    /// The closing handshake took too long.
    CloseOverdue,
}

impl Deadlines {
    /// Tells the time; the first call starts the clocks.
    #[inline]
    pub(super) fn set_now(&mut self, now: Instant) {
        self.last_message = self.last_message();
        self.has_message_passed = false;
        if self.now.is_none() {
            self.last_received = Some(now);
            self.last_message = Some(now);
        }
        self.now = Some(now);
    }

    /// Notes that bytes arrived.
    #[inline]
    pub(super) fn bytes_received(&mut self) {
        self.last_received = self.now;
        if let Some(ping) = &mut self.ping {
            ping.unanswered_since = None;
        }
    }

    /// Notes that the transport took bytes again after it had taken none.
    pub(super) fn sending_resumed(&mut self) {
        self.message_passed();
        if let Some(ping) = &mut self.ping
            && ping.unanswered_since.is_some()
        {
            ping.unanswered_since = self.now;
        }
    }

    /// Notes that a message was sent or received.
    #[inline]
    pub(super) const fn message_passed(&mut self) {
        self.has_message_passed = true;
    }

    /// Returns when a message last passed.
    #[inline]
    const fn last_message(&self) -> Option<Instant> {
        if self.has_message_passed {
            self.now
        } else {
            self.last_message
        }
    }

    /// Notes a Pong; one that repeats the latest keepalive Ping measures the round trip.
    pub(super) fn pong_received(&mut self, payload: &[u8]) {
        if let (Some(now), Some(ping)) = (self.now, self.ping)
            && payload == self.pings.to_be_bytes()
        {
            self.round_trip_time = Some(now.saturating_duration_since(ping.sent));
            self.ping = None;
        }
    }

    /// Starts the patience for the closing handshake, once.
    pub(super) fn closing(&mut self, config: &Config) {
        if self.close.is_none() {
            self.close = after(self.now, config.close_timeout);
        }
    }

    /// Says what is due, and counts a Ping as sent.
    pub(super) fn due(&mut self, config: &Config, state: State) -> Due {
        let Some(now) = self.now else {
            return Due::Nothing;
        };
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if passed(self.close) {
            return Due::CloseOverdue;
        }
        if state != State::Open {
            return Due::Nothing;
        }
        if passed(self.pong_deadline(config)) {
            return Due::PongOverdue;
        }
        if passed(self.idle_deadline(config)) {
            return Due::Idle;
        }
        if passed(self.ping_deadline(config)) {
            self.pings = self.pings.wrapping_add(1);
            let unanswered_since = self.ping.and_then(|ping| ping.unanswered_since);
            self.ping = Some(Ping {
                sent: now,
                unanswered_since: unanswered_since.or(Some(now)),
            });
            return Due::Ping(self.pings.to_be_bytes());
        }
        Due::Nothing
    }

    /// Returns the next moment at which something is due.
    pub(super) fn next(&self, config: &Config, state: State) -> Option<Instant> {
        match state {
            State::Open => earlier(
                earlier(self.ping_deadline(config), self.pong_deadline(config)),
                self.idle_deadline(config),
            ),
            State::Closing | State::Closed => self.close,
        }
    }

    /// Whether a Pong repeats a keepalive Ping, the latest or one before.
    pub(super) fn is_keepalive(&self, payload: &[u8]) -> bool {
        payload
            .try_into()
            .is_ok_and(|number| (1..=self.pings).contains(&u32::from_be_bytes(number)))
    }

    pub(super) const fn round_trip_time(&self) -> Option<Duration> {
        self.round_trip_time
    }

    /// A Ping is due when nothing was received, or the last Ping sent, for the interval.
    fn ping_deadline(&self, config: &Config) -> Option<Instant> {
        let interval = config.ping_interval?;
        let since_received = self.last_received?.checked_add(interval)?;
        let Some(ping) = self.ping else {
            return Some(since_received);
        };
        // An interval of nothing would be a flood of Pings.
        let since_ping = ping.sent.checked_add(interval.max(LEAST_INTERVAL))?;
        Some(since_received.max(since_ping))
    }

    fn pong_deadline(&self, config: &Config) -> Option<Instant> {
        after(self.ping?.unanswered_since, config.pong_timeout)
    }

    fn idle_deadline(&self, config: &Config) -> Option<Instant> {
        after(self.last_message(), config.idle_timeout)
    }
}

/// The shortest interval of keepalive Pings.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// Returns `start` plus `timeout`; `None`, which is never, where either is or the sum overflows.
fn after(start: Option<Instant>, timeout: Option<Duration>) -> Option<Instant> {
    start?.checked_add(timeout?)
}

/// Returns the earlier of two moments, of which either may be never.
#[inline]
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
