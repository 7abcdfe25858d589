//! The input buffer: where reads land, what is lent, and messages in chunks.
//!
//! Not a section of the RFC but the contract of `RecvBuffer`, and of `Delivery::Chunks`.

mod support;

use framewright::{
    Config, Connection, Delivery, Event, Message, MessageKind, ProtocolError, RecvBuffer, Role,
    SendBuffer,
};
use support::*;

/// Something that is done to a buffer.
type Touch<'a> = &'a dyn Fn(&mut RecvBuffer);

/// Reads `bytes` as a socket does: as many as there is room for. Returns how many.
fn read(input: &mut RecvBuffer, bytes: &[u8]) -> usize {
    let spare = input.spare_mut();
    let len = spare.len().min(bytes.len());
    spare[..len].copy_from_slice(&bytes[..len]);
    input.commit(len);
    len
}

/// Frames of every sort: short and long, whole and fragmented, with control frames between, and
/// characters that are cut by the end of a frame.
fn every_sort_of_frame() -> Vec<RawFrame> {
    vec![
        frame(TEXT, "short"),
        frame(PING, "p"),
        frame(BINARY, [1; 200]),
        fragment(TEXT, b"fragments \xe2"),
        frame(PING, ""),
        fragment(CONTINUATION, b"\x82\xac"),
        fragment(CONTINUATION, ""),
        frame(PONG, "q"),
        frame(CONTINUATION, " joined"),
        frame(TEXT, "\u{20ac}".repeat(400)),
        frame(BINARY, ""),
        frame(CLOSE, close_payload(1000, b"end")),
    ]
}

/// A long message alone and a long one in fragments, which go where reads land.
fn long_frames() -> Vec<RawFrame> {
    vec![
        frame(TEXT, "\u{20ac}".repeat(10_000)),
        frame(PING, "p"),
        fragment(BINARY, vec![2; 20_000]),
        frame(CONTINUATION, vec![3; 9_000]),
        frame(TEXT, "short"),
    ]
}

fn open(role: Role) -> (Connection, SendBuffer) {
    let Endpoint {
        connection, output, ..
    } = Endpoint::new(role);
    (connection, output)
}

#[test]
fn there_is_always_room_for_a_read() {
    let mut input = RecvBuffer::new();
    // Nobody consumes, so the window grows with what came: each time by as much as it was.
    for _ in 0..8 {
        let room = input.spare_mut().len();
        assert!(room > 0);
        input.commit(room);
    }
    let windows = [Vec::new(), vec![0], vec![0; 3], Vec::with_capacity(100)];
    for window in windows {
        input = RecvBuffer::new();
        input.lend(window.clone());
        assert!(!input.spare_mut().is_empty());
        input.extend(b"abc");
        // A window that is too small for what waits, or exactly as long.
        input.lend(window);
        assert_eq!(input.unread(), b"abc");
        assert!(!input.spare_mut().is_empty());
        assert_eq!(input.unread(), b"abc");
        input.park();
        assert!(!input.spare_mut().is_empty());
        assert_eq!(input.unread(), b"abc");
    }
}

#[test]
fn there_is_always_room_at_every_point_of_a_stream() {
    for role in ROLES {
        let frames = [every_sort_of_frame(), long_frames()].concat();
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let config = config(|config| config.delivery = delivery);
            let mut connection = Connection::new(role, config.into());
            let mut output = SendBuffer::new();
            let mut input = RecvBuffer::new();
            let bytes = sent_by(peer_of(role), &frames);
            // Behind the Close, and behind errors, too.
            let bytes = [bytes, vec![0; 100]].concat();
            for chunk in bytes.chunks(101) {
                assert!(!input.spare_mut().is_empty());
                input.extend(chunk);
                assert!(!input.spare_mut().is_empty());
                while connection.advance(&mut input, &mut output) == Ok(true) {}
            }
        }
    }
}

