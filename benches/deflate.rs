//! permessage-deflate beside the plain use of its compression library, in one run.
//!
//! ```text
//! cargo bench --bench deflate --features deflate
//! ```
//!
//! The rows `connection` are whole messages through a connection; `library` is the same bytes
//! through flate2 with a sync flush for each message, which is the limit; `uncompressed` is what
//! the framing costs alone. The length on the wire is printed for each setting.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use framewright::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Request, ServerHandshake,
};
use framewright::{Config, Connection, DeflateConfig, RecvBuffer, Role, SendBuffer};

fn deflate(criterion: &mut Criterion) {
    for (takeover, no_context_takeover) in [("takeover", false), ("no_takeover", true)] {
        for level in [1, 6, 9] {
            for (size, len) in [
                ("128B", 128),
                ("1KiB", 1 << 10),
                ("16KiB", 16 << 10),
                ("128KiB", 128 << 10),
            ] {
                let mut config = DeflateConfig::default();
                config.level = level;
                config.server_no_context_takeover = no_context_takeover;
                config.client_no_context_takeover = no_context_takeover;
                let texts = texts(len);
                let setting = format!("level{level}/{takeover}/{size}");
                sending(criterion, &setting, &config, &texts);
                receiving(criterion, &setting, &config, &texts);
            }
        }
    }
}

/// A server that sends the texts in turn, and the library that compresses them.
fn sending(criterion: &mut Criterion, setting: &str, config: &DeflateConfig, texts: &[String]) {
    let mut group = criterion.benchmark_group("deflate/send");
    group.throughput(Throughput::ElementsAndBytes {
        elements: 1,
        bytes: texts[0].len() as u64,
    });
    let (_, mut server) = open(config);
    let mut output = SendBuffer::new();
    let mut turn = texts.iter().cycle();
    group.bench_function(BenchmarkId::new("connection", setting), |bencher| {
        bencher.iter(|| {
            let text = turn.next().expect("it goes round");
            server
                .send_text(black_box(text), &mut output)
                .expect("it is open");
            output.consume(output.len());
        });
    });
    let mut plain = Connection::new(Role::Server, Arc::default());
    let mut turn = texts.iter().cycle();
    group.bench_function(BenchmarkId::new("uncompressed", setting), |bencher| {
        bencher.iter(|| {
            let text = turn.next().expect("it goes round");
            plain
                .send_text(black_box(text), &mut output)
                .expect("it is open");
            output.consume(output.len());
        });
    });
    let mut library = Compress::new(Compression::new(config.level), false);
    // As large as the message may become: the library clears what capacity there is.
    let mut output = Vec::with_capacity(texts[0].len() + 64);
    let mut turn = texts.iter().cycle();
    group.bench_function(BenchmarkId::new("library", setting), |bencher| {
        bencher.iter(|| {
            let text = turn.next().expect("it goes round");
            output.clear();
            library
                .compress_vec(black_box(text.as_bytes()), &mut output, FlushCompress::Sync)
                .expect("it takes anything");
            if config.server_no_context_takeover {
                library.reset();
            }
        });
    });
}

