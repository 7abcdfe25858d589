//! A client and a server in memory, and a script of what they and the network do.
//!
//! They send messages whole, fragmented, shared and prepared, Pings, Pongs and Closes, with
//! compression or without; the network carries what they wrote in any pieces; time passes; and the
//! network may end, tear what is on its way, or change a byte. Asserts that
//! - what is received is what was sent, once and in order: messages, Pings, unasked-for Pongs and
//!   Closes; of the Pongs that answer Pings some may be replaced by later ones, the last is not;
//! - what may not be sent is refused for the reason that the documentation says, and appends
//!   nothing;
//! - once everything was carried, everything was received, or the end that did not receive it says
//!   why: a limit or a deadline;
//! - a deadline that has passed is acted upon, and no other is due at once;
//! - one Close closes both, with the same frames as seen from either;
//! - whatever the network does to the bytes, both ends come to an end, and nothing is sent after
//!   it.

#![no_main]

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::{Config, Delivery, State};
use framewright_fuzz::end::End;
use framewright_fuzz::open;
use framewright_fuzz::script::Script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let mut config = Config::default();
    config.max_message_len = script.pick(&[16 << 20, 16 << 20, 16 << 20, 300, 20]);
    config.max_fragments = script.pick(&[131_072, 131_072, 3]);
    config.delivery = script.pick(&[Delivery::Messages, Delivery::Messages, Delivery::Chunks]);
    let patience = [
        None,
        Some(Duration::from_secs(20)),
        Some(Duration::from_millis(1500)),
    ];
    config.ping_interval = script.pick(&patience);
    config.pong_timeout = script.pick(&patience);
    config.idle_timeout = script.pick(&patience);
    config.close_timeout = script.pick(&patience);
    let config = Arc::new(config);
    let deflate = open::deflate(&mut script);
    let ends = open::ROLES.map(|role| End::new(open::connection(role, &config, deflate.clone())));
    let mut pair = Pair {
        ends,
        now: open::epoch(),
        is_faulty: false,
    };
    if script.flag() {
        pair.pass_time(Duration::ZERO);
    }
    while !script.is_at_end() {
        pair.step(&mut script);
    }
    pair.settle();
});

struct Pair {
    /// The client, and the server.
    ends: [End; 2],
    now: Instant,
    /// Whether the network did what it should not: what arrives is not what was sent any more.
    is_faulty: bool,
}

impl Pair {
    fn step(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        let (own, other) = if choice & 1 == 0 { (0, 1) } else { (1, 0) };
        match choice >> 1 & 0x0f {
            0..=4 => self.ends[own].send_message(choice >> 5, script),
            5 => self.ends[own].send_fragment(script),
            6 => self.ends[own].send_ping(script),
            7 => self.ends[own].send_pong(script),
            8 => self.ends[own].send_close(script),
            9 | 10 => {
                let len = script.byte();
                self.ends[own].write(usize::from(len));
            }
            11 | 12 => {
                let len = script.byte();
                self.carry(own, other, usize::from(len));
            }
            13 => {
                self.carry(0, 1, usize::MAX);
                self.carry(1, 0, usize::MAX);
            }
            14 => self.pass_time(Duration::from_millis(u64::from(script.byte()) * 100)),
            _ => match choice >> 5 {
                0 => self.tear(own, other, script.byte()),
                1 => self.damage(own, script),
                2..=4 => self.ends[own].change_hands(),
                _ => self.ends[own].connection.sending_resumed(self.now),
            },
        }
    }

    /// Carries bytes from one end to the other, which receives them at once.
    fn carry(&mut self, from: usize, to: usize, len: usize) {
        if len == usize::MAX {
            self.ends[from].write(usize::MAX);
        }
        let len = len.min(self.ends[from].wire.len());
        if len > 0 {
            // Slices, because a step for each byte would be most of the time.
            let rest = self.ends[from].wire.split_off(len);
            let carried = mem::replace(&mut self.ends[from].wire, rest);
            self.ends[to].input.extend(&carried);
            self.receive(to);
        }
    }

    /// Receives what there is, and compares it with what was sent.
    fn receive(&mut self, to: usize) {
        let [client, server] = &mut self.ends;
        let (own, peer) = if to == 0 {
            (client, server)
        } else {
            (server, client)
        };
        while own.advance(peer, self.is_faulty) {}
    }

    /// The transport ends: one end sees it fail, the other its end behind a part of what was on its
    /// way.
    fn tear(&mut self, own: usize, other: usize, len: u8) {
        self.carry(own, other, usize::from(len));
        self.carry(other, own, usize::from(len >> 4));
        self.is_faulty = true;
        self.ends[own].finish(true);
        self.ends[other].finish(false);
    }

    /// Changes a byte on its way.
    fn damage(&mut self, own: usize, script: &mut Script<'_>) {
        let place = usize::from(script.byte());
        if let Some(byte) = self.ends[own].wire.get_mut(place) {
            *byte ^= script.byte();
            self.is_faulty = true;
        }
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
        for end in &mut self.ends {
            end.pass_time(self.now);
        }
    }

    /// Carries everything, begins to close, and judges the ends.
    fn settle(&mut self) {
        self.carry_all();
        self.judge_arrivals();
        // A Close may come while a message is unfinished.
        self.ends[0].send_close(&mut Script::new(&[]));
        self.carry_all();
        self.judge_arrivals();
        let [client, server] = &mut self.ends;
        if !self.is_faulty {
            client.judge_end(server);
            server.judge_end(client);
        }
        client.finish(false);
        server.finish(false);
    }

    fn carry_all(&mut self) {
        // A Ping, its Pong, a Close and its answer; nothing goes on for ever.
        for _ in 0..4 {
            self.carry(0, 1, usize::MAX);
            self.carry(1, 0, usize::MAX);
        }
        for end in &self.ends {
            assert!(
                end.wire.is_empty() && end.output.is_empty(),
                "it never ends"
            );
        }
    }

    /// Everything was carried: whoever did not fail has received everything.
    fn judge_arrivals(&self) {
        if self.is_faulty {
            return;
        }
        let [client, server] = &self.ends;
        for (own, peer) in [(client, server), (server, client)] {
            let has_failed = own.connection.end().is_some_and(|end| !end.is_clean());
            if !has_failed {
                assert!(peer.expected.is_empty(), "{:?}", peer.expected);
                let is_answered = own.connection.state() != State::Open
                    || peer.connection.state() != State::Open
                    || own.last_ping.is_none()
                    || own.last_ping == own.last_pong;
                assert!(is_answered, "{:?}, {:?}", own.last_ping, own.last_pong);
            }
        }
    }
}
