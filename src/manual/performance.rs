//! What a message, a connection and an idle connection cost, how that is measured, and what was
//! tried.
//!
//! # Method
//!
//! `benches/peers` in the repository runs every server of a row one after the other, over and over,
//! on one core, with the load on the other, and compares every answer byte for byte before it
//! measures anything. What is told is CPU time of the server's process for a message, because time
//! on the wall drifts with whatever else the machine does. A *floor* is written by hand and does
//! the least there is to do: plain TCP echoes on epoll and on tokio, and WebSocket echoes on both
//! that check nothing. The *limit* of a row is its best floor in the same repetition; a figure is
//! the median of the ratios to it.
//!
//! In process there is no kernel, and the best of the repetitions counts. Instructions are counted
//! by callgrind for the rows that matter most, and CI fails where one takes more than its budget.
//!
//! All figures here are of one run of `peers all --reps 5` on a quiet machine: AMD EPYC (Zen 5),
//! two virtual CPUs, Linux 6.18, rustc 1.95, November 2026; those that changed since are of a later
//! run on the same machine, and said to be. `framewright` stands for the core without an adapter.
//!
//! # Over loopback
//!
//! CPU time of the server for an echo, as a multiple of the limit; the others as their
//! documentation shows them.
//!
//! | connections × in flight × bytes | limit | framewright on tokio | core on epoll | uWebSockets | best other |
//! |---|---:|---:|---:|---:|---|
//! | 32 × 1 × 16 | 4.82 µs | 1.08 | 1.08 | 1.02 | fastwebsockets 1.07 |
//! | 32 × 1 × 1 KiB | 4.96 µs | 1.09 | 1.12 | 1.07 | yawc 1.12 |
//! | 256 × 1 × 16 | 4.98 µs | 1.06 | 1.07 | 1.07 | fastwebsockets 1.08 |
//! | 32 × 64 × 16 | 79 ns | 1.33 | 1.30 | 1.26 | fastwebsockets 61 |
//! | 32 × 64 × 125 | 83 ns | 1.33 | 1.28 | 1.37 | fastwebsockets 59 |
//! | 32 × 64 × 1 KiB | 223 ns | 1.32 | 1.33 | 2.04 | tungstenite 24 |
//! | 32 × 64 × 16 KiB | 5.46 µs | 1.03 | 1.04 | 1.28 | tokio-tungstenite 1.35 |
//! | 1 × 1 × 16 MiB | 4.94 ms | 1.37, `recv` and `send` 1.32 | 1.27 | 1.32 | tokio-websockets 1.37 |
//!
//! The repetitions of a row spread by 5 to 60 % of its median, so of the rows with one message in
//! flight none is decided, nor what lies between framewright and uWebSockets at 16 and 125 bytes.
//! The factor of fifty in the rows with 64 is not noise: one write a message against one a burst.
//!
//! Since that run the event loop asks a socket once for a burst, and not twice. A later one of five
//! repetitions:
//!
//! | connections × in flight × bytes | limit | framewright on tokio | core on epoll | uWebSockets |
//! |---|---:|---:|---:|---:|
//! | 32 × 1 × 16 | 5.05 µs | 1.13 | 1.04 | 1.05 |
//! | 32 × 1 × 1 KiB | 5.13 µs | 1.11 | 1.03 | 1.03 |
//! | 256 × 1 × 16 | 5.10 µs | 1.12 | 1.04 | 1.06 |
//! | 32 × 64 × 16 | 80 ns | 1.36 | 1.28 | 1.29 |
//! | 32 × 64 × 125 | 88 ns | 1.34 | 1.18 | 1.36 |
//!
//! | | limit | framewright | uWebSockets | best other |
//! |---|---:|---:|---:|---|
//! | broadcast to 1,000, one in flight, a delivery | 4.32 µs | core on epoll 1.07, tokio 1.27 | 1.03 | fastwebsockets 1.19 |
//! | broadcast to 1,000, eight in flight | 581 ns | core on epoll 1.01, tokio 1.33 | 1.01 | sockudo-ws 1.55 |
//! | connect, upgrade, close | 35.4 µs | core on epoll 1.34, tokio 1.32 | 1.09 | tokio-websockets 1.18 |
//! | memory of an idle connection | 1,023 B, a TCP echo on tokio | core on an event loop 269 B, tokio 1,474 B | 257 B | tokio-websockets 7,182 B |
//!
//! # In process
//!
//! | nanoseconds | floor | framewright | on tokio, lent | best other |
//! |---|---:|---:|---:|---|
//! | decode, 16 B | 7.8 | 6.7 | 11.4 | tungstenite 36.2 |
//! | decode, 1 KiB | 20.0 | 24.3 | 29.4 | tokio-websockets 58.5 |
//! | decode, 16 KiB (later) | 287 | 296 | 310 | tokio-websockets 298 |
//! | decode, 1 MiB | 25.8 µs | 35.1 µs | 31.2 µs | tokio-websockets 25.9 µs |
//! | decode text, 16 B | 9.9 | 7.1 | 11.5 | tungstenite 47.2 |
//! | decode text, 1 KiB | 26.4 | 25.0 | 30.2 | tokio-websockets 72.2 |
//! | decode text, 16 KiB (later) | 430 | 315 | 341 | tokio-websockets 414 |
//! | decode text, 1 MiB | 35.3 µs | 36.4 µs | 31.9 µs | tokio-websockets 32.2 µs |
//! | encode, 16 B, 64 a flush | 4.4 | 4.2 | 33.0 (`feed`) | fastwebsockets 16.8 |
//! | encode, 16 B, one write each | 5.6 | 8.2 | 42.1 (`send`) | fastwebsockets 16.6 |
//! | encode as a client, 16 B | 4.9 | 9.5 | 36.3 | sockudo-ws 28.8 |
//! | encode as a client, 16 KiB | 130 | 127 | 142 | yawc 171 |
//! | mask in place, 16 B | 2.0 | 1.4 | | yawc 2.3 |
//! | mask in place, 16 KiB | 72.2 | 68.1 | | sockudo-ws 71.1 |
//! | handshake of a server, the lines that there must be (later) | 160 | 439 | 806 | sockudo-ws 496 |
//! | handshake of a server, a browser's request (later) | 271 | 663 | 1,500 | soketto 692 |
//!
//! # On another machine
//!
//! One run of `peers all --reps 5` with what has changed since the first, on two virtual CPUs of an
//! Intel Xeon (Sapphire Rapids), where memory is copied with 186 GB/s within the first cache and
//! with 41 within the second, and waking the other CPU is a matter for the hypervisor. Multiples of
//! the limit, and of the floor in process:
//!
//! | | limit or floor | framewright on tokio | core | uWebSockets | best other |
//! |---|---:|---:|---:|---:|---|
//! | 32 × 1 × 16 B | 3.74 µs | 1.08 | 1.02 | 1.03 | fastwebsockets 1.07 |
//! | 32 × 1 × 1 KiB | 3.84 µs | 1.11 | 1.05 | 1.07 | fastwebsockets 1.07 |
//! | 256 × 1 × 16 B | 3.76 µs | 1.13 | 1.00 | 1.01 | fastwebsockets 1.08 |
//! | 32 × 64 × 16 B | 61 ns | 1.40 | 1.25 | 1.48 | tungstenite 56 |
//! | 32 × 64 × 125 B | 71 ns | 1.45 | 1.33 | 1.50 | tungstenite 46 |
//! | 32 × 64 × 1 KiB | 227 ns | 1.48 | 1.72 | 1.95 | tungstenite 16 |
//! | 32 × 64 × 16 KiB | 6.74 µs | 0.94 | 1.47 | 0.94 | sockudo-ws 1.15 |
//! | 1 × 1 × 16 MiB | 12.8 ms | 0.81, `recv` and `send` 0.71 | 0.77 | 0.82 | tokio-websockets 0.65 |
//! | broadcast to 1,000, one in flight | 3.02 µs | 1.30, `send_batch` 1.06 | 1.11 | 0.98 | yawc 1.26 |
//! | broadcast to 1,000, eight in flight | 384 ns | 1.39, `send_batch` 1.09 | 1.03 | 1.07 | tokio-websockets 1.92 |
//! | connect, upgrade, close (later) | 21.8 µs | 1.38 | 1.22 | 1.24 | tokio-websockets 1.25 |
//! | memory of an idle connection | 1,023 B | 1,429 B | 269 B | 256 B | tokio-websockets 7,155 B |
//! | decode, 16 B (later) | 10.9 ns | lent 1.20 | 0.76 | | tungstenite 4.87 |
//! | decode, 1 KiB (later) | 54.9 ns | lent 1.12 | 1.03 | | tokio-websockets 1.37 |
//! | decode, 16 KiB | 885 ns | lent 0.98, given away 0.64 | 0.96 | | tokio-websockets 0.39 |
//! | decode, 1 MiB | 64.4 µs | lent 1.17 | 1.38 | | fastwebsockets 0.93 |
//! | encode, 16 B, 64 a flush | 6.5 ns | `feed` 5.60 | 0.53 | | fastwebsockets 3.87 |
//! | encode as a client, 16 B (later) | 7.2 ns | `feed` 5.66 | 1.31 | | sockudo-ws 5.17 |
//! | encode as a client, 16 KiB | 353 ns | 1.08 | 0.99 | | tokio-websockets 0.89 |
//! | handshake of a server, the lines that there must be (later) | 235 ns | 3.32 | 1.86 | | soketto 2.77 |
//! | handshake of a server, a browser's request (later) | 469 ns | 2.81 | 1.40 | | soketto 1.85 |
//!
//! Repetitions of these servers spread by 4 to 51 % of the median, and the core at 1 KiB by 84 %.
//! With 64 in flight the batches are settled between a server and the load: who is quick finds less
//! in each read, and whoever is slower than the load pays for waking it with each batch. At 1 KiB
//! the first befell both WebSocket floors (3.04 and 4.95), and the core in some repetitions; at 16
//! B the second is a good part of what lies between the floor on tokio (1.23) and framewright on
//! it. In runs in turn of that row alone, tokio took 1.38 to 1.44 of the limit, the core 1.23 to
//! 1.31, uWebSockets 1.34 to 1.52.
//!
//! # Where others are ahead, and why
//!
//! - *Decode of 1 MiB*, tokio-websockets and fastwebsockets: they make room for the whole message
//!   when they see the header. Here memory follows the bytes that came, whatever a header claims,
//!   so a buffer grows a few times.
//! - *Decode of 16 KiB*, tokio-websockets, where the second cache is slow: it reads a message at a
//!   time into memory that stays in the first. Here a read brings up to 64 KiB, because over a
//!   socket fewer reads and writes are worth more; see below.
//! - *Encoding 16 KiB as a client*, tokio-websockets, on the same machine: by its code it writes
//!   whenever 8 KiB wait, so that a message leaves before the next is masked, and stays in the
//!   first cache. Here 64 KiB wait, for the reason just given. That this is all was not measured.
//! - *One write a message of 16 KiB*, fastwebsockets: it queues nothing, and so has no queue to
//!   manage; its payload is borrowed where a message that is shared here is counted.
//! - *Connect, upgrade and close*, uWebSockets, tokio-websockets and fastwebsockets: a server waits
//!   here until the client has closed too, under a deadline, so that the Close is not lost in a
//!   reset. That is a read and a timer more. An event loop has no timer to make, and is level with
//!   uWebSockets since its sockets are shut down once.
//! - *Broadcasts on tokio*, uWebSockets: whoever sends writes to all, on one thread that owns them.
//!   With [`Broadcast::send`](crate::tokio::Broadcast::send) each connection belongs to a task, and
//!   a thousand tasks are woken for a thousand writes.
//!   [`send_batch`](crate::tokio::Broadcast::send_batch) does what uWebSockets does. In a later run
//!   of seven repetitions, the machine less quiet, it took 1.15 of the limit with one in flight and
//!   1.27 with eight, uWebSockets 1.23 and 1.27, and `send` 1.82 and 1.66.
//! - *Short messages one at a time*, uWebSockets, if the row shows anything: it sweeps the timeouts
//!   of all its connections every few seconds, where each has a timer and a task on tokio.
//!
//! # What each choice bought
//!
//! | choice | before | after |
//! |---|---:|---:|
//! | replies gathered in an outbox, one write a burst (32 × 64 × 16 B, to the limit) | 63 | 1.30 |
//! | a message that is whole in the window takes a way of its own (decode 16 B, instructions) | 452 | 279 |
//! | its header is read once, its event is located without a message under assembly | 254 | 158 |
//! | the same, and text validated with vectors (decode text 16 B, instructions) | 376 | 165 |
//! | whoever unmasks a text sees whether it is ASCII (decode text, to the floor: 16 B / 1 KiB / 16 KiB) | 1.39 / 1.26 / 1.22 | 0.71 / 0.93 / 0.91 |
//! | an output begins with 512 bytes, a reader is woken once (broadcast of eight on tokio, instructions a receiver) | 3,408 | 2,354 |
//! | whoever sends a batch writes it to all (the same) | 2,484 | 1,438 |
//! | the beginning of a long message is unmasked as it is moved (decode 16 KiB, to the floor) | 1.27 | 1.03 |
//! | whole lines of a request are skipped in one step (handshake, instructions) | 10,043 | 9,434 |
//! | hosts, targets and origins are judged as bytes (handshake, to the floor; a browser's) | 2.41; 2.00 | 2.33; 1.92 |
//! | a head that came whole is parsed at once, a key is hashed in one piece, the index of a head is boxed (the same, three runs each) | 2.24, 2.34, 2.24; 1.69, 1.74, 1.68 | 2.05, 2.15, 2.06; 1.65, 1.70, 1.65 |
//! | how lines end is judged by plain pairs, the accept key is encoded in its place (the same, to soketto, three runs each) | 0.73, 0.73, 0.72; 0.79, 0.79, 0.80 | 0.69, 0.70, 0.69; 0.78, 0.78, 0.78 |
//! | an opening handshake borrows its buffers (on tokio, to the floor; bytes held while it waits for the first) | 4.43; 6,536 | 4.00; 2,136 |
//! | a burst that a read cuts short is answered after the next one (32 × 64 × 1 KiB on tokio, to the limit, medians of five runs in turn) | 1.51 | 1.45 |
//! | a header is put together in a register (encode 16 B, instructions) | 178 | 117 |
//! | a message is found at once by less: limits put together before, a plain header loaded in one (32 × 64 × 16 B, to the limit, medians of three runs in turn: on tokio, core; instructions on tokio) | 1.51, 1.31; 289 | 1.40, 1.23; 245 |
//! | the same, and what finds it is one function (decode 16 B, to the floor: binary, text) | 1.00, 0.65 | 0.77, 0.52 |
//! | what receiving came to is a word, not a byte (decode 16 B, lent on tokio, to the floor) | 1.41 | 1.20 |
//! | a short frame is appended without a call (encode 16 B, instructions; to the floor) | 108; 1.01 | 62; 0.72 |
//! | so is a client's (encode as a client, 16 B, to the floor, three runs in turn; instructions) | 1.67, 1.71, 1.72; 159 | 1.35, 1.36, 1.31; 132 |
//! | a buffer quadruples up to a mebibyte, reads of 32 KiB into it (decode 1 MiB, to the floor: core, lent on tokio) | 1.87, 1.61 | 1.37, 1.17 |
//! | what an extension may encode is a function of its own (the same, in another rig) | 108 | 74 |
//! | masks with AVX-512, chosen at run time (16 KiB in place, ns) | 190 | 62 |
//! | keys are spread by one instruction, as VL has it; long payloads are asked for before middling ones (64 B; 1 KiB, ns) | 3.67; 8.94 | 3.34; 8.25 |
//! | the head of a handshake walked once, one allocation (instructions) | 36,104 | 10,328 |
//! | the rest of a burst is found without polling (echo on tokio, instructions) | 718 | 356 |
//! | a long payload that is passed on is shared, not copied (echo 16 MiB, to the limit, two runs) | 3.20 | 1.11 |
//! | a read that does not fill its room is the last of a wake (core on epoll, 32 × 1 × 16 B, to the limit, two runs each in turn) | 1.08, 1.12 | 1.02, 1.06 |
//! | an event loop shuts a socket down once (connect, upgrade, close, to the limit, two runs each in turn) | 1.43, 1.34 | 1.23, 1.20 |
//! | tokio reads into memory that nobody zeroed (decode 1 MiB, to the floor) | 1.41 | 1.17 |
//! | an output of 64 KiB and a message is kept (1 KiB, 64 a flush, to the floor) | 1.95 | 0.95 |
//! | `feed` reads no clock and is one future deep (16 B, ns) | 72 | 36 |
//!
//! # What was tried and dropped
//!
//! - *A kernel for NEON by hand.* The compiler makes of the portable words what one would write: 64
//!   bytes in two paired loads, four exclusive ors and two paired stores. That was read in the code
//!   for aarch64, whose tests run under emulation, which has no times.
//! - *Blocks of 8 and 16 KiB* for validating while unmasking: 32 KiB, half of the nearest cache,
//!   won.
//! - *Headers stored byte by byte* into an array: the load of the whole right after holds the
//!   processor up, which cost more than the instructions it saved.
//! - *More functions kept from being inlined*, to save registers on the short way: those that are
//!   left each pay; the rest cost calls.
//! - *Not polling the timer* where its waker is known: it takes the clock instead, which costs as
//!   much. Where tokio's timer says itself that it waits, it takes no clock, and 0.7 % of a wake
//!   less, which no ratio showed: too little for a rule that no task may be forgotten by.
//! - *A server's frame written where `send_binary` stands*: 11 instructions more for an echo of 16
//!   B, because what became of its event was then looked at twice.
//! - *A load that never sleeps*, so that no server pays for waking it: 32 × 64 × 16 B took 1.33 to
//!   1.39 of the limit on tokio, and uWebSockets 1.40 to 1.46, which is the same order. Loads
//!   sleep, so it does.
//! - *A queue of events* and *owned buffers that are split*: four and two times the time of a lent
//!   event for an echo of 32 bytes, measured before the first line of this crate.
//! - *A window of 65 to 128 KiB* in place of 64: decoding 16 KiB takes the same, within 2 %. What
//!   seemed to be gained at first was where the memory happened to lie. Over sockets 64 × 1 KiB are
//!   512 bytes more than 64 KiB, and yet took the same: 1.50 and 1.39 of the limit with 80 KiB,
//!   1.43 and 1.45 with 128, and 1.44 and 1.46 with 64, in turn.
//! - *Windows of 16 and 32 KiB*, which stay in the nearest cache: in process, on the machine whose
//!   second cache is slow, 0.67 and 0.90 of the floor for 1 KiB where 64 KiB take 1.03; over
//!   sockets 2.6 and 1.9 of the limit with 64 × 1 KiB in flight where 64 KiB take 1.5.
//! - *A window that stays at 4 KiB while long payloads are read into their messages*: in process
//!   0.55 of the floor for 16 KiB in place of 0.94, and on tokio over sockets 2.1 of the limit in
//!   place of 0.9.
//! - *Short masks where the call stands, by force*: 4 instructions of 130, and a copy of the masker
//!   in whoever masks. The one that looks for ASCII has one caller on the short way, and stands
//!   there: 10 of 161.
//! - *A head in blocks of sixteen bytes, CR and LF among them*: 145 ns for the lines that there
//!   must be, where runs of printable bytes take 44. Each block waits for what the one before
//!   found.
//! - *The answer to a key kept until it is written*: 14 to 18 ns of 400, because an array that was
//!   just written byte by byte is moved. It is made where it is written.
//! - *Hosts in blocks*, as printable bytes are, and *a head whole in one box*: the one takes fewer
//!   instructions, the other smaller moves, and each took 10 to 20 ns more. Where code happens to
//!   stand decides as much: a handshake took 441 and 457 ns in two builds of the same crate, and
//!   the floor, which has nothing of it, 221 to 239 in five.
//! - *A digest of blocks that are padded by hand*: 8 ns of 400, for a part of SHA-1 of our own.
//! - *The vectors of httparse*: values are short, and a browser's request takes a tenth longer than
//!   with its words. Where hyper is built in too, as in `benches/peers`, they are there all the
//!   same.
//! - *One masking kernel that always looks for ASCII*: a tenth more for 1 KiB that is binary. There
//!   are two.
