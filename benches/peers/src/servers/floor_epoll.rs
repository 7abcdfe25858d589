//! The floors on epoll itself: one thread, one buffer each way, one read and one write a wake-up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Serving;
use super::floor::{Echo, Minimal, READ_LEN, REPLY_LEN, Raw};

pub(crate) fn serve_raw(serving: Serving) -> io::Result<()> {
    serve::<Raw>(serving)
}

pub(crate) fn serve_minimal(serving: Serving) -> io::Result<()> {
    serve::<Minimal>(serving)
}

struct Client<E> {
    stream: TcpStream,
    echo: E,
    /// What the socket did not take; nothing is read meanwhile.
    unsent: Vec<u8>,
}

fn serve<E: Echo>(serving: Serving) -> io::Result<()> {
    let listener = TcpListener::bind(serving.listen)?;
    listener.set_nonblocking(true)?;
    println!("listening on {}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut clients: Vec<Option<Client<E>>> = Vec::new();
    let (mut input, mut room) = (vec![0; READ_LEN], vec![0; REPLY_LEN]);
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let place = clients.iter().position(Option::is_none);
                let place = place.unwrap_or(clients.len());
                let data = EventData::new_u64(place as u64);
                epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                let client = Client {
                    stream,
                    echo: E::default(),
                    unsent: Vec::new(),
                };
                match clients.get_mut(place) {
                    Some(free) => *free = Some(client),
                    None => clients.push(Some(client)),
                }
                continue;
            }
            let place = usize::try_from(token).unwrap_or(usize::MAX);
            let Some(Some(client)) = clients.get_mut(place) else {
                continue;
            };
            let was_full = !client.unsent.is_empty();
            match client.wake(&mut input, &mut room) {
                Ok(()) => {
                    let is_full = !client.unsent.is_empty();
                    if is_full != was_full {
                        let flags = [EventFlags::IN, EventFlags::OUT][usize::from(is_full)];
                        let data = EventData::new_u64(token);
                        epoll::modify(&epoll, &client.stream, data, flags)?;
                    }
                }
                Err(_) => clients[place] = None,
            }
        }
    }
}

impl<E: Echo> Client<E> {
    fn wake(&mut self, input: &mut [u8], room: &mut [u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let written = (&self.stream).write(&self.unsent)?;
            self.unsent.drain(..written);
            return Ok(());
        }
        let len = (&self.stream).read(input)?;
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let reply = self.echo.reply(&input[..len], room);
        if reply.is_empty() {
            return Ok(());
        }
        let written = match (&self.stream).write(reply) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        self.unsent.extend_from_slice(&reply[written..]);
        Ok(())
    }
}

const LISTENER: u64 = u64::MAX;