#[test]
fn an_idle_buffer_can_be_exchanged_for_any_other() {
    for role in ROLES {
        let frames = [every_sort_of_frame(), long_frames()].concat();
        // What follows the Close is not looked at, so the Close comes last.
        let (close, rest): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| frame.opcode == CLOSE);
        let bytes = sent_by(peer_of(role), &[rest, close].concat());
        for delivery in [Delivery::Messages, Delivery::Chunks] {
            let config = config(|config| config.delivery = delivery);
            let events = |exchange: &dyn Fn(&mut RecvBuffer) -> bool| {
                let mut connection = Connection::new(role, config.clone().into());
                let (mut input, mut output) = (RecvBuffer::new(), SendBuffer::new());
                let (mut events, mut exchanges) = (Vec::new(), 0);
                for byte in &bytes {
                    input.extend(&[*byte]);
                    assert!(!input.is_idle(), "a byte waits");
                    while connection.advance(&mut input, &mut output) == Ok(true) {
                        assert!(!input.is_idle(), "an event is lent");
                        events.push(format!("{:?}", input.event()));
                    }
                    exchanges += usize::from(exchange(&mut input));
                }
                (events, exchanges)
            };
            let (events_kept, _) = events(&|_| false);
            let (events_exchanged, exchanges) = events(&|input| {
                let is_idle = input.is_idle();
                if is_idle {
                    *input = RecvBuffer::new();
                }
                is_idle
            });
            assert!(exchanges >= 5, "it is idle between messages: {exchanges}");
            assert_eq!(events_exchanged, events_kept);
        }
    }
}

#[test]
fn more_than_there_was_room_for_counts_as_all_of_it() {
    let mut input = RecvBuffer::new();
    let room = input.spare_mut().len();
    input.commit(usize::MAX);
    assert_eq!(input.unread().len(), room);

    // Also where the read lands in the message itself.
    for role in ROLES {
        let data: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
        let bytes = frame(BINARY, &data).sent_by(peer_of(role)).bytes();
        let (mut connection, mut output) = open(role);
        let mut input = RecvBuffer::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let spare = input.spare_mut();
            let len = spare.len().min(rest.len());
            spare[..len].copy_from_slice(&rest[..len]);
            let whole = len == spare.len();
            input.commit(if whole { usize::MAX } else { len });
            rest = &rest[len..];
            let found = connection.advance(&mut input, &mut output);
            assert_eq!(found, Ok(rest.is_empty()));
        }
        assert!(input.event() == Some(Event::Binary(&data)));
    }
}

#[test]
fn a_commit_without_a_place_for_it_is_nothing() {
    let mut input = RecvBuffer::new();
    input.commit(5);
    assert_eq!(input.unread(), b"");
    input.extend(b"abc");
    input.commit(5);
    assert_eq!(input.unread(), b"abc");
    // The place was given up in between.
    input.spare_mut();
    input.lend(vec![0; 100]);
    input.commit(5);
    assert_eq!(input.unread(), b"abc");
    input.spare_mut();
    input.park();
    input.commit(5);
    assert_eq!(input.unread(), b"abc");
    // One place, one commit.
    input.spare_mut()[..2].copy_from_slice(b"de");
    input.commit(2);
    input.commit(2);
    assert_eq!(input.unread(), b"abcde");
}

#[test]
fn a_read_that_landed_in_a_message_is_committed_once() {
    for role in ROLES {
        let bytes = frame(BINARY, vec![5; 50_000])
            .sent_by(peer_of(role))
            .bytes();
        let (mut connection, mut output) = open(role);
        let mut input = RecvBuffer::new();
        input.extend(&bytes[..100]);
        assert_eq!(connection.advance(&mut input, &mut output), Ok(false));
        let mut rest = &bytes[100..];
        for advances in [true, false, false].into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            // A place that is asked for twice is the same place.
            input.spare_mut();
            let len = read(&mut input, &rest[..rest.len().min(10_000)]);
            input.commit(10_000);
            // Between two reads the receiver need not look.
            if advances {
                assert_eq!(connection.advance(&mut input, &mut output), Ok(false));
            }
            rest = &rest[len..];
        }
        assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
        assert!(input.event() == Some(Event::Binary(&[5; 50_000])));
    }
}

#[test]
fn reads_without_an_advance_between_them_lose_nothing() {
    for role in ROLES {
        for frames in [every_sort_of_frame(), long_frames()] {
            let bytes = sent_by(peer_of(role), &frames);
            let expected = run(
                role,
                &Config::default(),
                &bytes,
                usize::MAX,
                Drain::AfterEachCall,
            );
            for reads in [1, 2, 5, 1000] {
                let mut endpoint = Endpoint::new(role);
                for (index, chunk) in bytes.chunks(97).enumerate() {
                    let mut rest = chunk;
                    while !rest.is_empty() {
                        let len = read(&mut endpoint.input, rest);
                        rest = &rest[len..];
                    }
                    if index % reads == 0 {
                        endpoint.handle_input();
                    }
                }
                endpoint.handle_input();
                assert!(endpoint.received == expected.received, "{reads} reads");
                assert_eq!(endpoint.written, expected.output);
            }
        }
    }
}

