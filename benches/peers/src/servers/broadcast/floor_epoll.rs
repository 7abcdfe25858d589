//! The floor of a broadcast on epoll itself: one read, and one write for each of the others.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Serving;
use crate::servers::floor::{Echo, Minimal, READ_LEN, REPLY_LEN};

struct Client {
    stream: TcpStream,
    echo: Minimal,
}

pub(crate) fn serve(serving: Serving) -> io::Result<()> {
    let listener = TcpListener::bind(serving.listen)?;
    println!("listening on {}", listener.local_addr()?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let data = EventData::new_u64(LISTENER);
    epoll::add(&epoll, &listener, data, EventFlags::IN)?;
    let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
    let mut last_token = LISTENER;
    let (mut input, mut room) = (vec![0; READ_LEN], vec![0; REPLY_LEN]);
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let token = event.data.u64();
            if token == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                last_token += 1;
                let data = EventData::new_u64(last_token);
                epoll::add(&epoll, &stream, data, EventFlags::IN)?;
                let echo = Minimal::default();
                clients.insert(last_token, Client { stream, echo });
                continue;
            }
            let Some(client) = clients.get_mut(&token) else {
                continue;
            };
            let len = match client.stream.read(&mut input) {
                Ok(0) | Err(_) => {
                    clients.remove(&token);
                    continue;
                }
                Ok(len) => len,
            };
            let was_open = client.echo.is_open();
            let reply = client.echo.reply(&input[..len], &mut room);
            if was_open {
                // Who does not take all at once gets no more: the load does.
                clients.retain(|other, client| {
                    *other == token || client.stream.write(reply).ok() == Some(reply.len())
                });
            } else {
                client.stream.write_all(reply)?;
            }
        }
    }
}

const LISTENER: u64 = 0;
