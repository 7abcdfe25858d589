//! Who may connect: a cookie, a bearer token, a token as the first message, and a list of origins.
//!
//! ```text
//! cargo run --example auth --features tokio
//! ```
//!
//! It prints `open http://127.0.0.1:9021/` and a token each for alice, who is an admin, and bob.
//! The page logs in with a token and gets a cookie, connects with it, and shows what those see who
//! have none. Programs send the token itself, such as the example `ws`:
//!
//! ```text
//! $ ws ws://127.0.0.1:9021/ws -H 'Authorization: Bearer TOKEN' -x hello -w 1
//! welcome, bob
//! bob: hello
//! $ ws ws://127.0.0.1:9021/ws
//! ws: ws://127.0.0.1:9021/ws: server refused the handshake with status 401: who are you?
//! ```
//!
//! | path | who may connect | others get |
//! |---|---|---|
//! | `/ws` | a cookie or a bearer token of anybody's | 401 |
//! | `/ws/admin` | those of an admin's | 401, or 403 where it is known who asks |
//! | `/ws/first` | whose first message, within five seconds, is a token | Close 1008 |
//!
//! A browser sends cookies whatever page it is that connects, so a cookie proves nothing without a
//! policy for origins: by default pages of this server alone, and with
//! `--origin https://example.com` (repeatable) those that are listed. Others get 403 before
//! anything else is looked at. A browser cannot send an Authorization line with a WebSocket; a page
//! that has a token and no cookie sends it as the first message, and not in the URL, which ends in
//! logs.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use framewright::handshake::{
    Acceptance, Headers, OriginPolicy, PlainRequest, Response, UpgradeRequest,
};
use framewright::tokio::{Error, Incoming, Server, WebSocket};
use framewright::{CloseCode, Config, SendError};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

#[derive(Parser)]
#[command(about = "A server that lets in whom it knows.")]
struct Args {
    /// Where to listen; port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9021")]
    listen: SocketAddr,

    /// The origin of pages that may connect, in the place of this server's own. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let args = Args::parse();
    let mut config = Config::default();
    config.max_message_len = 4 << 10; // Also what those may send whom nobody knows yet.
    let mut server = Server::new().config(config);
    if !args.origin.is_empty() {
        let origins = args.origin.iter().map(String::as_str);
        server = server.origin_policy(OriginPolicy::any_of(origins)?);
    }
    let site = Arc::new(Site::new());
    let listener = TcpListener::bind(args.listen).await?;
    println!("open http://{}/", listener.local_addr()?);
    for user in &site.users {
        println!("token of {}: {}", user.name, user.token);
    }
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often too many open files: connections that end give some back.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, site) = (server.clone(), Arc::clone(&site));
        tokio::spawn(async move {
            if let Err(error) = serve(&server, &site, stream).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn serve(server: &Server, site: &Site, stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    // What breaks a rule, or comes from a page of another origin, is answered by then.
    let upgrade = match server.receive(stream).await? {
        Incoming::Upgrade(upgrade) => upgrade,
        Incoming::Plain(plain) => {
            let response = respond(site, plain.request())?;
            return plain.respond(&response).await;
        }
    };
    if upgrade.request().path() == "/ws/first" {
        let socket = upgrade.accept(Acceptance::new()).await?;
        return introduce(site, socket).await;
    }
    match site.admit(upgrade.request()) {
        Ok(user) => converse(upgrade.accept(Acceptance::new()).await?, &user.name).await,
        Err(refusal) => upgrade.reject(&refusal.response()?).await,
    }
}

/// Lets in whose first message is a token.
async fn introduce(site: &Site, mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
    let first = timeout(Duration::from_secs(5), socket.recv()).await;
    let token = match first {
        Ok(received) => received?,
        Err(_) => None,
    };
    let token = token.as_ref().and_then(|message| message.as_text());
    match token.and_then(|token| site.user_of_token(token)) {
        Some(user) => converse(socket, &user.name).await,
        None => {
            // Who has left meanwhile is not told.
            socket
                .close(CloseCode::POLICY_VIOLATION, "who are you?")
                .await?;
            Ok(())
        }
    }
}

async fn converse(mut socket: WebSocket<TcpStream>, name: &str) -> Result<(), Error> {
    socket.feed(format!("welcome, {name}")).await?;
    while let Some(message) = socket.recv().await? {
        if let Some(text) = message.as_text() {
            socket.feed(format!("{name}: {text}")).await?;
        }
    }
    Ok(())
}

// -- Who it is ------------------------------------------------------------------------------------

struct Site {
    users: Vec<User>,
    /// What cookies name.
    sessions: Mutex<HashMap<String, Session>>,
}

struct User {
    name: String,
    is_admin: bool,
    token: String,
}

struct Session {
    /// An index of `users`.
    user: usize,
    expires: Instant,
}

/// Why somebody is not let in.
enum Refusal {
    /// It is not known who asks.
    Unknown,
    /// It is known, and does not help.
    Forbidden,
    NotFound,
}

impl Site {
    /// Makes two users. A server of any use keeps hashes of tokens in a database.
    fn new() -> Self {
        let user = |name: &str, is_admin| User {
            name: name.to_owned(),
            is_admin,
            token: secret(),
        };
        Self {
            users: vec![user("alice", true), user("bob", false)],
            sessions: Mutex::default(),
        }
    }

    /// Says who asks for a WebSocket, if whoever it is may have it.
    fn admit(&self, request: &UpgradeRequest) -> Result<&User, Refusal> {
        let needs_admin = match request.path() {
            "/ws" => false,
            "/ws/admin" => true,
            _ => return Err(Refusal::NotFound),
        };
        let user = request
            .cookie("session")
            .and_then(|session| self.user_of_session(session))
            .or_else(|| self.user_of_token(bearer(request.headers())?))
            .ok_or(Refusal::Unknown)?;
        if needs_admin && !user.is_admin {
            return Err(Refusal::Forbidden);
        }
        Ok(user)
    }

    fn user_of_token(&self, token: &str) -> Option<&User> {
        self.users.iter().find(|user| is_same(&user.token, token))
    }

    fn user_of_session(&self, session: &str) -> Option<&User> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(session)?;
        let is_valid = Instant::now() < session.expires;
        is_valid.then(|| &self.users[session.user])
    }

    /// Begins a session for whoever has a token; `None` where nobody has it, or all are taken.
    fn log_in(&self, token: &str) -> Option<String> {
        let user = self
            .users
            .iter()
            .position(|user| is_same(&user.token, token))?;
        let now = Instant::now();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.expires);
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let name = secret();
        let expires = now + SESSION;
        sessions.insert(name.clone(), Session { user, expires });
        Some(name)
    }
}

