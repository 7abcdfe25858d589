//! The clients: each lives for a while, compares every echo, and dies in one way or another.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use framewright::handshake::{ClientRequest, DeflateConfig};
use framewright::tokio::{Client, Error, WebSocket};
use framewright::{CloseCode, Message, MessageKind};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::dice::Dice;
use crate::tally::Tally;

/// All clients.
#[derive(Debug)]
pub(crate) struct Crowd {
    address: SocketAddr,
    seed: u64,
    pub(crate) tally: Tally,
    /// How many may open a connection at a time: a listener's queue is short.
    openings: Semaphore,
    is_over: AtomicBool,
}

/// What a client is like.
#[derive(Debug, Clone)]
struct Character {
    deflate: Option<DeflateConfig>,
    reads_slowly: bool,
    lives_until: Instant,
    death: Death,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Close,
    /// Its connection is reset, with echoes on their way.
    Reset,
    /// It is dropped, with echoes on their way.
    Vanish,
}

impl Crowd {
    pub(crate) fn new(address: SocketAddr, seed: u64) -> Self {
        Self {
            address,
            seed,
            tally: Tally::default(),
            openings: Semaphore::new(100),
            is_over: AtomicBool::new(false),
        }
    }

    /// Opens so many connections, and keeps as many open from then on.
    pub(crate) async fn open(self: &Arc<Self>, count: usize) -> Vec<JoinHandle<()>> {
        let tasks = (0..count)
            .map(|number| {
                let crowd = Arc::clone(self);
                let dice = Dice::new(self.seed << 32 ^ number as u64);
                tokio::spawn(async move { crowd.keep(number, dice).await })
            })
            .collect();
        while self.tally.opened.get() < count as u64 && self.tally.faults().is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
        tasks
    }

    /// Lets every client close, and no other take its place.
    pub(crate) fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// One client after the other.
    async fn keep(&self, number: usize, mut dice: Dice) {
        while !self.is_over() {
            let character = Character::new(number, &mut dice);
            let Some(socket) = self.connect(&character).await else {
                // It is noted; what cannot connect does not try at full speed.
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            self.tally.open.add(1);
            self.tally.opened.add(1);
            if let Err(fault) = self.live(socket, &character, &mut dice).await {
                self.tally
                    .note_fault(format!("client {number}: {fault}, {character:?}"));
            }
            self.tally.open.take(1);
        }
    }

    async fn connect(&self, character: &Character) -> Option<WebSocket<TcpStream>> {
        let permit = self.openings.acquire().await;
        let connected = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let mut request = ClientRequest::new("ws://localhost/")?;
            if let Some(config) = &character.deflate {
                request = request.deflate(config.clone());
            }
            let (socket, _) = Client::new(request).handshake(stream).await?;
            Ok::<_, Error>(socket)
        };
        let connected = connected.await;
        drop(permit);
        match connected {
            Ok(socket) => Some(socket),
            Err(error) => {
                self.tally.note_fault(format!("no connection: {error}"));
                None
            }
        }
    }

    async fn live(
        &self,
        mut socket: WebSocket<TcpStream>,
        character: &Character,
        dice: &mut Dice,
    ) -> Result<(), String> {
        if socket.connection().is_compressing() != character.deflate.is_some() {
            return Err("compression is not what was asked for".to_owned());
        }
        loop {
            let mut sent = VecDeque::new();
            let talking = talk(&mut socket, dice, &mut sent);
            within_patience(talking, "sending").await?;
            if Instant::now() >= character.lives_until && !self.is_over() {
                match character.death {
                    Death::Close => {}
                    Death::Reset => {
                        // The kernel sends a reset where nothing may linger.
                        let stream = socket.stream();
                        rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))
                            .map_err(|error| error.to_string())?;
                        self.tally.resets.add(1);
                        return Ok(());
                    }
                    Death::Vanish => {
                        self.tally.vanished.add(1);
                        return Ok(());
                    }
                }
            }
            while let Some(expected) = sent.pop_front() {
                if character.reads_slowly && dice.one_in(4) {
                    sleep(Duration::from_millis(dice.roll(1500) as u64)).await;
                }
                match within_patience(socket.recv(), "an echo").await? {
                    Some(echo) if echo == expected => {
                        self.tally.echoes.add(1);
                        self.tally.bytes.add(echo.payload().len() as u64);
                    }
                    Some(echo) => return Err(differs(&expected, &echo)),
                    None => return Err(format!("an echo is lost: {:?}", socket.end())),
                }
            }
            if Instant::now() >= character.lives_until || self.is_over() {
                let closing = socket.close(CloseCode::NORMAL_CLOSURE, "enough");
                let end = within_patience(closing, "closing").await?;
                self.tally.closes.add(1);
                return match end.is_clean() {
                    true => Ok(()),
                    false => Err(format!("a close is not clean: {end:?}")),
                };
            }
            sleep(Duration::from_millis(dice.roll(6000) as u64)).await;
        }
    }
}

