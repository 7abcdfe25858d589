//! Sec-WebSocket-Extensions, offered and answered.
//!
//! Asserts, of any lines and any configuration:
//! - a server parses what section 9.1's grammar, read naively, allows, into the same offers, and
//!   nothing else; written out again, they parse to the same;
//! - it answers the first offer of permessage-deflate that it can meet, or none, with an answer
//!   that RFC 7692, section 7.1, allows to that offer, and that is as strict as its configuration;
//! - a client takes an answer if and only if section 7.1 allows it to its offer;
//! - what our server answers to our client's offer, our client takes, whatever the two are
//!   configured to.

#![no_main]

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, ExtensionOffer, Request,
    ServerHandshake,
};
use framewright::{Config, HandshakeError, RecvBuffer, SendBuffer};
use framewright_fuzz::http::{Extension, Head, deflate_of, parse_extensions};
use framewright_fuzz::script::Script;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, OnceLock};

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let server = configuration(&mut script);
    let client = configuration(&mut script);
    let side = script.byte() % 8;
    if side == 0 {
        agree(&server, &client);
        return;
    }
    let mut value = Vec::new();
    if script.flag() {
        value.extend(script.rest());
    } else {
        while !script.is_at_end() && value.len() < 2048 {
            let choice = script.byte();
            match PIECES.get(usize::from(choice)) {
                Some(piece) => value.extend_from_slice(piece),
                None => value.push(choice),
            }
        }
    }
    // A line ends where the fuzzer says; nothing else that no header could hold.
    for byte in &mut value {
        if byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t') {
            *byte = b' ';
        }
    }
    let lines: Vec<&[u8]> = value.split(|byte| *byte == b'\n').take(8).collect();
    if side < 4 {
        takes(&client, &lines);
    } else {
        accepts(&server, &lines);
    }
});

const PIECES: [&[u8]; 23] = [
    b"permessage-deflate",
    b"; server_no_context_takeover",
    b"; client_no_context_takeover",
    b"; server_max_window_bits",
    b"; client_max_window_bits",
    b"=8",
    b"=9",
    b"=10",
    b"=12",
    b"=15",
    b"=16",
    b"=\"10\"",
    b"=\"1\\5\"",
    b"=08",
    b"=+10",
    b", ",
    b"\n",
    b";",
    b" = ",
    b"x-webkit-deflate-frame",
    b"=\"\"",
    b"Permessage-Deflate",
    b"\"",
];

/// Returns a configuration, windows that there are not among them.
fn configuration(script: &mut Script<'_>) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    let choice = script.byte();
    config.server_no_context_takeover = choice & 1 != 0;
    config.client_no_context_takeover = choice & 2 != 0;
    config.server_max_window_bits = script.byte() % 20;
    config.client_max_window_bits = script.byte() % 20;
    config
}

/// A server is offered `lines`.
fn accepts(config: &DeflateConfig, lines: &[&[u8]]) {
    let offers = parse_extensions(lines);
    let upgrade = match receive(lines) {
        Ok(Some(Request::Upgrade(upgrade))) => upgrade,
        Err(HandshakeError::ExtensionsInvalid) => {
            assert_eq!(offers, None, "the grammar allows them");
            return;
        }
        other => panic!("the rest of the request is legal: {other:?}"),
    };
    let offers = offers.expect("the grammar does not allow them");
    let parsed = upgrade.extensions();
    assert!(parsed.iter().map(pair).eq(offers.iter().cloned()));
    let written = write(&parsed);
    assert_eq!(
        parse_extensions(&[&written]).as_ref(),
        Some(&offers),
        "written again"
    );

    let acceptance = Acceptance::new().deflate(config.clone());
    let mut output = SendBuffer::new();
    let connection = upgrade
        .accept(acceptance, Arc::default(), &mut output)
        .expect("the acceptance is legal");
    let output = output.to_vec();
    let head = Head::parse(&output).expect("an answer is HTTP");
    let answers = head.values("sec-websocket-extensions");
    let answers = parse_extensions(&answers).expect("an answer keeps to the grammar");
    // 7.1.2.1: a window of 8 bits is what no zlib compresses with, so that such an offer is
    // declined.
    let mut acceptable = offers.iter().filter_map(deflate_of);
    let acceptable = acceptable.find(|offer| offer.server_max_window_bits != Some(8));
    assert_eq!(connection.is_compressing(), acceptable.is_some());
    let (offer, answer) = match (acceptable, &answers[..]) {
        (None, []) => return,
        (Some(offer), [answer]) => (offer, deflate_of(answer).expect("a legal answer")),
        other => panic!("{other:?}"),
    };
    assert!(offer.may_be_answered_with(&answer), "{offer:?}, {answer:?}");
    // What the application wants of its own side, and of the other where that can be asked for.
    assert!(answer.server_no_context_takeover || !config.server_no_context_takeover);
    assert!(answer.client_no_context_takeover || !config.client_no_context_takeover);
    let bits = config.server_max_window_bits.clamp(9, 15);
    assert!(answer.server_max_window_bits.unwrap_or(15) <= bits);
    if offer.client_max_window_bits.is_some_and(|bits| bits != 8) {
        let bits = config.client_max_window_bits.clamp(9, 15);
        assert!(answer.client_max_window_bits.unwrap_or(15) <= bits);
    }
}

