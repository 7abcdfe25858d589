//! permessage-deflate: what is offered, accepted, declined and refused.
//!
//! Headers of the peer are written by hand. What was agreed on shows in the answer and in how the
//! connection sends and receives.
//!
//! RFC 7692, sections 5 and 7.1; RFC 6455, section 9.1.

#![cfg(feature = "deflate")]

use std::sync::Arc;

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake,
    UpgradeRequest,
};
use framewright::{
    Compression, Config, Connection, Event, HandshakeError, Message, ProtocolError, RecvBuffer,
    Role, SendBuffer,
};

// ---- What a client offers ----

#[test]
fn the_offer_says_what_differs_from_the_default() {
    for (config, offer) in [
        (
            DeflateConfig::default(),
            "permessage-deflate; client_max_window_bits",
        ),
        (
            config(true, false, 15, 15),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        ),
        (
            config(false, true, 15, 15),
            "permessage-deflate; client_no_context_takeover; client_max_window_bits",
        ),
        (
            config(false, false, 9, 15),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
        ),
        (
            config(false, false, 15, 14),
            "permessage-deflate; client_max_window_bits=14",
        ),
        (
            config(true, true, 10, 12),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=12",
        ),
        // Values out of range count as the nearest.
        (
            config(false, false, 0, 8),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
        ),
        (
            config(false, false, 16, 255),
            "permessage-deflate; client_max_window_bits",
        ),
    ] {
        assert_eq!(offer_of(Some(config)).as_deref(), Some(offer));
    }
}

#[test]
fn nothing_is_offered_unless_the_application_asks() {
    assert_eq!(offer_of(None), None);
}

// ---- What a server accepts ----