impl Character {
    fn new(number: usize, dice: &mut Dice) -> Self {
        let mut deflate = (number.is_multiple_of(4)).then(DeflateConfig::default);
        if let Some(config) = &mut deflate {
            config.min_len = 0;
            // A window for each direction of each connection is a lot of memory, for some.
            let keeps_window = number.is_multiple_of(16);
            config.server_no_context_takeover = !keeps_window;
            config.client_no_context_takeover = !keeps_window;
            config.server_max_window_bits = 9;
            config.client_max_window_bits = 9;
        }
        let seconds = dice.roll(180) as u64;
        Self {
            deflate,
            reads_slowly: number % 10 == 1,
            lives_until: Instant::now() + Duration::from_secs(seconds),
            death: match dice.roll(3) {
                0 => Death::Close,
                1 => Death::Reset,
                _ => Death::Vanish,
            },
        }
    }
}

/// Sends a burst of short messages or a long one, and notes what is to come back.
///
/// What is on its way fits in the buffers of the two sockets, so that nobody waits for a peer that
/// waits for him.
async fn talk(
    socket: &mut WebSocket<TcpStream>,
    dice: &mut Dice,
    sent: &mut VecDeque<Message>,
) -> Result<(), Error> {
    let (count, longest) = match dice.roll(20) {
        0 => (1, 300_000),
        1..=4 => (1 + dice.roll(4), 10_000),
        _ => (1 + dice.roll(20), 300),
    };
    for _ in 0..count {
        let message = compose(dice, longest);
        if dice.one_in(10) {
            send_fragments(socket, &message, dice).await?;
        } else {
            socket.feed(message.clone()).await?;
        }
        sent.push_back(message);
        if dice.one_in(20) {
            socket.send_ping(&[7; 20]).await?;
        }
    }
    socket.flush().await
}

async fn send_fragments(
    socket: &mut WebSocket<TcpStream>,
    message: &Message,
    dice: &mut Dice,
) -> Result<(), Error> {
    let kind = match message.is_text() {
        true => MessageKind::Text,
        false => MessageKind::Binary,
    };
    let mut rest = message.payload();
    loop {
        let (fragment, later) = rest.split_at(dice.roll(rest.len() + 1));
        let fin = later.is_empty();
        socket.feed_fragment(kind, fragment, fin).await?;
        if fin {
            return Ok(());
        }
        rest = later;
    }
}

/// Makes a message that no other is like.
fn compose(dice: &mut Dice, longest: usize) -> Message {
    let len = dice.roll(longest + 1);
    if dice.one_in(2) {
        let mut text = format!("{:x} ", dice.next());
        while text.len() < len {
            // It can be compressed, and is not ASCII.
            text.push_str(["price ", "größe ", "世界 ", "🌍 "][dice.roll(4)]);
        }
        Message::from(text)
    } else {
        let words = (0..len.div_ceil(8)).flat_map(|_| dice.next().to_be_bytes());
        Message::from(words.collect::<Vec<u8>>())
    }
}

/// What takes longer than anything should is lost.
async fn within_patience<T>(
    operation: impl Future<Output = Result<T, Error>>,
    what: &str,
) -> Result<T, String> {
    match timeout(Duration::from_secs(120), operation).await {
        Ok(outcome) => outcome.map_err(|error| format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: nothing for two minutes")),
    }
}

fn differs(expected: &Message, echo: &Message) -> String {
    let (one, other) = (expected.payload(), echo.payload());
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    format!(
        "an echo of {} bytes is one of {}, and differs from byte {at:?} on",
        one.len(),
        other.len()
    )
}
