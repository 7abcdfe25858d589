//! A client of raw sockets, as light as can be: no WebSocket library, no task, no buffer.
//!
//! It knows one request and one kind of message, and compares what comes back byte for byte.
//!
//! RFC 6455, sections 4.1 and 5.2.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::Duration;

use crate::servers::Protocol;

/// A connection that is exchanging nothing unless it is told to.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    protocol: Protocol,
    /// What makes its messages differ from those of others.
    number: u32,
}

impl Client {
    /// Opens connections with these numbers, and asks for the upgrade on each.
    ///
    /// They take every step together, so that many handshakes are under way at once; and there are
    /// never more of them than the backlog of a listener takes.
    pub(crate) fn open(
        server: SocketAddr,
        protocol: Protocol,
        numbers: Range<u32>,
    ) -> Result<Vec<Self>, Box<dyn Error>> {
        let mut clients = Vec::new();
        for start in numbers.clone().step_by(BATCH) {
            let batch = start..numbers.end.min(start + BATCH as u32);
            let batch = batch.map(|number| Self::connect(server, protocol, number));
            let mut batch: Vec<_> = batch.collect::<Result<_, _>>()?;
            batch.iter_mut().try_for_each(Self::send_request)?;
            batch.iter_mut().try_for_each(Self::receive_response)?;
            clients.append(&mut batch);
        }
        Ok(clients)
    }

    fn connect(
        server: SocketAddr,
        protocol: Protocol,
        number: u32,
    ) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            protocol,
            number,
        })
    }

    /// Asks for the upgrade, if the protocol has one.
    fn send_request(&mut self) -> Result<(), Box<dyn Error>> {
        if self.protocol == Protocol::WebSocket {
            self.stream.write_all(REQUEST.as_bytes())?;
        }
        Ok(())
    }

    /// Waits for the upgrade that was asked for.
    fn receive_response(&mut self) -> Result<(), Box<dyn Error>> {
        if self.protocol == Protocol::Bytes {
            return Ok(());
        }
        let mut head = Vec::new();
        let mut room = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            let len = self.stream.read(&mut room)?;
            if len == 0 {
                return Err("the server closed during the opening handshake".into());
            }
            head.extend_from_slice(&room[..len]);
        }
        let head = String::from_utf8_lossy(&head);
        if head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPT) {
            Ok(())
        } else {
            Err(format!("the server refused the opening handshake: {head}").into())
        }
    }

    /// Sends a binary message of `len` bytes.
    pub(crate) fn send_message(&mut self, len: usize) -> Result<(), Box<dyn Error>> {
        Ok(self.stream.write_all(&self.message(len))?)
    }

    /// Sends a message of `len` bytes, and compares its echo, which may begin before the end.
    pub(crate) fn exchange(&mut self, len: usize) -> Result<(), Box<dyn Error>> {
        let message = self.message(len);
        let mut stream = self.stream.try_clone()?;
        thread::scope(|scope| {
            let sending = scope.spawn(move || stream.write_all(&message));
            let received = self.receive_echo(len);
            let sent = sending.join().map_err(|_| "the sender panicked")?;
            received.and(Ok(sent?))
        })
    }

    /// Encodes the binary message of `len` bytes that it sends.
    pub(crate) fn message(&self, len: usize) -> Vec<u8> {
        let message = self.payload(len);
        match self.protocol {
            Protocol::Bytes => message,
            Protocol::WebSocket => {
                let key = self.number.wrapping_mul(0x9e37_79b9).to_be_bytes();
                let mut frame = header(len, MASKED);
                frame.extend_from_slice(&key);
                frame.extend(message.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
                frame
            }
        }
    }

    /// Waits for the echo of the message of `len` bytes, and compares it.
    pub(crate) fn receive_echo(&mut self, len: usize) -> Result<(), Box<dyn Error>> {
        let expected = self.echo(len);
        self.receive(&expected)
    }

    /// Encodes what comes back for the message of `len` bytes.
    pub(crate) fn echo(&self, len: usize) -> Vec<u8> {
        let mut echo = match self.protocol {
            Protocol::Bytes => Vec::new(),
            Protocol::WebSocket => header(len, UNMASKED),
        };
        echo.extend(self.payload(len));
        echo
    }

    /// Compares the message of another client that reaches this one.
    pub(crate) fn receive_from(&mut self, sender: &Self, len: usize) -> Result<(), Box<dyn Error>> {
        self.receive(&sender.echo(len))
    }

    /// Sends a Close frame with 1000.
    pub(crate) fn send_close(&mut self) -> Result<(), Box<dyn Error>> {
        // The key is zero.
        Ok(self.stream.write_all(b"\x88\x82\0\0\0\0\x03\xe8")?)
    }

    /// Waits for the Close frame that answers, or for the end of the stream.
    pub(crate) fn receive_close(&mut self) -> Result<(), Box<dyn Error>> {
        let mut received = [0; 64];
        let len = self.stream.read(&mut received)?;
        // Some close without an answer, and some answer without the code.
        match &received[..len] {
            b"" | b"\x88\0" | b"\x88\x02\x03\xe8" => Ok(()),
            received => Err(format!("the server answers Close with {received:x?}").into()),
        }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn receive(&mut self, expected: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut received = vec![0; expected.len()];
        self.stream.read_exact(&mut received)?;
        if received == expected {
            Ok(())
        } else {
            Err(format!("client {} did not get what was sent", self.number).into())
        }
    }

    /// Bytes that no other client sends.
    fn payload(&self, len: usize) -> Vec<u8> {
        let number = self.number.to_be_bytes();
        let bytes = number.into_iter().chain(0..=u8::MAX);
        bytes.cycle().take(len).collect()
    }
}

/// Encodes the header of a binary message in one frame.
fn header(len: usize, mask_bit: u8) -> Vec<u8> {
    const FIN_BINARY: u8 = 0b1000_0010;
    let mut header = vec![FIN_BINARY];
    if let Ok(len @ 0..126) = u8::try_from(len) {
        header.push(mask_bit | len);
    } else if let Ok(len) = u16::try_from(len) {
        header.push(mask_bit | 126);
        header.extend_from_slice(&len.to_be_bytes());
    } else {
        header.push(mask_bit | 127);
        header.extend_from_slice(&(len as u64).to_be_bytes());
    }
    header
}

const MASKED: u8 = 0b1000_0000;
const UNMASKED: u8 = 0;

/// The key is that of RFC 6455, section 1.3.
const REQUEST: &str = "GET / HTTP/1.1\r\n\
    Host: localhost\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// What the key must be answered with, by the same section.
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// How many connections are opened together: fewer than the shortest backlog, which is 128.
const BATCH: usize = 100;

/// No server here takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
