//! Connections that are open already.
//!
//! A compressing one takes an opening handshake, because nothing else installs the extension; the
//! other side of it is constant text, so that it costs little.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use framewright::frame::MaskingKey;
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateConfig, Request, ServerHandshake, accept_key,
};
use framewright::{Config, Connection, Delivery, MaskSource, RecvBuffer, Role, SendBuffer};

use crate::script::Script;

/// Returns the moment at which every virtual clock starts.
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

pub const ROLES: [Role; 2] = [Role::Client, Role::Server];

pub const fn peer_of(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Returns limits, some of them so low that everything passes them.
pub fn limits(script: &mut Script<'_>) -> Config {
    let mut config = Config::default();
    let lens = [16 << 20, Config::UNLIMITED, 65_536, 4096, 300, 125, 5, 0];
    config.max_message_len = script.pick(&lens);
    config.max_frame_len = script.pick(&lens);
    config.max_fragments = script.pick(&[131_072, 64, 8, 2, 1, 0]);
    config.max_drain_len = script.pick(&[32 << 20, 100, 0]);
    config.delivery = script.pick(&[Delivery::Messages, Delivery::Messages, Delivery::Chunks]);
    config
}

/// Returns how permessage-deflate is used, or that it is not.
pub fn deflate(script: &mut Script<'_>) -> Option<DeflateConfig> {
    let choice = script.byte();
    (choice & 1 == 1).then(|| deflate_of(choice))
}

/// Returns how permessage-deflate is used.
pub fn deflate_of(choice: u8) -> DeflateConfig {
    let mut config = DeflateConfig::default();
    config.server_no_context_takeover = choice & 2 != 0;
    config.client_no_context_takeover = choice & 4 != 0;
    config.server_max_window_bits = [15, 9, 10, 12][usize::from(choice >> 3 & 3)];
    config.client_max_window_bits = [15, 9, 10, 12][usize::from(choice >> 5 & 3)];
    config.min_len = if choice & 0x80 == 0 { 0 } else { 64 };
    config
}

/// Opens one end of a connection, with masking keys that repeat from run to run.
pub fn connection(role: Role, config: &Arc<Config>, deflate: Option<DeflateConfig>) -> Connection {
    let connection = match (role, deflate) {
        (_, None) => Connection::new(role, config.clone()),
        (Role::Server, Some(deflate)) => server(config, deflate),
        (Role::Client, Some(deflate)) => client(config, deflate),
    };
    match role {
        Role::Client => connection.with_masks(Box::new(CountingMasks::default())),
        Role::Server => connection,
    }
}

fn server(config: &Arc<Config>, deflate: DeflateConfig) -> Connection {
    let mut request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n"
        .to_vec();
    push_extension(&deflate, &mut request);
    let mut input = RecvBuffer::from(&request[..]);
    let received = ServerHandshake::new(opening()).receive(&mut input);
    let Ok(Some(Request::Upgrade(upgrade))) = received else {
        panic!("the request is legal: {received:?}");
    };
    let acceptance = Acceptance::new().deflate(deflate);
    let connection = upgrade
        .accept(acceptance, config.clone(), &mut SendBuffer::new())
        .expect("the acceptance is legal");
    assert!(connection.is_compressing());
    connection
}

fn client(config: &Arc<Config>, deflate: DeflateConfig) -> Connection {
    static REQUEST: OnceLock<(ClientRequest, [u8; 28])> = OnceLock::new();
    let (request, accept) = REQUEST.get_or_init(|| {
        let request = ClientRequest::new("ws://h/").expect("a URI");
        (request, accept_key(b"AAAAAAAAAAAAAAAAAAAAAA=="))
    });
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: "
        .to_vec();
    answer.extend(accept);
    answer.extend(b"\r\n");
    push_extension(&deflate, &mut answer);
    let request = request.clone().deflate(deflate);
    let mut client =
        ClientHandshake::start(&request, config.clone(), [0; 16], &mut SendBuffer::new());
    let received = client.receive(&mut RecvBuffer::from(&answer[..]));
    let Ok(Some(response)) = received else {
        panic!("the answer is legal: {received:?}");
    };
    let connection = response.into_connection();
    assert!(connection.is_compressing());
    connection
}

/// Appends the line of an offer or an answer with all that `config` says, and the end of the head.
fn push_extension(config: &DeflateConfig, head: &mut Vec<u8>) {
    head.extend(b"Sec-WebSocket-Extensions: permessage-deflate");
    if config.server_no_context_takeover {
        head.extend(b"; server_no_context_takeover");
    }
    if config.client_no_context_takeover {
        head.extend(b"; client_no_context_takeover");
    }
    for (name, bits) in [
        ("; server_max_window_bits=", config.server_max_window_bits),
        ("; client_max_window_bits=", config.client_max_window_bits),
    ] {
        head.extend(name.as_bytes());
        head.extend(if bits < 10 { &b""[..] } else { b"1" });
        head.push(b'0' + bits % 10);
    }
    head.extend(b"\r\n\r\n");
}

/// The limits of the handshakes here, which are not those of the connection.
fn opening() -> Arc<Config> {
    static OPENING: OnceLock<Arc<Config>> = OnceLock::new();
    OPENING.get_or_init(Arc::default).clone()
}

/// Masking keys that repeat from run to run, and never within one.
#[derive(Debug, Default)]
pub struct CountingMasks {
    drawn: u32,
}

impl MaskSource for CountingMasks {
    fn next_key(&mut self) -> MaskingKey {
        self.drawn += 1;
        // An odd factor permutes the numbers.
        MaskingKey::new(self.drawn.wrapping_mul(0x9e37_79b1).to_be_bytes())
    }
}
