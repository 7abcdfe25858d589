//! Who may connect.
//!
//! A WebSocket begins as an HTTP request, so who asks can be known before there is a connection,
//! and refused with a status that clients, proxies and logs understand. What cannot be in a
//! request, the first message can say.
//!
//! # What a client can send
//!
//! | | a browser's page | a program |
//! |---|---|---|
//! | `Cookie` | yes, by itself, and whatever page it is that connects | yes |
//! | `Authorization` and any other header | no | yes: [`ClientRequest::header`](crate::handshake::ClientRequest::header) |
//! | the URI's query | yes | yes |
//! | `Sec-WebSocket-Protocol` | yes, but it is for subprotocols | yes |
//! | the first message | yes | yes |
//! | `Origin` | always, and no page can change it | as it likes |
//!
//! # Origins
//!
//! The first row of that table is why there is an [`OriginPolicy`](crate::handshake::OriginPolicy).
//! A page of any site can open a WebSocket to yours, and the browser sends your cookies along.
//! There is no preflight and no CORS. A server that looks at the cookie alone gives that page the
//! user's session: cross-site WebSocket hijacking.
//!
//! All servers here accept, by default, pages of their own host and port, and programs, which send
//! no `Origin`. Others are answered with 403 before anything else is looked at.
//!
//! ```
//! use framewright::handshake::OriginPolicy;
//!
//! // The pages are on another host than the socket.
//! let policy = OriginPolicy::any_of(["https://example.com", "https://staging.example.com"])?;
//! # Ok::<(), framewright::SendError>(())
//! ```
//!
//! - Origins are compared whole: scheme, host and port. There are no wildcards and no suffixes,
//!   because `https://example.com.evil.net` ends in what somebody else chose.
//! - [`OriginPolicy::Any`](crate::handshake::OriginPolicy::Any) is right where no cookie counts and
//!   the network proves nothing, such as a public feed.
//! - A server on `localhost` needs a policy, too: any page that its user visits can reach it.
//! - An origin says which page asks, and nothing of who sits before it. It takes the place of no
//!   password: a program writes any `Origin` it likes.
//!
//! # At the handshake: a cookie or a bearer token
//!
//! Best where it can be had. [`Server::receive`](crate::tokio::Server) gives you the request;
//! whoever is not known gets 401, and whoever is known and may not, 403.
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # mod server {
//! use framewright::handshake::{Acceptance, Response, UpgradeRequest};
//! use framewright::tokio::{Error, Incoming, Server, WebSocket};
//! use tokio::io::{AsyncRead, AsyncWrite};
//!
//! async fn admit<S>(server: &Server, stream: S) -> Result<Option<WebSocket<S>>, Error>
//! where
//!     S: AsyncRead + AsyncWrite + Unpin,
//! {
//!     match server.receive(stream).await? {
//!         Incoming::Upgrade(upgrade) => match user(upgrade.request()) {
//!             Some(_name) => Ok(Some(upgrade.accept(Acceptance::new()).await?)),
//!             None => {
//!                 let refusal = Response::new(401)?
//!                     .header("WWW-Authenticate", "Bearer")?
//!                     .body("who are you?\n");
//!                 upgrade.reject(&refusal).await?;
//!                 Ok(None)
//!             }
//!         },
//!         Incoming::Plain(plain) => {
//!             plain.respond(&Response::new(404)?).await?;
//!             Ok(None)
//!         }
//!     }
//! }
//!
//! /// Says who asks, by a session's cookie or a bearer token.
//! fn user(request: &UpgradeRequest) -> Option<&'static str> {
//!     let session = request.cookie("session").and_then(user_of_session);
//!     session.or_else(|| {
//!         let line = request.headers().single("Authorization")?;
//!         let (scheme, token) = std::str::from_utf8(line).ok()?.split_once(' ')?;
//!         let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
//!         user_of_token(token.trim()).filter(|_| is_bearer)
//!     })
//! }
//! # fn user_of_session(session: &str) -> Option<&'static str> {
//! #     (session == "s3cret").then_some("Ada")
//! # }
//! # fn user_of_token(token: &str) -> Option<&'static str> {
//! #     (token == "t0ken").then_some("Bob")
//! # }
//! #
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     use framewright::handshake::ClientRequest;
//! #     use framewright::test_util::{Wire, stream_pair};
//! #     let cases = [
//! #         ("Cookie", "theme=dark; session=s3cret", true),
//! #         ("Authorization", "bearer t0ken", true),
//! #         ("Authorization", "Basic t0ken", false),
//! #         ("Cookie", "session=guess", false),
//! #     ];
//! #     for (name, value, is_admitted) in cases {
//! #         let request = ClientRequest::new("ws://localhost/")?.header(name, value)?;
//! #         let client = framewright::tokio::Client::new(request);
//! #         let (here, there) = stream_pair(Wire::new(), Wire::new());
//! #         let server = Server::new();
//! #         let (asked, admitted) = tokio::join!(client.handshake(here), admit(&server, there));
//! #         assert_eq!(admitted?.is_some(), is_admitted, "{value}");
//! #         if let Err(error) = asked {
//! #             assert!(!is_admitted, "{error}");
//! #             assert!(error.to_string().contains("401"), "{error}");
//! #         }
//! #     }
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(all(feature = "tokio", feature = "test-util"))]
//! #     server::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! - A cookie needs the origin policy, and should be `Secure`, `HttpOnly` and `SameSite=Strict` or
//!   `Lax`. `SameSite` alone does not do: pages of a sibling host, such as `blog.example.com`, are
//!   of the same site.
//! - Compare secrets in a time that does not tell how much of a guess is right, and keep hashes of
//!   them.
//! - A refused client has the answer: [`HandshakeError::Refused`](crate::HandshakeError::Refused)
//!   with status, headers and the beginning of the body. A page's script sees only that it failed,
//!   with code 1006: no browser tells it the status.
//! - Behind hyper and axum the request is that of the framework, whose middleware has run by then;
//!   [`WebSocketUpgrade::request`](crate::axum::WebSocketUpgrade::request) has the same accessors.
//!
//! # After the handshake: a token as the first message
//!
//! For a page that has a token and no cookie. Accept, and let nobody do anything before a token has
//! come, within a time of your own: the keepalive does not end a connection whose browser answers
//! Pings and whose page says nothing.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # mod server {
//! # use framewright::CloseCode;
//! # use framewright::tokio::{Error, WebSocket};
//! # use std::time::Duration;
//! # use tokio::net::TcpStream;
//! # use tokio::time::timeout;
//! # fn user_of_token(_: &str) -> Option<&'static str> { None }
//! # async fn converse(_: WebSocket<TcpStream>, _: &str) -> Result<(), Error> { Ok(()) }
//! async fn introduce(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
//!     let first = match timeout(Duration::from_secs(5), socket.recv()).await {
//!         Ok(received) => received?,
//!         Err(_) => None,
//!     };
//!     let user = first.as_ref().and_then(|message| user_of_token(message.as_text()?));
//!     match user {
//!         Some(name) => converse(socket, name).await,
//!         None => {
//!             socket.close(CloseCode::POLICY_VIOLATION, "who are you?").await?;
//!             Ok(())
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! Give connections of strangers a small [`max_message_len`](crate::Config::max_message_len), and
//! count them.
//!
//! # Tickets
//!
//! A ticket is for a page whose token must not be in a message either, or where the server that
//! checks tokens is another. The page asks for it over HTTPS, with its cookie or token; the answer
//! is a random value that is good once and for half a minute, and the page connects with it in the
//! query:
//!
//! ```
//! use framewright::handshake::UpgradeRequest;
//!
//! /// Returns the ticket of a request such as `/ws?ticket=0f3a`.
//! fn ticket(request: &UpgradeRequest) -> Option<&str> {
//!     let mut pairs = request.query()?.split('&');
//!     pairs.find_map(|pair| pair.strip_prefix("ticket="))
//! }
//! ```
//!
//! Take it out of the store when it is used, not after. A URI ends in the logs of every proxy, in
//! histories and in error reports: a ticket that is used is worth nothing there. A token that lives
//! longer has no place in a URI. Nor has it in `Sec-WebSocket-Protocol`: it is not a name of a
//! protocol, browsers want the answer to repeat it, and logs have that, too.
//!
//! # Afterwards
//!
//! A connection outlives what it was opened with. Where a session ends, or a right is taken away,
//! close what it opened: keep the writers by user, and send Close 1008, or a code of 4000 and above
//! that tells the page to ask for a login. `wss:` is for everybody: without TLS all of this is
//! read, and changed, on the way.
//!
//! `examples/auth.rs` is a whole server with each of these, and a page.
