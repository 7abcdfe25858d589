//! From a server that greets to a chat in the browser, in six steps.
//!
//! Each step is a whole program on tokio, and changes little of the one before. To follow, make a
//! package and add what the programs use:
//!
//! ```text
//! cargo new chat
//! cd chat
//! cargo add framewright --features tokio
//! cargo add tokio --features macros,rt-multi-thread,net,time
//! ```
//!
//! # 1. A server that greets
//!
//! [`accept`](crate::tokio::accept) takes a stream, does the opening handshake and gives a
//! [`WebSocket`](crate::tokio::WebSocket). `recv` returns the next message, and `None` once the
//! connection has ended.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::tokio::{Error, accept};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:9001").await?;
//!     serve(listener).await
//! }
//!
//! async fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     loop {
//!         let (stream, peer) = listener.accept().await?;
//!         tokio::spawn(async move {
//!             if let Err(error) = greet(stream).await {
//!                 eprintln!("{peer}: {error}");
//!             }
//!         });
//!     }
//! }
//!
//! async fn greet(stream: TcpStream) -> Result<(), Error> {
//!     stream.set_nodelay(true)?;
//!     let mut socket = accept(stream).await?;
//!     while let Some(message) = socket.recv().await? {
//!         if let Some(name) = message.as_text() {
//!             socket.send(format!("Hello, {name}!")).await?;
//!         }
//!     }
//!     Ok(())
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     let uri = format!("ws://{}/", listener.local_addr()?);
//! #     tokio::spawn(serve(listener));
//! #     let mut socket = framewright::tokio::connect(&uri).await?;
//! #     socket.send("Ada").await?;
//! #     let answer = socket.recv().await?.unwrap();
//! #     assert_eq!(answer.as_text(), Some("Hello, Ada!"));
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! - Each connection has a task. A task that fails ends its own connection, and no other.
//! - `recv` returns text and binary messages only. Pings and the Close are answered while it waits,
//!   so a loop around `recv` is all that a connection needs to live:
//!   [`keepalive`](super::keepalive).
//! - An `Err` says that somebody broke a rule, or that the transport failed. An ordinary end is no
//!   error: [`closing`](super::closing).
//! - `set_nodelay` has the system send small messages at once. A stream that you accept is yours,
//!   and nothing here changes it.
//!
//! # 2. A client that asks
//!
//! [`connect`](crate::tokio::connect) resolves the name, connects, and does the other half of the
//! handshake. Run it beside the server.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::CloseCode;
//! use framewright::tokio::{Error, connect};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     ask("ws://127.0.0.1:9001/", "Ada").await
//! }
//!
//! async fn ask(uri: &str, name: &str) -> Result<(), Error> {
//!     let mut socket = connect(uri).await?;
//!     socket.send(name).await?;
//!     if let Some(answer) = socket.recv().await? {
//!         println!("{}", answer.as_text().unwrap_or("no text"));
//!     }
//!     let end = socket.close(CloseCode::NORMAL_CLOSURE, "").await?;
//!     println!("clean: {}, code: {}", end.is_clean(), end.code());
//!     Ok(())
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let uri = format!("ws://{}/", listener.local_addr()?);
//! #     let server = async {
//! #         let (stream, _) = listener.accept().await?;
//! #         let mut socket = framewright::tokio::accept(stream).await?;
//! #         while let Some(message) = socket.recv().await? {
//! #             assert_eq!(message.as_text(), Some("Ada"));
//! #             socket.send("Hello, Ada!").await?;
//! #         }
//! #         assert!(socket.end().unwrap().is_clean());
//! #         Ok::<_, Error>(())
//! #     };
//! #     let (asked, served) = tokio::join!(ask(&uri, "Ada"), server);
//! #     asked?;
//! #     served?;
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! It prints `Hello, Ada!` and `clean: true, code: 1000`. `close` sends a Close, waits for the
//! server's, and returns an [`End`](crate::End): a connection that is dropped without it shows 1006
//! to the other side.
//!
//! # 3. A server that speaks on its own
//!
//! Every future of a WebSocket may be dropped at any await, so `select!` waits for a message and
//! for a clock at once. From here on a step shows what it changes in the first one: here it is
//! `greet`, which is now `tick`.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::tokio::{Error, accept};
//! use std::time::Duration;
//! use tokio::net::TcpStream;
//! use tokio::time::interval;
//!
//! async fn tick(stream: TcpStream) -> Result<(), Error> {
//!     stream.set_nodelay(true)?;
//!     let mut socket = accept(stream).await?;
//!     let mut seconds = interval(Duration::from_secs(1));
//!     let mut count = 0;
//!     loop {
//!         tokio::select! {
//!             message = socket.recv() => match message? {
//!                 Some(_) => count = 0,
//!                 None => return Ok(()),
//!             },
//!             _ = seconds.tick() => {
//!                 count += 1;
//!                 socket.send(count.to_string()).await?;
//!             }
//!         }
//!     }
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let uri = format!("ws://{}/", listener.local_addr()?);
//! #     tokio::spawn(async move { tick(listener.accept().await?.0).await });
//! #     let mut socket = framewright::tokio::connect(&uri).await?;
//! #     assert_eq!(socket.recv().await?.unwrap().as_text(), Some("1"));
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! While `send` waits for a peer that does not read, this task does not receive. That is as it
//! should be for a clock; [`backpressure`](super::backpressure) has other ways.
//!
//! # 4. A page on the same port
//!
//! A browser first asks for a page. [`Server::receive`](crate::tokio::Server) hands out the request
//! before it is answered: one for a WebSocket, or any other.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::handshake::{Acceptance, Response};
//! use framewright::tokio::{Error, Incoming, Server, WebSocket};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:9001").await?;
//!     println!("open http://127.0.0.1:9001/");
//!     serve(listener).await
//! }
//!
//! async fn serve(listener: TcpListener) -> std::io::Result<()> {
//!     let server = Server::new();
//!     loop {
//!         let (stream, peer) = listener.accept().await?;
//!         let server = server.clone();
//!         tokio::spawn(async move {
//!             if let Err(error) = attend(server, stream).await {
//!                 eprintln!("{peer}: {error}");
//!             }
//!         });
//!     }
//! }
//!
//! async fn attend(server: Server, stream: TcpStream) -> Result<(), Error> {
//!     stream.set_nodelay(true)?;
//!     match server.receive(stream).await? {
//!         Incoming::Upgrade(upgrade) => greet(upgrade.accept(Acceptance::new()).await?).await,
//!         Incoming::Plain(plain) => {
//!             let page = Response::new(200)?
//!                 .header("Content-Type", "text/html; charset=utf-8")?
//!                 .body(PAGE);
//!             plain.respond(&page).await
//!         }
//!     }
//! }
//!
//! async fn greet(mut socket: WebSocket<TcpStream>) -> Result<(), Error> {
//!     while let Some(message) = socket.recv().await? {
//!         if let Some(name) = message.as_text() {
//!             socket.send(format!("Hello, {name}!")).await?;
//!         }
//!     }
//!     Ok(())
//! }
//!
//! const PAGE: &str = r#"<!doctype html>
//! <form><input id="text" autofocus></form>
//! <pre id="log"></pre>
//! <script>
//!     const socket = new WebSocket(`ws://${location.host}/`);
//!     // As text and never as HTML: what others say is not to be run.
//!     const show = (text) => log.append(text + "\n");
//!     socket.onmessage = (event) => show(event.data);
//!     socket.onclose = (event) => show(`closed: ${event.code} ${event.reason}`);
//!     document.forms[0].onsubmit = (event) => {
//!         event.preventDefault();
//!         socket.send(text.value);
//!         text.value = "";
//!     };
//! </script>"#;
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     let address = listener.local_addr()?;
//! #     tokio::spawn(serve(listener));
//! #     let mut browser = TcpStream::connect(address).await?;
//! #     browser.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
//! #     let mut answer = String::new();
//! #     browser.read_to_string(&mut answer).await?;
//! #     assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with(PAGE), "{answer}");
//! #     let mut socket = framewright::tokio::connect(&format!("ws://{address}/")).await?;
//! #     socket.send("Ada").await?;
//! #     let answer = socket.recv().await?.unwrap();
//! #     assert_eq!(answer.as_text(), Some("Hello, Ada!"));
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! Open it and type a name. A page of another server could not connect: a request whose `Origin` is
//! not the server's own is answered with 403, unless the
//! [`OriginPolicy`](crate::handshake::OriginPolicy) says otherwise. Why is in
//! [`authentication`](super::authentication).
//!
//! # 5. Everybody hears
//!
//! A connection that is [split](crate::tokio::WebSocket::split) has a reader and a writer, for two
//! tasks. [`Broadcast`](crate::tokio::Broadcast) keeps the writers. It queues a message with each,
//! and waits for none; the tasks that receive write it. In the fourth step `serve` makes the room,
//! `attend` passes a clone of it on, and `chat` takes the place of `greet`:
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::PreparedMessage;
//! use framewright::tokio::{Broadcast, Error, WebSocket};
//! use tokio::net::TcpStream;
//!
//! async fn chat(
//!     socket: WebSocket<TcpStream>,
//!     room: Broadcast<TcpStream>, // Broadcast::new(), once
//! ) -> Result<(), Error> {
//!     let (mut reader, writer) = socket.split();
//!     let _membership = room.join(writer); // Dropped, it takes the connection out.
//!     while let Some(message) = reader.recv().await? {
//!         room.send(&PreparedMessage::try_from(message)?);
//!     }
//!     Ok(())
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let uri = format!("ws://{}/", listener.local_addr()?);
//! #     tokio::spawn(async move {
//! #         let room = Broadcast::new();
//! #         while let Ok((stream, _)) = listener.accept().await {
//! #             let room = room.clone();
//! #             tokio::spawn(async move {
//! #                 chat(framewright::tokio::accept(stream).await?, room).await
//! #             });
//! #         }
//! #     });
//! #     let mut ada = framewright::tokio::connect(&uri).await?;
//! #     let mut bob = framewright::tokio::connect(&uri).await?;
//! #     // Whoever hears himself is in the room.
//! #     bob.send("here").await?;
//! #     assert_eq!(bob.recv().await?.unwrap().as_text(), Some("here"));
//! #     ada.send("Hello").await?;
//! #     assert_eq!(bob.recv().await?.unwrap().as_text(), Some("Hello"));
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! A message is encoded once for all of them. Somebody who reads too slowly is sent away with code
//! 1013 once more than 128 KiB wait for them, so a room cannot be held up, nor fill the memory.
//!
//! # 6. A chat
//!
//! The first message is a name; others are told who comes and goes; nobody sends a message that is
//! longer than a chat needs. Only the handler and the server's settings change.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # mod program {
//! use framewright::tokio::{Broadcast, Error, Reader, Server, WebSocket};
//! use framewright::{CloseCode, Config, PreparedMessage};
//! use tokio::net::TcpStream;
//!
//! fn server() -> Server {
//!     let mut config = Config::default();
//!     config.max_message_len = 4 * 1024; // Longer ones are refused with 1009.
//!     Server::new().config(config)
//! }
//!
//! async fn chat(
//!     mut socket: WebSocket<TcpStream>,
//!     room: Broadcast<TcpStream>,
//! ) -> Result<(), Error> {
//!     let Some(first) = socket.recv().await? else {
//!         return Ok(());
//!     };
//!     let name = first.as_text().unwrap_or_default().trim().to_owned();
//!     if !(1..=20).contains(&name.chars().count()) {
//!         let reason = "a name has 1 to 20 characters";
//!         socket.close(CloseCode::POLICY_VIOLATION, reason).await?;
//!         return Ok(());
//!     }
//!     let (mut reader, writer) = socket.split();
//!     let membership = room.join(writer);
//!     say(&room, format!("{name} is here"));
//!     let outcome = converse(&mut reader, &name, &room).await;
//!     drop(membership);
//!     say(&room, format!("{name} has left"));
//!     outcome
//! }
//!
//! async fn converse(
//!     reader: &mut Reader<TcpStream>,
//!     name: &str,
//!     room: &Broadcast<TcpStream>,
//! ) -> Result<(), Error> {
//!     while let Some(message) = reader.recv().await? {
//!         if let Some(text) = message.as_text() {
//!             say(room, format!("{name}: {text}"));
//!         }
//!     }
//!     Ok(())
//! }
//!
//! fn say(room: &Broadcast<TcpStream>, text: String) {
//!     room.send(&PreparedMessage::text(text));
//! }
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # pub async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let uri = format!("ws://{}/", listener.local_addr()?);
//! #     tokio::spawn(async move {
//! #         let room = Broadcast::new();
//! #         while let Ok((stream, _)) = listener.accept().await {
//! #             let room = room.clone();
//! #             tokio::spawn(async move { chat(server().accept(stream).await?, room).await });
//! #         }
//! #     });
//! #     let mut ada = framewright::tokio::connect(&uri).await?;
//! #     ada.send("Ada").await?;
//! #     assert_eq!(ada.recv().await?.unwrap().as_text(), Some("Ada is here"));
//! #     let mut bob = framewright::tokio::connect(&uri).await?;
//! #     bob.send("Bob").await?;
//! #     assert_eq!(bob.recv().await?.unwrap().as_text(), Some("Bob is here"));
//! #     assert_eq!(ada.recv().await?.unwrap().as_text(), Some("Bob is here"));
//! #     bob.send("hi").await?;
//! #     assert_eq!(ada.recv().await?.unwrap().as_text(), Some("Bob: hi"));
//! #     bob.close(CloseCode::NORMAL_CLOSURE, "").await?;
//! #     assert_eq!(ada.recv().await?.unwrap().as_text(), Some("Bob has left"));
//! #     let mut nobody = framewright::tokio::connect(&uri).await?;
//! #     nobody.send(" ").await?;
//! #     assert!(nobody.recv().await?.is_none());
//! #     assert_eq!(nobody.end().map(|end| end.code()), Some(1008));
//! #     Ok(())
//! # }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     #[cfg(feature = "tokio")]
//! #     program::run()?;
//! #     Ok(())
//! # }
//! ```
//!
//! `outcome` is looked at last, so that somebody whose connection fails is missed, too. The example
//! `chat` goes on from here: rooms, private messages, a history, limits on how much one may say, a
//! page that comes back by itself, and a Ctrl-C that closes every connection with 1001.
