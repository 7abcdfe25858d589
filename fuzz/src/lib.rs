//! What the fuzz targets share.
//!
//! Each target is a file of `fuzz_targets/` that opens with what it asserts. Here is how they read
//! what the fuzzer makes up ([`script`]), frames written and read without the library ([`wire`]),
//! connections that are open already ([`open`]), one end of a connection with its invariants
//! ([`endpoint`]), one of two that hold each other to account ([`end`]), and the rules once more,
//! naively: of received frames ([`model`]), of compressed messages ([`inflate`]) and of the opening
//! handshake ([`http`]).
//!
//! Nothing here does I/O, and nothing is formatted unless an assertion fails: executions count.

pub mod end;
pub mod endpoint;
pub mod http;
pub mod inflate;
pub mod model;
pub mod open;
pub mod script;
pub mod wire;
