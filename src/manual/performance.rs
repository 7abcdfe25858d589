//! What a message, a connection and an idle connection cost, how that is measured, and what was
//! tried.
//!
//! # Method
//!
//! `benches/peers` in the repository runs every server of a row one after the other, over and over, on
//! one core, with the load on the other, and compares every answer byte for byte before it measures
//! anything. What is told is CPU time of the
//! server's process for a message, because time on the wall drifts with whatever else the machine
//! does. A *floor* is written by hand and does the least there is to do: plain TCP echoes on epoll and
//! on tokio, and WebSocket echoes on both that check nothing. The *limit* of a row is its best floor
//! in the same repetition; a figure is the median of the ratios to it.
//!
//! In process there is no kernel, and the best of the repetitions counts. Instructions are counted by
//! callgrind for the rows that matter most, and CI fails where one takes more than its budget.
//!
//! All figures here are of one run of `peers all --reps 5` on a quiet machine: AMD EPYC (Zen 5), two
//! virtual CPUs, Linux 6.18, rustc 1.95, November 2026. `framewright` stands for the core without an
//! adapter.
//!
//! # Over loopback
//!
//! CPU time of the server for an echo, as a multiple of the limit; the others as their documentation
//! shows them.
//!
//! | connections × in flight × bytes | limit | framewright on tokio | core on epoll | best other |
//! |---|---:|---:|---:|---|
//! | 32 × 1 × 16 | 4.79 µs | 1.13 | 1.11 | sockudo-ws 1.11 |
//! | 32 × 1 × 1 KiB | 4.95 µs | 1.12 | 1.09 | fastwebsockets 1.11 |
//! | 256 × 1 × 16 | 4.93 µs | 1.11 | 1.09 | fastwebsockets 1.11 |
//! | 32 × 64 × 16 | 77 ns | 1.30 | 1.27 | fastwebsockets 62 |
//! | 32 × 64 × 125 | 85 ns | 1.33 | 1.42 | fastwebsockets 58 |
//! | 32 × 64 × 1 KiB | 259 ns | 1.26 | 1.22 | tungstenite 21 |
//! | 32 × 64 × 16 KiB | 5.79 µs | 0.84 | 0.93 | tokio-tungstenite 1.40 |
//! | 1 × 1 × 16 MiB | 5.58 ms | 1.27, `recv` and `send` 1.18 | 1.37 | fastwebsockets 1.19 |
//!
//! The repetitions of a row spread by 10 to 60 % of its median, so of the rows with one message in
//! flight none is decided. The factor of fifty in the rows with 64 is not noise: one write a message
//! against one a burst.
//!
//! | | limit | framewright | best other |
//! |---|---:|---:|---|
//! | broadcast to 1,000, one in flight, a delivery | 3.81 µs | 1.19 | fastwebsockets 1.13 |
//! | broadcast to 1,000, eight in flight | 493 ns | core on epoll 1.15, tokio 1.39 | yawc 1.41 |
//! | connect, upgrade, close | 30.5 µs | 1.32 | tokio-websockets 1.22 |
//! | memory of an idle connection | 1,023 B, a TCP echo on tokio | 1,504 B, core on an event loop 269 B | tokio-websockets 7,161 B |
//!
//! # In process
//!
//! | nanoseconds | floor | framewright | on tokio, lent | best other |
//! |---|---:|---:|---:|---|
//! | decode, 16 B | 7.5 | 6.5 | 11.2 | tungstenite 35.6 |
//! | decode, 1 KiB | 19.9 | 23.8 | 28.7 | tokio-websockets 55.7 |
//! | decode, 16 KiB | 255 | 330 | 299 | tokio-websockets 267 |
//! | decode, 1 MiB | 24.6 µs | 34.3 µs | 30.0 µs | tokio-websockets 24.8 µs |
//! | decode text, 16 B | 9.5 | 13.2 | 19.1 | tungstenite 43.1 |
//! | decode text, 16 KiB | 412 | 431 | 422 | tokio-websockets 408 |
//! | encode, 16 B, 64 a flush | 4.3 | 3.8 | 35.6 (`feed`) | fastwebsockets 16.2 |
//! | encode, 16 B, one write each | 5.3 | 8.4 | 41.7 (`send`) | fastwebsockets 16.6 |
//! | encode as a client, 16 B | 4.9 | 9.1 | 34.2 | sockudo-ws 27.9 |
//! | encode as a client, 16 KiB | 117 | 115 | 140 | yawc 164 |
//! | mask in place, 16 B | 2.0 | 1.2 | | yawc 2.1 |
//! | mask in place, 16 KiB | 69.3 | 65.4 | | sockudo-ws 66.2 |
//! | handshake of a server | 146 | 407 | 826 | sockudo-ws 456 |
//!
//! # Where others are ahead, and why
//!
//! - *Decode of 16 KiB and more*, tokio-websockets: it makes room for the whole message when it sees
//!   the header. Here memory follows the bytes that came, whatever a header claims, so a buffer grows
//!   a few times; and a read brings at most 64 KiB, so a message in four is moved to the front. A
//!   window of 128 KiB takes 16 KiB from 1.29 to 1.08 times the floor, and twice the memory of every
//!   connection that is busy on a thread of its own: it was not taken.
//! - *One write a message on tokio*, fastwebsockets: it queues nothing, and so has no queue to manage;
//!   its payload is borrowed where `send` takes a message of its own. The core without an adapter is
//!   ahead of it, except where 16 KiB are lent.
//! - *Connect, upgrade and close*, tokio-websockets and fastwebsockets: a server waits here until the
//!   client has closed too, under a deadline, so that the Close is not lost in a reset. That is a read
//!   and a timer more.
//!
//! uWebSockets is not in the harness. Measured once beside it, in another run, it took 1.25 and 1.36
//! times the limit for 16 and 125 bytes with 64 in flight.
//!
//! # What each choice bought
//!
//! | choice | before | after |
//! |---|---:|---:|
//! | replies gathered in an outbox, one write a burst (32 × 64 × 16 B, to the limit) | 63 | 1.30 |
//! | a message that is whole in the window takes a way of its own (decode 16 B, instructions) | 452 | 279 |
//! | its header is read once, its event is located without a message under assembly | 254 | 158 |
//! | the same, and text validated with vectors (decode text 16 B, instructions) | 376 | 165 |
//! | a header is put together in a register (encode 16 B, instructions) | 178 | 117 |
//! | what an extension may encode is a function of its own (the same, in another rig) | 108 | 74 |
//! | masks with AVX-512, chosen at run time (16 KiB in place, ns) | 190 | 62 |
//! | the head of a handshake walked once, one allocation (instructions) | 36,104 | 10,328 |
//! | the rest of a burst is found without polling (echo on tokio, instructions) | 718 | 356 |
//! | a long payload that is passed on is shared, not copied (echo 16 MiB, to the limit, two runs) | 3.20 | 1.11 |
//! | tokio reads into memory that nobody zeroed (decode 1 MiB, to the floor) | 1.41 | 1.17 |
//! | an output of 64 KiB and a message is kept (1 KiB, 64 a flush, to the floor) | 1.95 | 0.95 |
//! | `feed` reads no clock and is one future deep (16 B, ns) | 72 | 36 |
//!
//! # What was tried and dropped
//!
//! - *A kernel for NEON by hand.* The compiler makes of the portable words what one would write; that
//!   was read in the code for aarch64, and never run.
//! - *Blocks of 8 and 16 KiB* for validating while unmasking: 32 KiB, half of the nearest cache, won.
//! - *Headers stored byte by byte* into an array: the load of the whole right after holds the
//!   processor up, which cost more than the instructions it saved.
//! - *More functions kept from being inlined*, to save registers on the short way: those that are left
//!   each pay; the rest cost calls.
//! - *Not polling the timer* where its waker is known: it takes the clock instead, which costs as much.
//! - *A queue of events* and *owned buffers that are split*: four and two times the time of a lent
//!   event for an echo of 32 bytes, measured before the first line of this crate.
//! - *A window of 128 KiB*: above.