#[test]
fn a_window_may_be_lent_and_parked_at_every_point_of_a_stream() {
    let between: [(&str, Touch); 6] = [
        ("park", &|input| drop(input.park())),
        ("lend", &|input| input.lend(vec![0xee; 4096])),
        ("lend nothing", &|input| input.lend(Vec::new())),
        ("lend too little", &|input| input.lend(vec![0xee; 3])),
        ("lend and park", &|input| {
            input.lend(vec![0xee; 64]);
            input.park();
        }),
        ("park and lend", &|input| {
            let window = input.park();
            input.lend(window.unwrap_or_default());
        }),
    ];
    for role in ROLES {
        let runs = [
            (every_sort_of_frame(), vec![1, 2, 7, 150]),
            (long_frames(), vec![311, 5000]),
        ];
        for (frames, chunk_lens) in runs {
            let bytes = sent_by(peer_of(role), &frames);
            for delivery in [Delivery::Messages, Delivery::Chunks] {
                let config = config(|config| config.delivery = delivery);
                for &chunk_len in &chunk_lens {
                    let drain = Drain::AfterEachCall;
                    let plain = run(role, &config, &bytes, chunk_len, drain);
                    for (name, between) in between {
                        let mut endpoint = Endpoint::with_config(role, config.clone());
                        for chunk in bytes.chunks(chunk_len) {
                            endpoint.receive_in_chunks(chunk, chunk_len);
                            between(&mut endpoint.input);
                            // Before there is anything to find, and so without an effect.
                            endpoint.handle_input();
                        }
                        assert_eq!(endpoint.error, plain.error);
                        assert!(
                            joined(&endpoint.received) == joined(&plain.received),
                            "{role:?}, {delivery:?}, {name} after each {chunk_len} bytes"
                        );
                        assert_eq!(endpoint.written, plain.output);
                    }
                }
            }
        }
    }
}

#[test]
fn park_gives_the_window_back_and_keeps_what_waits() {
    let mut input = RecvBuffer::new();
    assert_eq!(input.park(), None, "a new buffer owns no window");
    input.lend(vec![0; 65_536]);
    // Half a header.
    input.extend(b"\x82\x7e\x01");
    let window = input.park().expect("the window that was lent");
    assert_eq!(window.len(), 65_536);
    assert_eq!(input.unread(), b"\x82\x7e\x01");
    // What waits is in an allocation of its own size: there is nothing more to give back.
    assert_eq!(input.park(), None);
    assert_eq!(input.unread(), b"\x82\x7e\x01");
    input.lend(window);
    assert_eq!(input.unread(), b"\x82\x7e\x01");
    assert_eq!(input.spare_mut().len(), 65_536 - 3);
}

#[test]
fn an_idle_buffer_gives_its_window_back_whole() {
    for role in ROLES {
        let (mut connection, mut output) = open(role);
        let mut input = RecvBuffer::new();
        for _ in 0..3 {
            input.lend(vec![0; 65_536]);
            input.extend(&frame(TEXT, "x").sent_by(peer_of(role)).bytes());
            assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
            assert_eq!(connection.advance(&mut input, &mut output), Ok(false));
            assert_eq!(input.unread(), b"");
            assert_eq!(input.park().map(|window| window.len()), Some(65_536));
            assert_eq!(input.park(), None);
        }
    }
}

#[test]
fn a_lent_window_is_what_reads_land_in() {
    let mut input = RecvBuffer::new();
    let window = vec![0; 5000];
    let start = window.as_ptr();
    input.lend(window);
    assert_eq!(input.spare_mut().as_ptr(), start);
    assert_eq!(input.spare_mut().len(), 5000);
    input.extend(b"abc");
    assert_eq!(input.unread().as_ptr(), start);
    let window = input.park().expect("the window");
    assert_eq!(window.as_ptr(), start, "the same, and no copy of it");
}

#[test]
fn a_window_that_reads_fill_grows_up_to_64_kib() {
    let (mut client, mut output) = open(Role::Client);
    let mut input = RecvBuffer::new();
    for (room, next) in [(4096, 16_384), (16_384, 65_536), (65_536, 65_536)] {
        let start = input.spare_mut().as_ptr();
        // A read that leaves room is no reason to grow.
        assert_eq!(read(&mut input, &frame(BINARY, "short").bytes()), 7);
        assert_eq!(client.advance(&mut input, &mut output), Ok(true));
        assert_eq!(input.spare_mut().len(), room);
        assert_eq!(input.spare_mut().as_ptr(), start);

        let bytes = frame(BINARY, vec![7; room - 4]).bytes();
        assert_eq!(read(&mut input, &bytes), room);
        assert_eq!(client.advance(&mut input, &mut output), Ok(true));
        assert_eq!(input.spare_mut().len(), next);
        if next == room {
            assert_eq!(input.spare_mut().as_ptr(), start, "it is the same one");
        }
    }
}