/// A client that receives what a server sent, and the library that inflates it. A round of texts
/// at a time, so that every text refers back to the same ones.
fn receiving(criterion: &mut Criterion, setting: &str, config: &DeflateConfig, texts: &[String]) {
    let mut group = criterion.benchmark_group("deflate/receive");
    group.throughput(Throughput::ElementsAndBytes {
        elements: texts.len() as u64,
        bytes: texts.iter().map(|text| text.len() as u64).sum(),
    });
    let (mut client, mut server) = open(config);
    let mut output = SendBuffer::new();
    // The first round is sent once, and makes the window what every later round finds.
    for text in texts {
        server.send_text(text, &mut output).expect("it is open");
    }
    let first = output.to_vec();
    output.consume(output.len());
    for text in texts {
        server.send_text(text, &mut output).expect("it is open");
    }
    let round = output.to_vec();
    output.consume(output.len());
    println!("{setting}: {} bytes on the wire", round.len() / texts.len());
    let mut receive = receiver(&mut client, texts.len());
    receive(&first);
    group.bench_function(BenchmarkId::new("connection", setting), |bencher| {
        bencher.iter(|| receive(black_box(&round)));
    });
    let mut plain = Connection::new(Role::Server, Arc::default());
    for text in texts {
        plain.send_text(text, &mut output).expect("it is open");
    }
    let round = output.to_vec();
    let mut plain = Connection::new(Role::Client, Arc::default());
    let mut receive = receiver(&mut plain, texts.len());
    group.bench_function(BenchmarkId::new("uncompressed", setting), |bencher| {
        bencher.iter(|| receive(black_box(&round)));
    });
    let mut compressor = Compress::new(Compression::new(config.level), false);
    let mut library = Decompress::new(false);
    let mut rounds = [Vec::new(), Vec::new()];
    for round in &mut rounds {
        for text in texts {
            let mut compressed = Vec::with_capacity(text.len() + 1024);
            compressor
                .compress_vec(text.as_bytes(), &mut compressed, FlushCompress::Sync)
                .expect("it takes anything");
            round.push(compressed);
            if config.server_no_context_takeover {
                compressor.reset();
            }
        }
    }
    // More room than the message takes, as a connection has: at the end of its room the library
    // goes byte by byte.
    let mut output = vec![0; texts[0].len() + (4 << 10)];
    let mut inflate = |round: &[Vec<u8>]| {
        for compressed in round {
            let before = library.total_out();
            library
                .decompress(compressed, &mut output, FlushDecompress::Sync)
                .expect("it is what the library made");
            let len = usize::try_from(library.total_out() - before).expect("it fits");
            // The text is validated in every row, because each is to lend it as text.
            black_box(std::str::from_utf8(&output[..len]).expect("it was text"));
            if config.server_no_context_takeover {
                library.reset(false);
            }
        }
    };
    inflate(&rounds[0]);
    group.bench_function(BenchmarkId::new("library", setting), |bencher| {
        bencher.iter(|| inflate(black_box(&rounds[1])));
    });
}

/// Returns what receives a round of `count` messages.
fn receiver(client: &mut Connection, count: usize) -> impl FnMut(&[u8]) {
    let mut input = RecvBuffer::new();
    let mut replies = SendBuffer::new();
    move |bytes| {
        let mut received = 0;
        for piece in bytes.chunks(64 << 10) {
            input.extend(piece);
            while client
                .advance(&mut input, &mut replies)
                .expect("it is what a server sent")
            {
                black_box(input.event());
                received += 1;
            }
        }
        assert_eq!(received, count);
    }
}

/// Texts of `len` bytes that are alike, as the messages of a market feed are, and so many that none
/// of them is still in the window when it comes again.
fn texts(len: usize) -> Vec<String> {
    let count = (128_usize << 10).div_ceil(len).max(4) as u64;
    (0..count)
        .map(|text| {
            let mut json = String::new();
            let mut seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(text + 1);
            while json.len() < len {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (price, size) = ((seed >> 40) % 100_000, (seed >> 20) % 500);
                json.push_str(&format!(
                    r#"{{"event":"trade","symbol":"SYM{}","price":{}.{:02},"size":{size}}},"#,
                    seed >> 61,
                    price / 100,
                    price % 100,
                ));
            }
            json.truncate(len);
            json
        })
        .collect()
}

/// Opens a connection whose two ends agree on `config`.
fn open(config: &DeflateConfig) -> (Connection, Connection) {
    let limits = Arc::new(Config::default());
    let (mut there, mut back) = (SendBuffer::new(), SendBuffer::new());
    let request = ClientRequest::new("ws://localhost/")
        .expect("it is a URI")
        .deflate(config.clone());
    let mut client = ClientHandshake::start(&request, limits.clone(), [7; 16], &mut there);
    let mut server = ServerHandshake::new(limits.clone());
    let mut input = RecvBuffer::from(&there.to_vec()[..]);
    let Ok(Some(Request::Upgrade(upgrade))) = server.receive(&mut input) else {
        unreachable!("the client asks for an upgrade");
    };
    let acceptance = Acceptance::new().deflate(config.clone());
    let server = upgrade
        .accept(acceptance, limits, &mut back)
        .expect("nothing is chosen that was not offered");
    let mut input = RecvBuffer::from(&back.to_vec()[..]);
    let Ok(Some(response)) = client.receive(&mut input) else {
        unreachable!("the server accepts");
    };
    (response.into_connection(), server)
}

criterion_group!(benches, deflate);
criterion_main!(benches);
