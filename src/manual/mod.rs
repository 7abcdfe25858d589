//! A manual: a tutorial, and one page for each question that a program has to answer.
//!
//! It is documentation alone, and no code of the crate. What the items do is in their own pages;
//! here is how they go together, and why.
//!
//! # To begin with
//!
//! [`tutorial`] goes from a server that greets to a chat in the browser, in six programs.
//!
//! # How to
//!
//! | page | answers |
//! |---|---|
//! | [`limits`] | what each setting of [`Config`](crate::Config) bounds, and what to choose |
//! | [`backpressure`] | what happens when a peer reads slowly, or sends too much |
//! | [`closing`] | how to end a connection without losing anything, and how to tell how it ended |
//! | [`keepalive`] | how dead peers are found, and how connections live behind proxies |
//! | [`authentication`] | who may connect: cookies, tokens, tickets, origins |
//! | [`compression`] | what permessage-deflate costs, saves and gives away |
//! | [`testing`] | how to test a program with faults, and without waiting |
//! | [`observing`] | what can be counted and traced |
//! | [`adapters`] | how to use the core over a transport of your own |
//! | [`performance`] | what a message costs here and elsewhere, how that is measured, and what was tried |
//! | [`migrating`] | the names here of what other crates have, and what behaves differently |
//!
//! The programs in `examples/` are longer, and each is a whole one.

#![cfg_attr(
    not(all(
        feature = "axum",
        feature = "blocking",
        feature = "deflate",
        feature = "futures-io",
        feature = "test-util",
        feature = "tokio-rustls",
        feature = "tracing"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "it links to what other features have, and is judged where all of them are on"
    )
)]

pub mod adapters;
pub mod authentication;
pub mod backpressure;
pub mod closing;
pub mod compression;
pub mod keepalive;
pub mod limits;
pub mod migrating;
pub mod observing;
pub mod performance;
pub mod testing;
pub mod tutorial;