#[test]
fn a_window_of_which_half_waits_does_not_grow() {
    let (mut client, mut output) = open(Role::Client);
    for (unread, spare) in [(4096, 4096), (4095, 32_768 - 4095)] {
        let mut input = RecvBuffer::new();
        input.lend(vec![0; 8192]);
        let consumed = frame(BINARY, vec![1; 8192 - unread - 4]).bytes();
        let waiting = frame(BINARY, vec![2; unread - 4]).bytes();
        let bytes = [&consumed[..], &waiting].concat();
        assert_eq!(read(&mut input, &bytes), 8192);
        assert_eq!(client.advance(&mut input, &mut output), Ok(true));
        assert_eq!(input.spare_mut().len(), spare, "{unread} bytes wait");
        assert!(input.unread() == waiting);
    }
}

#[test]
fn what_waits_moves_to_the_front_once_less_than_half_of_the_window_is_free() {
    let (mut client, mut output) = open(Role::Client);
    for (consumed, unread, spare) in [
        (3000, 500, 4096 - 500),
        (1001, 1048, 4096 - 1048),
        (1000, 1048, 2048),
        (200, 200, 4096 - 400),
    ] {
        let mut input = RecvBuffer::new();
        input.lend(vec![0; 4096]);
        let waiting = frame(BINARY, vec![2; unread - 4]).bytes();
        read(&mut input, &frame(BINARY, vec![1; consumed - 4]).bytes());
        read(&mut input, &waiting);
        assert_eq!(client.advance(&mut input, &mut output), Ok(true));
        assert_eq!(input.spare_mut().len(), spare, "behind {consumed} bytes");
        assert!(input.unread() == waiting);
    }
}

#[test]
fn a_message_in_fragments_moves_out_where_it_fills_its_memory() {
    // What was gathered before leaves memory behind, which the next message may fill or not.
    for (before, parts, moves) in [
        (None, [500, 500], false),
        (None, [2048, 2047], false),
        (None, [2048, 2048], true),
        (Some([4096, 4096]), [2048, 2048], true),
        (Some([4096, 4098]), [2048, 2048], false),
    ] {
        let (mut client, mut output) = open(Role::Client);
        let mut input = RecvBuffer::new();
        let mut receive = |input: &mut RecvBuffer, parts: [usize; 2]| {
            for (opcode, part) in [BINARY, CONTINUATION].into_iter().zip(parts) {
                assert_eq!(client.advance(input, &mut output), Ok(false));
                let fin = opcode == CONTINUATION;
                input.extend(
                    &RawFrame {
                        fin,
                        ..frame(opcode, vec![7; part])
                    }
                    .bytes(),
                );
            }
            assert_eq!(client.advance(input, &mut output), Ok(true));
        };
        if let Some(parts) = before {
            receive(&mut input, parts);
        }
        receive(&mut input, parts);
        let Some(Event::Binary(lent)) = input.event() else {
            panic!("a binary message came");
        };
        let start = lent.as_ptr();
        let message = input.take_message().expect("a message");
        assert!(message.payload() == vec![7; parts[0] + parts[1]]);
        assert_eq!(message.payload().as_ptr() == start, moves, "{parts:?}");
    }
}