impl Refusal {
    fn response(&self) -> Result<Response, SendError> {
        match self {
            // RFC 9110, section 15.5.2: a 401 says how one could do better.
            Self::Unknown => Ok(Response::new(401)?
                .header("WWW-Authenticate", "Bearer")?
                .body("who are you?\n")),
            Self::Forbidden => Ok(Response::new(403)?.body("not for you\n")),
            Self::NotFound => Ok(Response::new(404)?.body("no such page\n")),
        }
    }
}

/// Returns the token of an Authorization line.
fn bearer(headers: &Headers) -> Option<&str> {
    let value = std::str::from_utf8(headers.single("Authorization")?).ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then_some(token.trim())
}

/// Compares in a time that does not tell how much of a guess is right.
fn is_same(one: &str, other: &str) -> bool {
    let differences = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differences == 0
}

/// Returns 128 bits that nobody can guess.
fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

const MAX_SESSIONS: usize = 10_000;

const SESSION: Duration = Duration::from_secs(60 * 60);

// -- Pages ----------------------------------------------------------------------------------------

fn respond(site: &Site, request: &PlainRequest) -> Result<Response, SendError> {
    match (request.method(), request.target()) {
        ("GET" | "HEAD", "/") => Ok(Response::new(200)?
            .header("Content-Type", "text/html; charset=utf-8")?
            .body(include_str!("auth.html"))),
        ("POST", "/login") => {
            let session = bearer(request.headers()).and_then(|token| site.log_in(token));
            match session {
                // Scripts do not see the cookie, and other sites' pages do not bring it about.
                // Behind TLS, as it should be anywhere but here, it is `Secure` too.
                Some(session) => {
                    let attributes = "Path=/; HttpOnly; SameSite=Strict; Max-Age=3600";
                    Response::new(204)?
                        .header("Set-Cookie", format!("session={session}; {attributes}"))
                }
                None => Refusal::Unknown.response(),
            }
        }
        ("POST", "/logout") => {
            Response::new(204)?.header("Set-Cookie", "session=; Path=/; Max-Age=0")
        }
        _ => Refusal::NotFound.response(),
    }
}
