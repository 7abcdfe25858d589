//! Peers that vanish, and proxies that drop what is silent.
//!
//! TCP does not tell when a peer is gone: a laptop that is shut, a cable that is pulled, a router
//! that forgot. Unless somebody sends, the connection stays open for hours. A Ping is what is sent
//! when there is nothing to say.
//!
//! # What is on by default
//!
//! | setting of [`Config`](crate::Config) | default | what it does |
//! |---|---|---|
//! | `ping_interval` | 20 s | after so long without a byte received, a Ping is sent; and so on at the same pace |
//! | `pong_timeout` | 20 s | so long after a Ping that no byte has followed, Close 1011 and the end: [`KeepaliveTimeout`](crate::EndCause::KeepaliveTimeout) |
//! | `idle_timeout` | none | after so long without a message either way, Close 1001: [`IdleTimeout`](crate::EndCause::IdleTimeout) |
//!
//! So a peer that vanishes is missed after 40 s; its transport is dropped at most
//! [`close_timeout`](crate::Config::close_timeout) later. `None` turns a setting off.
//!
//! - **Any byte is life**, not a Pong alone: a peer in the middle of a long message is not dead. A
//!   write that waited and goes on is a sign of life, too.
//! - **Pings cost nothing while there is traffic**: the interval counts from the last byte
//!   received.
//! - **Both ends do it.** A server that speaks to browsers needs it on its own side: a page cannot
//!   send a Ping, though the browser answers one.
//! - **Pings are not messages.** They do not hold off `idle_timeout`.
//! - An interval that is shorter than the patience does not prolong it: the first unanswered Ping
//!   counts.
//!
//! # Somebody must receive
//!
//! Pings are sent and answered, and deadlines kept, by whoever waits in `recv`. A connection that
//! nobody receives from is as dead as one that is unplugged, and the peer will drop it. This is the
//! most common mistake:
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! # mod server {
//! # use framewright::tokio::{Error, WebSocket};
//! # use std::time::Duration;
//! # use tokio::net::TcpStream;
//! // Wrong: nobody receives. Pings go unanswered, and the peer's Close unseen.
//! async fn push_only(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
//!     loop {
//!         tokio::time::sleep(Duration::from_secs(1)).await;
//!         socket.send("tick").await?;
//!     }
//! }
//!
//! // Right: it receives while it waits, also where no message is expected.
//! async fn push(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
//!     let mut seconds = tokio::time::interval(Duration::from_secs(1));
//!     loop {
//!         tokio::select! {
//!             message = socket.recv() => match message? {
//!                 Some(_) => {}
//!                 None => return Ok(()),
//!             },
//!             _ = seconds.tick() => socket.send("tick").await?,
//!         }
//!     }
//! }
//! # }
//! ```
//!
//! A blocking adapter needs a stream with timeouts to wake for a deadline: `TcpStream` and
//! `UnixStream` have them, [`Plain`](crate::blocking::Plain) has none.
//!
//! # To see it
//!
//! ```
//! # #[cfg(all(feature = "tokio", feature = "test-util"))]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use framewright::test_util::{Wire, stream_pair};
//! use framewright::tokio::Server;
//! use framewright::{Config, EndCause};
//! use std::time::Duration;
//! # use framewright::handshake::ClientRequest;
//! # use framewright::tokio::Client;
//!
//! let mut config = Config::default();
//! config.ping_interval = Some(Duration::from_secs(5));
//! config.pong_timeout = Some(Duration::from_secs(3));
//! let server = Server::new().config(config);
//! let (here, there) = stream_pair(Wire::new(), Wire::new());
//! # let client = Client::new(ClientRequest::new("ws://localhost/")?);
//! # let (client, server) = tokio::join!(client.handshake(here), server.accept(there));
//! # let ((client, _), mut server) = (client?, server?);
//!
//! // The client is there, but nobody receives from it.
//! let start = tokio::time::Instant::now();
//! assert!(server.recv().await?.is_none());
//! assert_eq!(server.end().map(|end| end.cause), Some(EndCause::KeepaliveTimeout));
//! assert!(start.elapsed() >= Duration::from_secs(8));
//! # drop(client);
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "tokio", feature = "test-util")))]
//! # fn main() {}
//! ```
//!
//! [`round_trip_time`](crate::Connection::round_trip_time) is what the latest answered keepalive
//! Ping measured. `send_ping` sends one of your own; [`recv_event`](crate::tokio::WebSocket)
//! delivers its Pong, and [`is_keepalive_pong`](crate::Connection::is_keepalive_pong) tells it from
//! the others.
//!
//! # Proxies
//!
//! A reverse proxy passes the upgrade on only if it is told to, and closes a tunnel in which
//! nothing passes for a while. Keep `ping_interval` below the shortest such time on the way, best
//! below half of it.
//!
//! | proxy | setting | default |
//! |---|---|---|
//! | nginx | `proxy_read_timeout` | 60 s |
//! | HAProxy | `timeout tunnel`; without it `timeout client` and `timeout server` | none of them is set |
//! | Apache httpd | `Timeout`, or `ProxyTimeout` if that is longer | 60 s |
//! | Caddy | none: a connection may be silent | |
//!
//! A byte in either direction begins the time anew, so either end may ping, and 20 s serve all of
//! them well. The defaults of a load balancer in a cloud are in its manual; 60 s is common.
//!
//! nginx, inside `http`:
//!
//! ```text
//! map $http_upgrade $connection_upgrade {
//!     default upgrade;
//!     ''      close;
//! }
//! server {
//!     listen 80;
//!     location /ws {
//!         proxy_pass http://127.0.0.1:9001;
//!         proxy_http_version 1.1;
//!         proxy_set_header Upgrade $http_upgrade;
//!         proxy_set_header Connection $connection_upgrade;
//!         proxy_set_header Host $http_host;
//!         proxy_read_timeout 60s;
//!     }
//! }
//! ```
//!
//! HAProxy, which passes the upgrade on by itself:
//!
//! ```text
//! defaults
//!     mode http
//!     timeout connect 5s
//!     timeout client 30s
//!     timeout server 30s
//!     timeout tunnel 60s
//! frontend web
//!     bind :80
//!     default_backend chat
//! backend chat
//!     server one 127.0.0.1:9001
//! ```
//!
//! Both were run, nginx 1.22 and HAProxy 2.6: with three seconds in the place of sixty, a
//! connection whose server pings every second stayed, and one without Pings was dropped after
//! three. With TLS and a page beside it, and for Apache httpd and Caddy too, they are in
//! `examples/proxy` of the repository.
//!
//! - **Host must be the browser's.** The default [`OriginPolicy`](crate::handshake::OriginPolicy)
//!   compares the page's origin with it, and nginx sends `Host: 127.0.0.1:9001` unless it is told
//!   otherwise: every page gets 403 then. `$http_host` keeps the port, `$host` drops it. Where the
//!   header cannot be passed on, name the origins with
//!   [`OriginPolicy::any_of`](crate::handshake::OriginPolicy::any_of).
//! - **A health check** is a plain request. `accept` answers it with 426; `Server::receive` hands
//!   it to you ([`PlainExchange`](crate::tokio::PlainExchange)), to be answered with 200 on the
//!   same port.
//! - **The peer's address is the proxy's.** Who it was is in `Forwarded` or `X-Forwarded-For`, in
//!   [`UpgradeRequest::headers`](crate::handshake::UpgradeRequest::headers). Believe it only if the
//!   proxy sets it and nobody else reaches the server.
//! - **Buffering is no matter** once the tunnel stands; compression by the proxy neither, as it
//!   does not look inside.
//! - **A proxy on the client's side** is [`Proxy`](crate::handshake::Proxy), for HTTP `CONNECT`.