#[test]
fn a_short_message_is_taken_with_memory_of_its_own() {
    for role in ROLES {
        let frames = every_sort_of_frame();
        let mut endpoint = Endpoint::new(role);
        endpoint.input.extend(&sent_by(peer_of(role), &frames));
        let mut taken = Vec::new();
        let Endpoint {
            connection,
            input,
            output,
            ..
        } = &mut endpoint;
        while connection.advance(input, output) == Ok(true) {
            let event = Received::from(input.event().expect("an event"));
            let message = input.take_message().expect("a message");
            assert_eq!(input.event(), None, "it was taken");
            assert_eq!(input.take_message(), None);
            let same = match (&message, &event) {
                (Message::Text(text), Received::Text(event)) => text.as_str() == event,
                (Message::Binary(data), Received::Binary(event)) => data == event,
                (Message::Ping(data), Received::Ping(event)) => data == event,
                (Message::Pong(data), Received::Pong(event)) => data == event,
                (Message::Close(frame), Received::Close(event)) => {
                    let frame = frame.clone().map(|f| (f.code.get(), f.reason.into_owned()));
                    frame == *event
                }
                _ => false,
            };
            assert!(same, "{message:?} is {event:?}");
            taken.push(message);
        }
        assert_eq!(taken.len(), 9);
        // They outlive the buffer.
        drop(endpoint);
        assert_eq!(taken[0], Message::text("short"));
        assert_eq!(taken[4].as_text(), None);
        assert_eq!(
            taken[5].as_text(),
            Some("fragments \u{20ac} joined"),
            "fragments are one message"
        );
    }
}

#[test]
fn a_long_message_is_taken_without_a_copy() {
    for role in ROLES {
        let data: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        let bytes = frame(BINARY, &data).sent_by(peer_of(role)).bytes();
        let (mut connection, mut output) = open(role);
        let mut input = RecvBuffer::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let len = read(&mut input, rest);
            rest = &rest[len..];
            let found = connection.advance(&mut input, &mut output);
            assert_eq!(found, Ok(rest.is_empty()));
        }
        let Some(Event::Binary(lent)) = input.event() else {
            panic!("a binary message came");
        };
        let start = lent.as_ptr();
        let message = input.take_message().expect("a message");
        assert_eq!(message.payload().as_ptr(), start);
        assert!(message.payload() == data);
        assert_eq!(input.take_message(), None);
        // The next message finds a buffer in order.
        input.extend(&sent_by(
            peer_of(role),
            &[fragment(TEXT, "ne"), frame(CONTINUATION, "xt")],
        ));
        let event = connection.receive(&mut input, &mut output);
        assert_eq!(event, Ok(Some(Event::Text("next"))));
    }
}

#[test]
fn there_is_no_message_without_an_event() {
    let assert_nothing = |input: &mut RecvBuffer| {
        assert_eq!(input.event(), None);
        assert_eq!(input.take_message(), None);
    };
    let mut input = RecvBuffer::new();
    assert_nothing(&mut input);
    input.extend(b"\x81\x01");
    assert_nothing(&mut input);
    let (mut connection, mut output) = open(Role::Client);
    assert_eq!(connection.advance(&mut input, &mut output), Ok(false));
    assert_nothing(&mut input);
}

#[test]
fn an_event_ends_with_the_next_call_that_needs_the_buffer() {
    let ways: [(&str, Touch); 5] = [
        ("spare_mut", &|input| {
            input.spare_mut();
        }),
        ("commit", &|input| input.commit(1)),
        ("lend", &|input| input.lend(vec![0; 10])),
        ("park", &|input| drop(input.park())),
        ("advance", &|input| {
            let (mut connection, mut output) = open(Role::Client);
            assert_eq!(connection.advance(input, &mut output), Ok(false));
        }),
    ];
    // In the window, and in the message under assembly.
    let messages = [
        vec![frame(TEXT, "one")],
        vec![fragment(TEXT, "on"), frame(CONTINUATION, "e")],
    ];
    for (name, way) in ways {
        for frames in &messages {
            let (mut connection, mut output) = open(Role::Client);
            let mut input = RecvBuffer::new();
            input.extend(&concat(frames));
            assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
            // To look does not end it.
            for _ in 0..2 {
                assert_eq!(input.event(), Some(Event::Text("one")));
                assert_eq!(input.unread(), b"");
            }
            way(&mut input);
            assert_eq!(input.event(), None, "{name} ends the event");
            assert_eq!(input.take_message(), None);
            // And what follows is received as ever.
            input.extend(&frame(TEXT, "two").bytes());
            let event = connection.receive(&mut input, &mut output);
            assert_eq!(event, Ok(Some(Event::Text("two"))));
        }
    }
}

#[test]
fn what_waits_behind_an_event_is_unread() {
    let (mut connection, mut output) = open(Role::Client);
    let mut input = RecvBuffer::from(b"\x81\x01a\x82\x01b\x81".as_slice());
    assert_eq!(input.unread(), b"\x81\x01a\x82\x01b\x81");
    let event = connection.receive(&mut input, &mut output);
    assert_eq!(event, Ok(Some(Event::Text("a"))));
    assert_eq!(input.unread(), b"\x82\x01b\x81");
    let event = connection.receive(&mut input, &mut output);
    assert_eq!(event, Ok(Some(Event::Binary(b"b"))));
    assert_eq!(connection.receive(&mut input, &mut output), Ok(None));
    assert_eq!(input.unread(), b"\x81");
}

