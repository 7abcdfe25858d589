//! The core with no adapter: a client and a server in memory, step by step.
//!
//! ```text
//! cargo run --example sans_io
//! ```
//!
//! You should see every step that an adapter takes: the opening handshake, a message and its echo
//! cut into reads of seven bytes, a keepalive Ping when nothing happens, the closing handshake, and
//! how the connection ended. To write an adapter, replace `transfer` by a read and a write of your
//! transport, and the made-up clock by a real one; nothing else changes.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake,
};
use framewright::{CloseCode, CloseFrame, Config, Connection, Event, RecvBuffer, SendBuffer};

fn main() -> Result<(), Box<dyn Error>> {
    let config = Arc::new(Config::default());
    let mut client_input = RecvBuffer::new();
    let mut client_output = SendBuffer::new();
    let mut server_input = RecvBuffer::new();
    let mut server_output = SendBuffer::new();

    // 1. The opening handshake. Each phase is a value that the next one consumes.
    println!("-- opening handshake");
    let request = ClientRequest::new("ws://example.com/echo")?.subprotocol("demo")?;
    let nonce = rand::random();
    let mut client = ClientHandshake::start(&request, config.clone(), nonce, &mut client_output);
    let mut server = ServerHandshake::new(config.clone());
    let upgrade = loop {
        transfer(&mut client_output, &mut server_input);
        match server.receive(&mut server_input) {
            Ok(Some(Request::Upgrade(upgrade))) => break upgrade,
            Ok(Some(Request::Plain(plain))) => return Err(plain.target().into()),
            Ok(None) => {} // The head is not whole: read on.
            Err(error) => {
                // An adapter writes this answer before it closes.
                error.respond(&mut server_output);
                return Err(error.into());
            }
        }
    };
    println!("server: asked for {}", upgrade.resource_name());
    let acceptance = Acceptance::new().subprotocol("demo");
    let mut server = upgrade.accept(acceptance, config, &mut server_output)?;
    let response = loop {
        transfer(&mut server_output, &mut client_input);
        if let Some(response) = client.receive(&mut client_input)? {
            break response;
        }
    };
    println!("client: subprotocol {:?}", response.subprotocol());
    let mut client = response.into_connection();

    // 2. The clock. The core never looks at one; it is told.
    let mut now = Instant::now();
    client.set_now(now);
    server.set_now(now);

    // 3. Messages. Events borrow the input alone, so the reply can be made while they are there.
    println!("-- a message and its echo");
    client.send_text("hello, framewright", &mut client_output)?;
    while !client_output.is_empty() || !server_output.is_empty() {
        transfer(&mut client_output, &mut server_input);
        step(
            "server",
            &mut server,
            &mut server_input,
            &mut server_output,
            Echo::Yes,
        )?;
        transfer(&mut server_output, &mut client_input);
        step(
            "client",
            &mut client,
            &mut client_input,
            &mut client_output,
            Echo::No,
        )?;
    }

    // 4. Deadlines. An adapter sleeps until the next one, unless bytes come first.
    println!("-- twenty seconds of silence");
    now = server
        .next_deadline()
        .unwrap_or(now + Duration::from_secs(20));
    server.handle_timeout(now, &mut server_output);
    client.set_now(now);
    while !client_output.is_empty() || !server_output.is_empty() {
        transfer(&mut server_output, &mut client_input);
        step(
            "client",
            &mut client,
            &mut client_input,
            &mut client_output,
            Echo::No,
        )?;
        transfer(&mut client_output, &mut server_input);
        step(
            "server",
            &mut server,
            &mut server_input,
            &mut server_output,
            Echo::No,
        )?;
    }

    // 5. The closing handshake, and what is left to do with the transport.
    println!("-- closing handshake");
    let frame = CloseFrame {
        code: CloseCode::NORMAL_CLOSURE,
        reason: "done".into(),
    };
    client.send_close(Some(frame), &mut client_output)?;
    while !client_output.is_empty() || !server_output.is_empty() {
        transfer(&mut client_output, &mut server_input);
        step(
            "server",
            &mut server,
            &mut server_input,
            &mut server_output,
            Echo::No,
        )?;
        transfer(&mut server_output, &mut client_input);
        step(
            "client",
            &mut client,
            &mut client_input,
            &mut client_output,
            Echo::No,
        )?;
    }
    println!("server: {:?}, {:?}", server.state(), server.teardown());
    println!("client: {:?}, {:?}", client.state(), client.teardown());
    let end = client.receive_eof();
    println!(
        "client: ended with code {}, clean: {}",
        end.code(),
        end.is_clean()
    );
    Ok(())
}

/// Whether messages are sent back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Yes,
    No,
}

/// Moves at most seven bytes from one end to the other, as a slow network would.
fn transfer(from: &mut SendBuffer, to: &mut RecvBuffer) {
    let Some(chunk) = from.chunks().next() else {
        return;
    };
    let spare = to.spare_mut();
    let len = chunk.len().min(spare.len()).min(7);
    spare[..len].copy_from_slice(&chunk[..len]);
    to.commit(len);
    from.consume(len);
}

/// Handles what has arrived, as an adapter does after a read.
fn step(
    name: &str,
    connection: &mut Connection,
    input: &mut RecvBuffer,
    output: &mut SendBuffer,
    echo: Echo,
) -> Result<(), Box<dyn Error>> {
    while let Some(event) = connection.receive(input, output)? {
        println!("{name}: {event:?}");
        if let (Event::Text(text), Echo::Yes) = (event, echo) {
            connection.send_text(text, output)?;
        }
    }
    Ok(())
}
