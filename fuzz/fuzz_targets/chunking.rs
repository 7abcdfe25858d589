//! Chunk invariance: how bytes are split shows nowhere.
//!
//! Runs the same bytes through three equal ends: at once, byte by byte, and split at random while
//! the window changes hands (park and lend). With limits, role and compression at random, asserts
//! that
//! - events, error, output and end are the same (invariant 2 of the design); where chunks are
//!   delivered, those of a message are joined, and before an error only as many of them as came;
//! - every call keeps the invariants of `endpoint`.

#![no_main]

use framewright::{Config, Delivery};
use framewright_fuzz::endpoint::Endpoint;
use framewright_fuzz::open::{self, ROLES};
use framewright_fuzz::script::{Script, Splits};
use framewright_fuzz::wire::push_stream;
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let role = script.pick(&ROLES);
    let config = Arc::new(open::limits(&mut script));
    let deflate = open::deflate(&mut script);
    let splits = script.splits();
    let mut stream = Vec::new();
    push_stream(role, &mut script, &mut stream);

    let run = |splits| {
        let mut end = Endpoint::new(open::connection(role, &config, deflate.clone()));
        end.receive(&stream, splits);
        end
    };
    let whole = run(Splits::WHOLE);
    let pieces = run(splits);
    assert_same(&config, &whole, &pieces);
    if stream.len() <= 512 {
        assert_same(&config, &whole, &run(Splits::BYTES));
    }
});

fn assert_same(config: &Config, whole: &Endpoint, pieces: &Endpoint) {
    assert_eq!(whole.error, pieces.error);
    if config.delivery == Delivery::Messages || whole.error.is_none() {
        assert_eq!(whole.log, pieces.log);
    } else {
        // Before what is wrong with a message, more or less of it is delivered.
        let mut records = whole.log.records().zip(pieces.log.records()).peekable();
        while let Some(((tag, ours), (other_tag, theirs))) = records.next() {
            assert_eq!(tag, other_tag);
            let len = match records.peek() {
                Some(_) => usize::MAX,
                None => ours.len().min(theirs.len()),
            };
            assert_eq!(
                ours.get(..len).unwrap_or(ours),
                theirs.get(..len).unwrap_or(theirs)
            );
        }
        let difference = whole.log.records().count() as i64 - pieces.log.records().count() as i64;
        assert!(difference.abs() <= 1, "{difference}");
    }
    assert_eq!(whole.written, pieces.written);
    assert_eq!(whole.connection.state(), pieces.connection.state());
    assert_eq!(whole.connection.end(), pieces.connection.end());
    // What is drained behind an error depends on where the chunk ended that had it.
    if config.max_drain_len > 1000 {
        assert_eq!(whole.connection.teardown(), pieces.connection.teardown());
    }
}