#[test]
fn swapped_buffers_are_wrong_data_or_an_error_and_never_a_panic() {
    // Each connection meets, at every point of a stream, the buffer of another one, which may be
    // of the other role and deliver in another way.
    let kinds = ROLES
        .into_iter()
        .flat_map(|role| [(role, Delivery::Messages), (role, Delivery::Chunks)]);
    let kinds: Vec<_> = kinds.collect();
    let connection = |(role, delivery): (Role, Delivery)| {
        let config = config(|config| config.delivery = delivery);
        Endpoint::with_config(role, config)
    };
    for &first in &kinds {
        for &second in &kinds {
            for sender in ROLES {
                let bytes = sent_by(sender, &every_sort_of_frame());
                for cut in 0..=bytes.len() {
                    let (before, behind) = bytes.split_at(cut);
                    let (mut a, mut b) = (connection(first), connection(second));
                    a.input.extend(before);
                    take_all(&mut a);
                    std::mem::swap(&mut a.input, &mut b.input);
                    a.input.extend(behind);
                    b.input.extend(behind);
                    take_all(&mut a);
                    take_all(&mut b);
                    std::mem::swap(&mut a.input, &mut b.input);
                    take_all(&mut a);
                    take_all(&mut b);
                }
            }
        }
    }
}

/// Takes every event by reference, and looks at it.
fn take_all(endpoint: &mut Endpoint) {
    let Endpoint {
        connection,
        input,
        output,
        ..
    } = endpoint;
    while let Ok(Some(event)) = connection.receive(input, output) {
        // Text is checked to be UTF-8 here.
        drop(Received::from(event));
    }
}

#[test]
fn text_that_began_in_chunks_is_never_delivered_as_half_a_character() {
    // Invariant 9 of the design, where a caller swaps buffers between connections that deliver in
    // different ways: the first half of the character went out as a chunk, so the second half
    // alone is no text.
    for role in ROLES {
        let chunks = config(|config| config.delivery = Delivery::Chunks);
        let mut first = Endpoint::with_config(role, chunks);
        let mut second = Endpoint::new(role);
        let peer = peer_of(role);
        let start = fragment(TEXT, b"\xe2").sent_by(peer);
        first.receive(&start.bytes());
        std::mem::swap(&mut first.input, &mut second.input);
        let rest = frame(CONTINUATION, b"\x82\xac").sent_by(peer);
        second.input.extend(&rest.bytes());
        let Endpoint {
            connection,
            input,
            output,
            ..
        } = &mut second;
        if let Ok(Some(Event::Text(text))) = connection.receive(input, output) {
            let valid = std::str::from_utf8(text.as_bytes()).is_ok();
            assert!(valid, "text is UTF-8: {:x?}", text.as_bytes());
        }
        if let Some(Message::Text(text)) = second.input.take_message() {
            let valid = std::str::from_utf8(text.as_bytes()).is_ok();
            assert!(valid, "text is UTF-8: {:x?}", text.as_bytes());
        }
    }
}

/// The same events with the chunks of a message made one, for where they end is nobody's promise.
fn joined(received: &[Received]) -> Vec<Received> {
    let mut events = Vec::new();
    let mut open: Option<(MessageKind, Vec<u8>)> = None;
    for event in received {
        let Received::Chunk { kind, payload, fin } = event else {
            // A control frame between chunks stays between messages: only its order among control
            // frames and messages counts.
            events.push(event.clone());
            continue;
        };
        let (first_kind, whole) = open.get_or_insert_with(|| (*kind, Vec::new()));
        assert_eq!(first_kind, kind, "a message is of one kind");
        assert!(*fin || !payload.is_empty(), "only the last may be empty");
        whole.extend_from_slice(payload);
        if *kind == MessageKind::Text {
            // Valid so far: what is wrong at most is that the end is cut short.
            if let Err(error) = std::str::from_utf8(whole) {
                assert_eq!(error.error_len(), None, "{whole:x?}");
                assert!(!fin, "a text ends with a whole character");
            }
        }
        if *fin {
            let (kind, whole) = open.take().expect("the message is open");
            events.push(Received::Chunk {
                kind,
                payload: whole,
                fin: true,
            });
        }
    }
    if let Some((kind, payload)) = open {
        events.push(Received::Chunk {
            kind,
            payload,
            fin: false,
        });
    }
    events
}