#[test]
fn a_server_answers_an_offer_with_what_it_accepts() {
    let open = DeflateConfig::default;
    for (config, offers, answer) in [
        (open(), "permessage-deflate", "permessage-deflate"),
        // Names are case-insensitive, as HTTP's are.
        (open(), "Permessage-Deflate", "permessage-deflate"),
        // 7.1.1.1: "accepts [...] by including the parameter in the response".
        (
            open(),
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        // 7.1.1.2: a hint, which is taken.
        (
            open(),
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
        // 7.1.2.2: in a response only if it is in the offer, and there always with a value.
        (
            open(),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate",
        ),
        (
            config(false, false, 15, 11),
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=11",
        ),
        (
            config(false, false, 15, 11),
            "permessage-deflate",
            "permessage-deflate",
        ),
        (
            config(false, false, 15, 11),
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            config(false, false, 15, 11),
            "permessage-deflate; client_max_window_bits=12",
            "permessage-deflate; client_max_window_bits=11",
        ),
        // 7.1.2.1: the same or smaller.
        (
            open(),
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            open(),
            "permessage-deflate; server_max_window_bits=9",
            "permessage-deflate; server_max_window_bits=9",
        ),
        (
            config(false, false, 12, 15),
            "permessage-deflate; server_max_window_bits=13",
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            config(false, false, 12, 15),
            "permessage-deflate; server_max_window_bits=11",
            "permessage-deflate; server_max_window_bits=11",
        ),
        // Unasked, which section 7.1 allows a server.
        (
            config(false, false, 12, 15),
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            config(true, true, 15, 15),
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        // All of it, in any order and with any white space.
        (
            config(false, false, 15, 14),
            "permessage-deflate;client_max_window_bits ; server_max_window_bits = 10;\
             \tCLIENT_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=14",
        ),
        // RFC 6455, section 9.1: a quoted value is the value.
        (
            open(),
            "permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits=\"1\\1\"",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
        ),
        // A client's window of 256 bytes is inflated with a larger one; nothing need be said.
        (
            open(),
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate",
        ),
    ] {
        let (connection, answered) = accept(Some(config), &[offers]);
        assert_eq!(answered.as_deref(), Some(answer), "{offers}");
        assert!(connection.is_compressing());
    }
}

#[test]
fn every_window_from_9_to_15_can_be_agreed_on() {
    for offered in 8..=15_u8 {
        for own in 9..=15_u8 {
            let agreed = offered.min(own);
            let offer = format!("permessage-deflate; server_max_window_bits={offered}");
            let (_, answer) = accept(Some(config(false, false, own, 15)), &[&offer]);
            let expected = format!("permessage-deflate; server_max_window_bits={agreed}");
            // zlib cannot compress with a window of 256 bytes, and uses a larger one unasked.
            assert_eq!(
                answer,
                (offered > 8).then_some(expected),
                "{offered}, {own}"
            );

            let offer = format!("permessage-deflate; client_max_window_bits={offered}");
            let (connection, answer) = accept(Some(config(false, false, 15, own)), &[&offer]);
            assert!(connection.is_compressing());
            let answer = answer.unwrap();
            let value = answer.strip_prefix("permessage-deflate; client_max_window_bits=");
            match value {
                Some(value) => assert_eq!(value, agreed.to_string()),
                // Says nothing only where that promises no more than the offer.
                None => assert!(agreed == 15 || offered == 8, "{offered}, {own}: {answer}"),
            }
        }
    }
}

#[test]
fn a_server_uses_no_extension_unless_the_application_asks() {
    let (connection, answer) = accept(None, &["permessage-deflate"]);
    assert_eq!(answer, None);
    assert!(!connection.is_compressing());
}

#[test]
fn a_server_does_not_answer_where_nothing_is_offered() {
    for lines in [
        &[][..],
        &["permessage-bzip2"],
        &["x-webkit-deflate-frame, foo; bar=\"baz\""],
    ] {
        let (connection, answer) = accept(Some(DeflateConfig::default()), lines);
        assert_eq!(answer, None, "{lines:?}");
        assert!(!connection.is_compressing());
    }
}

/// 7.1: parameters for which "A server MUST decline an extension negotiation offer".
const DECLINED: &[&str] = &[
    // Values that are not what sections 7.1.2.1 and 7.1.2.2 allow.
    "server_max_window_bits=0",
    "server_max_window_bits=7",
    "server_max_window_bits=16",
    "server_max_window_bits=08",
    "server_max_window_bits=010",
    "server_max_window_bits=+9",
    "server_max_window_bits=-9",
    "server_max_window_bits=9.0",
    "server_max_window_bits=0x9",
    "server_max_window_bits=nine",
    "server_max_window_bits=265",
    "server_max_window_bits=1000000000000000000000000",
    "server_max_window_bits",
    // A window of 256 bytes, which zlib does not have.
    "server_max_window_bits=8",
    "client_max_window_bits=0",
    "client_max_window_bits=7",
    "client_max_window_bits=16",
    "client_max_window_bits=08",
    "client_max_window_bits=015",
    "client_max_window_bits=+15",
    "client_max_window_bits=271",
    "client_max_window_bits=x",
    // The same, quoted.
    "server_max_window_bits=\"7\"",
    "server_max_window_bits=\"08\"",
    "server_max_window_bits=\"16\"",
    "server_max_window_bits=\"8\"",
    "client_max_window_bits=\"0\"",
    "client_max_window_bits=\"0\\8\"",
    // Values of parameters that have none.
    "server_no_context_takeover=1",
    "server_no_context_takeover=true",
    "server_no_context_takeover=\"x\"",
    "client_no_context_takeover=15",
    "client_no_context_takeover=\"15\"",
    // Repeated.
    "server_no_context_takeover; server_no_context_takeover",
    "client_no_context_takeover; Client_No_Context_Takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "server_max_window_bits=10; server_max_window_bits=11",
    "client_max_window_bits; client_max_window_bits",
    "client_max_window_bits; client_max_window_bits=10",
    "client_max_window_bits=10; client_max_window_bits",
    // Unknown.
    "max_window_bits=10",
    "server_max_window_bits=10; foo",
    "foo=bar",
    "no_context_takeover",
    "server_max_window_bit=10",
];

#[test]
fn an_offer_that_cannot_be_met_is_declined_and_the_handshake_goes_on() {
    for params in DECLINED {
        let offer = format!("permessage-deflate; {params}");
        let (connection, answer) = accept(Some(DeflateConfig::default()), &[&offer]);
        assert_eq!(answer, None, "{params}");
        assert!(!connection.is_compressing());
    }
}

#[test]
fn the_next_offer_is_tried_where_one_is_declined() {
    for params in DECLINED {
        let declined = format!("permessage-deflate; {params}");
        let good = "permessage-deflate; server_max_window_bits=11";
        let one_line = format!("{declined}, {good}");
        let with_others =
            format!("foo, {declined}, bar; x=1, {declined},, {good}, permessage-deflate");
        for lines in [
            &[&one_line[..]][..],
            &[&with_others],
            &[&declined, good],
            &["foo; bar", &declined, &one_line],
        ] {
            let (connection, answer) = accept(Some(DeflateConfig::default()), lines);
            assert_eq!(answer.as_deref(), Some(good), "{lines:?}");
            assert!(connection.is_compressing());
        }
    }
}

#[test]
fn the_first_offer_that_can_be_met_is_the_one_taken() {
    // 5.1: "in order of preference".
    for (lines, answer) in [
        (
            &["permessage-deflate; server_max_window_bits=10, permessage-deflate"][..],
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            &["permessage-deflate, permessage-deflate; server_max_window_bits=10"],
            "permessage-deflate",
        ),
        (
            &[
                "permessage-deflate; server_no_context_takeover",
                "permessage-deflate; client_no_context_takeover",
            ],
            "permessage-deflate; server_no_context_takeover",
        ),
    ] {
        let (_, answered) = accept(Some(DeflateConfig::default()), lines);
        assert_eq!(answered.as_deref(), Some(answer), "{lines:?}");
    }
}

#[test]
fn an_offer_outside_the_grammar_is_refused() {
    // RFC 6455, section 9.1: "does not conform to the ABNF below, the recipient of such malformed
    // data MUST immediately _Fail the WebSocket Connection_": there is no parameter to judge.
    for offer in [
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"",
        "permessage-deflate; =10",
        "permessage-deflate;",
        "permessage-deflate; server_max_window_bits=1 0",
        "permessage-deflate server_no_context_takeover",
        "permessage-deflate=1",
        "permessage-deflate; server_max_window_bits=\"10\"0",
    ] {
        for offer in [offer.to_owned(), format!("permessage-deflate, {offer}")] {
            let error = receive_request(&[&offer]).map(drop).unwrap_err();
            assert_eq!(error, HandshakeError::ExtensionsInvalid, "{offer}");
            assert_eq!(error.status(), Some(400));
        }
    }
}

#[test]
fn sixteen_offers_are_heard() {
    let bad = "permessage-deflate; foo";
    let mut offers = vec![bad; 15];
    offers.push("permessage-deflate");
    let (_, answer) = accept(Some(DeflateConfig::default()), &[&offers.join(", ")]);
    assert_eq!(answer.as_deref(), Some("permessage-deflate"));
    offers.insert(0, bad);
    let error = receive_request(&offers).map(drop).unwrap_err();
    assert_eq!(error, HandshakeError::ExtensionsInvalid);
}

// ---- What a client takes for an answer ----

#[test]
fn a_client_takes_an_answer_that_its_offer_allows() {
    let open = DeflateConfig::default;
    for (config, answer) in [
        (open(), "permessage-deflate"),
        (open(), "PERMESSAGE-DEFLATE"),
        (open(), " , permessage-deflate ,"),
        // 7.1.1: a server may include these unasked.
        (open(), "permessage-deflate; server_no_context_takeover"),
        (open(), "permessage-deflate; client_no_context_takeover"),
        (open(), "permessage-deflate; server_max_window_bits=15"),
        (open(), "permessage-deflate; server_max_window_bits=9"),
        (open(), "permessage-deflate; Server_Max_Window_Bits=\"9\""),
        // The client said `client_max_window_bits`.
        (open(), "permessage-deflate; client_max_window_bits=15"),
        (open(), "permessage-deflate; client_max_window_bits=9"),
        (
            open(),
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10; \
             client_no_context_takeover; server_no_context_takeover",
        ),
        // A window of 256 bytes, either way.
        (open(), "permessage-deflate; server_max_window_bits=8"),
        (open(), "permessage-deflate; client_max_window_bits=8"),
        (
            config(true, false, 15, 15),
            "permessage-deflate; server_no_context_takeover",
        ),
        // 7.1.1.2: a hint, which the server need not repeat.
        (config(false, true, 15, 15), "permessage-deflate"),
        (
            config(false, false, 12, 15),
            "permessage-deflate; server_max_window_bits=12",
        ),
        (
            config(false, false, 12, 15),
            "permessage-deflate; server_max_window_bits=8",
        ),
        (config(false, false, 15, 12), "permessage-deflate"),
        (
            config(false, false, 15, 12),
            "permessage-deflate; client_max_window_bits=12",
        ),
        (
            config(false, false, 15, 12),
            "permessage-deflate; client_max_window_bits=9",
        ),
    ] {
        let connection = receive_answer(Some(config), &[answer]).unwrap();
        assert!(connection.is_compressing(), "{answer}");
        // Lists may be spread over lines.
        let connection = receive_answer(Some(DeflateConfig::default()), &["", answer]).unwrap();
        assert!(connection.is_compressing(), "{answer}");
    }
}

#[test]
fn a_client_goes_on_without_compression_where_the_server_does() {
    for config in [None, Some(DeflateConfig::default())] {
        for lines in [&[][..], &[""], &[" , "]] {
            let connection = receive_answer(config.clone(), lines).unwrap();
            assert!(!connection.is_compressing(), "{lines:?}");
        }
    }
}

#[test]
fn a_client_fails_on_an_answer_that_it_did_not_allow() {
    use HandshakeError::{ExtensionNotOffered, ExtensionParametersInvalid, ExtensionsInvalid};
    let open = DeflateConfig::default;
    for (config, lines, error) in [
        // 7.1: parameters with values that are invalid, unknown, or repeated.
        (
            open(),
            &["permessage-deflate; server_max_window_bits=0"][..],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits=7"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits=16"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits=09"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits=x"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; client_max_window_bits=0"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; client_max_window_bits=7"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; client_max_window_bits=16"],
            ExtensionParametersInvalid,
        ),
        // 7.1.2.2: without a value in an offer only.
        (
            open(),
            &["permessage-deflate; client_max_window_bits"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_no_context_takeover=1"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; client_no_context_takeover=\"\\1\""],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; foo"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; server_max_window_bits=9; server_max_window_bits=9"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate; client_no_context_takeover; client_no_context_takeover"],
            ExtensionParametersInvalid,
        ),
        // 7.1.1.1: "MUST NOT" be left out once it was offered and the offer is accepted.
        (
            config(true, false, 15, 15),
            &["permessage-deflate"],
            ExtensionParametersInvalid,
        ),
        (
            config(true, false, 15, 15),
            &["permessage-deflate; client_no_context_takeover"],
            ExtensionParametersInvalid,
        ),
        // 7.1.2.1: "with the same or smaller value as the offer", and there.
        (
            config(false, false, 12, 15),
            &["permessage-deflate"],
            ExtensionParametersInvalid,
        ),
        (
            config(false, false, 12, 15),
            &["permessage-deflate; server_max_window_bits=13"],
            ExtensionParametersInvalid,
        ),
        // 7.1.2.2: likewise.
        (
            config(false, false, 15, 12),
            &["permessage-deflate; client_max_window_bits=13"],
            ExtensionParametersInvalid,
        ),
        // More than was offered.
        (
            open(),
            &["permessage-deflate, permessage-deflate"],
            ExtensionParametersInvalid,
        ),
        (
            open(),
            &["permessage-deflate", "permessage-deflate"],
            ExtensionParametersInvalid,
        ),
        (open(), &["permessage-deflate, foo"], ExtensionNotOffered),
        (open(), &["permessage-bzip2"], ExtensionNotOffered),
        (open(), &["x-webkit-deflate-frame"], ExtensionNotOffered),
        (
            open(),
            &["permessage-deflate, permessage-deflate, permessage-deflate"],
            ExtensionNotOffered,
        ),
        // No list at all.
        (
            open(),
            &["permessage-deflate; server_max_window_bits="],
            ExtensionsInvalid,
        ),
        (open(), &["permessage-deflate;"], ExtensionsInvalid),
        (
            open(),
            &["permessage-deflate; client_max_window_bits=\"\""],
            ExtensionsInvalid,
        ),
    ] {
        let outcome = receive_answer(Some(config), lines).map(drop);
        assert_eq!(outcome, Err(error), "{lines:?}");
    }
}

#[test]
fn a_client_that_offered_nothing_fails_on_any_answer() {
    for answer in ["permessage-deflate", "foo", "permessage-deflate;"] {
        let outcome = receive_answer(None, &[answer]).map(drop);
        assert_eq!(
            outcome,
            Err(HandshakeError::ExtensionNotOffered),
            "{answer}"
        );
    }
}

// ---- What was agreed on is what is done ----

#[test]
fn whoever_has_no_takeover_forgets_its_window() {
    let open = DeflateConfig::default;
    // What we send refers back to the message before only where we keep our window.
    for (config, answer, refers_back) in [
        (open(), "permessage-deflate", true),
        (
            open(),
            "permessage-deflate; server_no_context_takeover",
            true,
        ),
        (
            open(),
            "permessage-deflate; client_no_context_takeover",
            false,
        ),
        // 7.1.1.2: what we said that we would do, we do.
        (config(false, true, 15, 15), "permessage-deflate", false),
    ] {
        let mut client = receive_answer(Some(config), &[answer]).unwrap();
        assert_eq!(
            refers_back_to_the_first(&mut client),
            refers_back,
            "{answer}"
        );
    }
    for (config, offer, refers_back) in [
        (open(), "permessage-deflate", true),
        (
            open(),
            "permessage-deflate; client_no_context_takeover",
            true,
        ),
        (
            open(),
            "permessage-deflate; server_no_context_takeover",
            false,
        ),
        (config(true, false, 15, 15), "permessage-deflate", false),
        (config(false, true, 15, 15), "permessage-deflate", true),
    ] {
        let (mut server, _) = accept(Some(config), &[offer]);
        assert_eq!(
            refers_back_to_the_first(&mut server),
            refers_back,
            "{offer}"
        );
    }
}

#[test]
fn whoever_promised_no_takeover_may_not_refer_back() {
    let open = DeflateConfig::default;
    for (config, offer, may) in [
        (open(), "permessage-deflate", true),
        (
            open(),
            "permessage-deflate; server_no_context_takeover",
            true,
        ),
        (
            open(),
            "permessage-deflate; client_no_context_takeover",
            false,
        ),
        (config(false, true, 15, 15), "permessage-deflate", false),
    ] {
        let (mut server, _) = accept(Some(config), &[offer]);
        assert_eq!(may_refer_back(&mut server), may, "{offer}");
    }
    for (config, answer, may) in [
        (open(), "permessage-deflate", true),
        (
            open(),
            "permessage-deflate; client_no_context_takeover",
            true,
        ),
        (
            open(),
            "permessage-deflate; server_no_context_takeover",
            false,
        ),
        // The server did not repeat the hint of ours: it concerns us alone.
        (config(false, true, 15, 15), "permessage-deflate", true),
    ] {
        let mut client = receive_answer(Some(config), &[answer]).unwrap();
        assert_eq!(may_refer_back(&mut client), may, "{answer}");
    }
}

#[test]
fn a_client_keeps_to_the_smaller_of_two_windows() {
    // 700 bytes back is beyond a window of 512 bytes, and the rest is noise.
    let noise: Vec<u8> = (0..3000_u32)
        .map(|index| index.wrapping_mul(0x9e37_79b1).to_be_bytes()[1] ^ index.to_be_bytes()[3])
        .collect();
    let message = [&noise[..], &noise].concat();
    let open = DeflateConfig::default;
    for (config, answer, shrinks) in [
        (open(), "permessage-deflate", true),
        (open(), "permessage-deflate; server_max_window_bits=9", true),
        (
            open(),
            "permessage-deflate; client_max_window_bits=9",
            false,
        ),
        (config(false, false, 15, 9), "permessage-deflate", false),
        (
            config(false, false, 15, 11),
            "permessage-deflate; client_max_window_bits=9",
            false,
        ),
        // A window of 256 bytes: not compressed at all.
        (
            open(),
            "permessage-deflate; client_max_window_bits=8",
            false,
        ),
    ] {
        let mut client = receive_answer(Some(config), &[answer]).unwrap();
        let mut output = SendBuffer::new();
        client
            .send_message_with(
                Message::binary(message.clone()),
                Compression::Always,
                &mut output,
            )
            .unwrap();
        assert_eq!(output.len() < 5000, shrinks, "{answer}: {}", output.len());
    }
}

#[test]
fn two_ends_agree_whatever_they_want() {
    let bools = [false, true];
    let mut configs = Vec::new();
    for server_forgets in bools {
        for client_forgets in bools {
            for server_bits in [9, 12, 15] {
                for client_bits in [9, 12, 15] {
                    configs.push(config(
                        server_forgets,
                        client_forgets,
                        server_bits,
                        client_bits,
                    ));
                }
            }
        }
    }
    for client in &configs {
        for server in &configs {
            let offer = offer_of(Some(client.clone())).unwrap();
            let (_, answer) = accept(Some(server.clone()), &[&offer]);
            let answer = answer.unwrap_or_else(|| panic!("{offer} is declined by {server:?}"));
            let connection = receive_answer(Some(client.clone()), &[&answer]);
            assert!(
                connection.is_ok_and(|c| c.is_compressing()),
                "{offer}: {answer}"
            );
        }
    }
}

// ---- The rig ----

fn config(
    server_forgets: bool,
    client_forgets: bool,
    server_bits: u8,
    client_bits: u8,
) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    config.server_no_context_takeover = server_forgets;
    config.client_no_context_takeover = client_forgets;
    config.server_max_window_bits = server_bits;
    config.client_max_window_bits = client_bits;
    config
}

/// The value of the extensions line in a head; there may be one at most.
fn extensions_in(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).unwrap();
    let mut values = head
        .split("\r\n")
        .filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    let value = values.next().map(str::to_owned);
    assert_eq!(values.next(), None, "one line");
    value
}

fn start_client(deflate: Option<DeflateConfig>) -> (ClientHandshake, Vec<u8>) {
    let mut request = ClientRequest::new("ws://h").unwrap();
    if let Some(deflate) = deflate {
        request = request.deflate(deflate);
    }
    let mut output = SendBuffer::new();
    let config = Arc::new(Config::default());
    let handshake = ClientHandshake::start(&request, config, *b"the sample nonce", &mut output);
    (handshake, output.to_vec())
}

/// What a client offers.
fn offer_of(deflate: Option<DeflateConfig>) -> Option<String> {
    extensions_in(&start_client(deflate).1)
}

fn lines_of(values: &[&str]) -> String {
    values
        .iter()
        .map(|value| format!("Sec-WebSocket-Extensions: {value}\r\n"))
        .collect()
}

/// A client that asked for `deflate` receives an answer with lines of these `values`.
fn receive_answer(
    deflate: Option<DeflateConfig>,
    values: &[&str],
) -> Result<Connection, HandshakeError> {
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{}\r\n",
        lines_of(values)
    );
    let (mut handshake, _) = start_client(deflate);
    let response = handshake.receive(&mut RecvBuffer::from(answer.as_bytes()))?;
    Ok(response.expect("a whole head").into_connection())
}