/// A client is answered `lines`.
fn takes(config: &DeflateConfig, lines: &[&[u8]]) {
    let (offer, received) = ask(config, |_| lines.concat_lines());
    let offer = deflate_of(&offer).expect("an offer is legal");
    let answers = parse_extensions(lines);
    let is_legal = match answers.as_deref() {
        None => false,
        Some([]) => true,
        Some([answer]) => {
            deflate_of(answer).is_some_and(|answer| offer.may_be_answered_with(&answer))
        }
        Some(_) => false,
    };
    match received {
        Ok(is_compressing) => {
            assert!(is_legal, "{offer:?}");
            assert_eq!(
                Some(is_compressing),
                answers.map(|answers| !answers.is_empty())
            );
        }
        Err(error) => {
            assert!(!is_legal, "{error:?}, {offer:?}");
            assert!(matches!(
                error,
                HandshakeError::ExtensionNotOffered
                    | HandshakeError::ExtensionParametersInvalid
                    | HandshakeError::ExtensionsInvalid
            ));
        }
    }
}

/// A server is offered what a client offers, and the client gets the answer.
fn agree(server: &DeflateConfig, client: &DeflateConfig) {
    let (_, received) = ask(client, |offer| {
        let Ok(Some(Request::Upgrade(upgrade))) = receive(&[offer]) else {
            panic!("an offer is legal");
        };
        let acceptance = Acceptance::new().deflate(server.clone());
        let mut output = SendBuffer::new();
        let connection = upgrade.accept(acceptance, Arc::default(), &mut output);
        assert!(connection.expect("a legal acceptance").is_compressing());
        let output = output.to_vec();
        let head = Head::parse(&output).expect("an answer is HTTP");
        head.values("sec-websocket-extensions").concat_lines()
    });
    assert_eq!(received, Ok(true));
}

/// Gives a server the rest of a request.
fn receive(extensions: &[&[u8]]) -> Result<Option<Request>, HandshakeError> {
    let mut request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_vec();
    request.extend(extensions.concat_lines());
    request.extend(b"\r\n");
    ServerHandshake::new(config()).receive(&mut RecvBuffer::from(&request[..]))
}

/// Gives a client the rest of an answer to its offer, and returns the offer and whether it
/// compresses.
fn ask(
    deflate: &DeflateConfig,
    answer: impl FnOnce(&[u8]) -> Vec<u8>,
) -> (Extension, Result<bool, HandshakeError>) {
    let request = ClientRequest::new("ws://h/")
        .expect("a URI")
        .deflate(deflate.clone());
    let mut output = SendBuffer::new();
    let mut client = ClientHandshake::start(&request, config(), [0; 16], &mut output);
    let output = output.to_vec();
    let head = Head::parse(&output).expect("a request is HTTP");
    let offer = head.single("sec-websocket-extensions").expect("an offer");
    let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n"
        .to_vec();
    bytes.extend(answer(offer));
    bytes.extend(b"\r\n");
    let received = client.receive(&mut RecvBuffer::from(&bytes[..]));
    let offers = parse_extensions(&[offer]).expect("an offer keeps to the grammar");
    let [offer] = &offers[..] else {
        panic!("one offer")
    };
    let received = received.map(|response| {
        let connection = response.expect("the answer is whole").into_connection();
        connection.is_compressing()
    });
    (offer.clone(), received)
}

/// Lines long enough for what the fuzzer makes.
fn config() -> Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    CONFIG.get_or_init(Arc::default).clone()
}

fn pair(offer: &ExtensionOffer) -> Extension {
    (offer.name.clone(), offer.params.clone())
}

fn write(offers: &[ExtensionOffer]) -> Vec<u8> {
    let mut written = Vec::new();
    for offer in offers {
        written.extend(offer.name.as_bytes());
        for (name, value) in &offer.params {
            written.extend(b"; ");
            written.extend(name.as_bytes());
            if let Some(value) = value {
                written.push(b'=');
                written.extend(value.as_bytes());
            }
        }
        written.extend(b", ");
    }
    written
}

trait Lines {
    fn concat_lines(&self) -> Vec<u8>;
}

impl Lines for [&[u8]] {
    fn concat_lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        for line in self {
            lines.extend(b"Sec-WebSocket-Extensions: ");
            lines.extend(*line);
            lines.extend(b"\r\n");
        }
        lines
    }
}