/// A whole message, as [`joined`] has it.
fn whole(kind: MessageKind, payload: impl AsRef<[u8]>) -> Received {
    Received::Chunk {
        kind,
        payload: payload.as_ref().to_vec(),
        fin: true,
    }
}

fn in_chunks() -> Config {
    config(|config| config.delivery = Delivery::Chunks)
}

#[test]
fn chunks_are_the_message_together() {
    use MessageKind::{Binary, Text};
    let expected = [
        whole(Text, "short"),
        ping("p"),
        whole(Binary, [1; 200]),
        ping(""),
        pong("q"),
        whole(Text, "fragments \u{20ac} joined"),
        whole(Text, "\u{20ac}".repeat(400)),
        whole(Binary, ""),
        close(1000, "end"),
    ];
    for role in ROLES {
        let bytes = sent_by(peer_of(role), &every_sort_of_frame());
        for chunk_len in CHUNK_LENS {
            for drain in DRAINS {
                let outcome = run(role, &in_chunks(), &bytes, chunk_len, drain);
                assert_eq!(outcome.error, None);
                assert_eq!(joined(&outcome.received), expected);
            }
        }
        let bytes = sent_by(peer_of(role), &long_frames());
        for chunk_len in [13, 5000, 100_000] {
            let outcome = run(role, &in_chunks(), &bytes, chunk_len, Drain::AfterEachCall);
            let expected = [
                whole(Text, "\u{20ac}".repeat(10_000)),
                ping("p"),
                whole(Binary, [vec![2; 20_000], vec![3; 9_000]].concat()),
                whole(Text, "short"),
            ];
            assert!(joined(&outcome.received) == expected);
        }
    }
}

#[test]
fn a_chunk_is_delivered_before_its_frame_is_whole() {
    for role in ROLES {
        let raw = frame(BINARY, b"abcdefgh").sent_by(peer_of(role));
        let bytes = raw.bytes();
        let start = raw.header_len();
        let mut endpoint = Endpoint::with_config(role, in_chunks());
        assert_eq!(endpoint.receive(&bytes[..start]), []);
        let chunk = |payload: &[u8], fin| Received::Chunk {
            kind: MessageKind::Binary,
            payload: payload.to_vec(),
            fin,
        };
        let received = endpoint.receive(&bytes[start..start + 3]);
        assert_eq!(received, [chunk(b"abc", false)]);
        let received = endpoint.receive(&bytes[start + 3..start + 4]);
        assert_eq!(received, [chunk(b"d", false)]);
        let received = endpoint.receive(&bytes[start + 4..]);
        assert_eq!(received, [chunk(b"efgh", true)]);
    }
}

#[test]
fn the_end_of_a_message_in_chunks_is_said_once() {
    for role in ROLES {
        let frames = [
            fragment(TEXT, ""),
            fragment(CONTINUATION, "ab"),
            fragment(CONTINUATION, ""),
            frame(CONTINUATION, ""),
            frame(TEXT, ""),
        ];
        let mut endpoint = Endpoint::with_config(role, in_chunks());
        let chunk = |payload: &str, fin| Received::Chunk {
            kind: MessageKind::Text,
            payload: payload.into(),
            fin,
        };
        // An empty fragment that is not the last is nothing to deliver.
        assert_eq!(
            endpoint.receive(&sent_by(peer_of(role), &frames)),
            [chunk("ab", false), chunk("", true), chunk("", true)]
        );
    }
}

#[test]
fn a_chunk_is_not_a_message() {
    let mut connection = Connection::new(Role::Client, in_chunks().into());
    let mut output = SendBuffer::new();
    let mut input = RecvBuffer::from(frame(TEXT, "whole").bytes().as_slice());
    assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
    assert_eq!(input.take_message(), None);
    let Some(Event::Chunk(chunk)) = input.event() else {
        panic!("the chunk is still there");
    };
    assert_eq!((chunk.payload, chunk.fin), (b"whole".as_slice(), true));
    // Control frames are messages in this mode, too.
    input.extend(&frame(PING, "p").bytes());
    assert_eq!(connection.advance(&mut input, &mut output), Ok(true));
    let ping = Message::Ping(b"p".as_slice().into());
    assert_eq!(input.take_message(), Some(ping));
}

