//! Requests and answers of HTTP/1.1, written and read by hand over a stream of tokio.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// The lines of a request that is accepted, but for its origin.
pub(crate) const UPGRADE: [&str; 6] = [
    "GET /ws HTTP/1.1",
    "Host: example.com",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// Makes a request of its lines.
pub(crate) fn request(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// The request that is accepted, with further lines.
pub(crate) fn upgrade_with(lines: &[&str]) -> Vec<u8> {
    request(&[&UPGRADE, lines].concat())
}

/// The request that is accepted, with lines in the place of those that begin alike, up to the colon
/// or the space.
pub(crate) fn upgrade_but(lines: &[&str]) -> Vec<u8> {
    fn name(line: &str) -> &str {
        line.split([':', ' ']).next().unwrap_or(line)
    }
    let replaced: Vec<_> = UPGRADE
        .iter()
        .map(|line| {
            let other = lines.iter().find(|other| name(other) == name(line));
            *other.unwrap_or(line)
        })
        .collect();
    request(&replaced)
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// All that came behind the head.
    pub(crate) rest: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        let value = values.next().map(|(_, value)| &**value);
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    fn is_whole(&self) -> bool {
        let len = self.header("content-length").map(str::parse);
        self.rest.len() >= len.unwrap_or(Ok(0)).expect("a length")
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let len = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..len]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header line");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Some(Self {
            status: status.parse().expect("a status"),
            headers: headers.collect(),
            rest: bytes[len + 4..].to_vec(),
        })
    }
}

/// Sends a request and reads its answer, and what comes with it.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> Answer {
    stream.write_all(request).await.expect("a write");
    let mut bytes = Vec::new();
    loop {
        if let Some(answer) = Answer::parse(&bytes).filter(Answer::is_whole) {
            return answer;
        }
        let len = stream.read_buf(&mut bytes).await.expect("a read");
        assert_ne!(len, 0, "no answer: {}", String::from_utf8_lossy(&bytes));
    }
}

/// Sends a request and reads all that comes until the server closes.
pub(crate) async fn ask_to_the_end(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> Answer {
    let mut answer = ask(stream, request).await;
    stream.read_to_end(&mut answer.rest).await.expect("an end");
    answer
}

/// Fails a test that hangs.
pub(crate) async fn bounded<T>(test: impl Future<Output = T>) -> T {
    let outcome = timeout(Duration::from_secs(20), test).await;
    outcome.expect("a test that does not hang")
}