/// A server receives a request with lines of these `values`.
fn receive_request(values: &[&str]) -> Result<UpgradeRequest, HandshakeError> {
    let request = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
        lines_of(values)
    );
    let mut handshake = ServerHandshake::new(Arc::new(Config::default()));
    match handshake.receive(&mut RecvBuffer::from(request.as_bytes()))? {
        Some(Request::Upgrade(upgrade)) => Ok(upgrade),
        other => panic!("{other:?}"),
    }
}

/// A server that wants `deflate` accepts a request with lines of these `values`: the connection,
/// and what the answer says of extensions.
fn accept(deflate: Option<DeflateConfig>, values: &[&str]) -> (Connection, Option<String>) {
    let upgrade = receive_request(values).unwrap();
    let mut acceptance = Acceptance::new();
    if let Some(deflate) = deflate {
        acceptance = acceptance.deflate(deflate);
    }
    let mut output = SendBuffer::new();
    let connection = upgrade
        .accept(acceptance, Arc::new(Config::default()), &mut output)
        .unwrap();
    (connection, extensions_in(&output.to_vec()))
}

/// Whether a message that is sent twice is shorter the second time.
fn refers_back_to_the_first(connection: &mut Connection) -> bool {
    let message: Vec<u8> = (0..=255).collect();
    let mut lens = [0; 2];
    for len in &mut lens {
        let mut output = SendBuffer::new();
        connection
            .send_message_with(
                Message::binary(message.clone()),
                Compression::Always,
                &mut output,
            )
            .unwrap();
        *len = output.len();
    }
    lens[1] < lens[0] / 2
}

/// Whether the peer's second message may refer to its first: section 7.2.3.2.
fn may_refer_back(connection: &mut Connection) -> bool {
    let payloads: [&[u8]; 2] = [b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xf2\x00\x11\x00\x00"];
    let mut input = RecvBuffer::new();
    for payload in payloads {
        let len = u8::try_from(payload.len()).unwrap();
        match connection.role() {
            // A key of zeros changes nothing.
            Role::Server => input.extend(&[0xc1, 0x80 | len, 0, 0, 0, 0]),
            Role::Client => input.extend(&[0xc1, len]),
        }
        input.extend(payload);
    }
    let mut output = SendBuffer::new();
    assert_eq!(
        connection.receive(&mut input, &mut output),
        Ok(Some(Event::Text("Hello")))
    );
    match connection.receive(&mut input, &mut output) {
        Ok(Some(Event::Text("Hello"))) => true,
        Err(ProtocolError::CompressedDataInvalid) => false,
        other => panic!("{other:?}"),
    }
}