#[test]
fn text_in_chunks_fails_at_the_first_byte_that_cannot_be_completed() {
    for role in ROLES {
        let peer = peer_of(role);
        for chunk_len in CHUNK_LENS {
            for frames in [
                vec![frame(TEXT, b"ok \xed\xa0\x80 not ok")],
                vec![fragment(TEXT, b"ok \xed"), fragment(CONTINUATION, b"\xa0")],
                vec![frame(TEXT, b"ok \xe2\x82")],
                vec![fragment(TEXT, b"ok \xe2\x82"), frame(CONTINUATION, "")],
            ] {
                let outcome = run(
                    role,
                    &in_chunks(),
                    &sent_by(peer, &frames),
                    chunk_len,
                    Drain::AfterEachCall,
                );
                assert_eq!(outcome.error, Some(ProtocolError::TextNotUtf8));
                assert_eq!(close_code_in(&outcome.output), Some(1007));
                // Nothing that was delivered said that it was the end.
                for event in joined(&outcome.received) {
                    assert!(matches!(event, Received::Chunk { fin: false, .. }));
                }
            }
        }
    }
}

#[test]
fn a_message_longer_than_the_limits_of_memory_passes_in_chunks() {
    let config = config(|config| {
        config.delivery = Delivery::Chunks;
        config.max_message_len = Config::UNLIMITED;
        config.max_frame_len = Config::UNLIMITED;
    });
    let total: u64 = 40 << 20;
    let mut connection = Connection::new(Role::Client, config.into());
    let mut output = SendBuffer::new();
    let mut input = RecvBuffer::new();
    input.extend(&frame(BINARY, "").claiming(total).bytes());
    let mut passed = 0;
    let mut ended = false;
    while passed < total {
        assert!(!ended);
        let spare = input.spare_mut();
        // What is kept is a window, however long the message.
        assert!(spare.len() <= 64 << 10);
        let left = usize::try_from(total - passed).expect("40 MiB");
        let len = spare.len().min(left);
        spare[..len].fill(0x5a);
        input.commit(len);
        while let Some(event) = connection
            .receive(&mut input, &mut output)
            .expect("no error")
        {
            let Event::Chunk(chunk) = event else {
                panic!("chunks are delivered as chunks");
            };
            assert!(chunk.payload.iter().all(|&byte| byte == 0x5a));
            passed += chunk.payload.len() as u64;
            ended = chunk.fin;
        }
    }
    assert!(ended);
}

#[test]
fn buffers_can_be_printed_at_any_time() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role);
        let bytes = sent_by(peer_of(role), &every_sort_of_frame());
        for chunk in bytes.chunks(5) {
            endpoint.receive(chunk);
            assert!(!format!("{endpoint:?}").is_empty());
        }
    }
}

#[test]
fn a_handshake_on_a_buffer_with_half_a_frame_does_not_shift_its_payload() {
    // A caller who mixes up buffers: what the handshake takes from the front is the part of a text
    // that was validated, and what moves into its place was not.
    use framewright::handshake::ServerHandshake;

    let mut endpoint = Endpoint::new(Role::Server);
    let mut payload = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    payload.resize(60, b'x');
    let mut bytes = b"\x81\xe4\0\0\0\0".to_vec();
    bytes.extend_from_slice(&payload);
    endpoint.receive(&bytes);
    let config = std::sync::Arc::new(Config::default());
    let _ = ServerHandshake::new(config).receive(&mut endpoint.input);
    endpoint.input.extend(&[0xff; 27]);
    endpoint.input.extend(&[b'y'; 60]);
    let Endpoint {
        connection,
        input,
        output,
        ..
    } = &mut endpoint;
    while let Ok(true) = connection.advance(input, output) {
        if let Some(Message::Text(text)) = input.take_message() {
            assert!(std::str::from_utf8(text.as_bytes()).is_ok());
        }
    }
}

#[test]
fn a_handshake_on_a_buffer_with_half_a_message_forgets_it() {
    use framewright::handshake::ServerHandshake;

    let mut endpoint = Endpoint::new(Role::Server);
    endpoint.receive(&fragment(TEXT, "half").sent_by(Role::Client).bytes());
    endpoint.input.extend(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let config = std::sync::Arc::new(Config::default());
    let outcome = ServerHandshake::new(config).receive(&mut endpoint.input);
    assert!(matches!(outcome, Ok(Some(_))));
    endpoint.receive(&frame(CONTINUATION, "rest").sent_by(Role::Client).bytes());
    assert_eq!(endpoint.received, []);
    assert_eq!(endpoint.error, Some(ProtocolError::ContinuationUnexpected));
}
