//! Where masking keys come from.
//!
//! Knows that each key must be fresh and unpredictable; not what is masked with it.
//!
//! RFC 6455, sections 5.3 and 10.3.

use core::fmt;

use crate::frame::MaskingKey;

/// A source of masking keys, for a client that wants its own.
///
/// 5.3: "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a
/// strong source of entropy". The default is the thread's cryptographic generator; another one is
/// for tests that must repeat, and for targets without an operating system.
///
/// There, as on `wasm32-unknown-unknown`, the feature `os-rng` is left out, and with it every way
/// to make a client that does not say where its keys come from: what is left are
/// [`Connection::client`](crate::Connection::client) and
/// [`UpgradeResponse::into_connection_with`](crate::handshake::UpgradeResponse::into_connection_with).
/// A server needs no keys.
///
/// ```
/// use framewright::frame::MaskingKey;
/// use framewright::{Connection, MaskSource, SendBuffer, SendError};
///
/// /// Keys of the host, as of `crypto.getRandomValues` in a browser.
/// #[derive(Debug)]
/// struct HostMasks;
///
/// impl MaskSource for HostMasks {
///     fn next_key(&mut self) -> MaskingKey {
///         MaskingKey::new(random_bytes())
///     }
/// }
/// # fn random_bytes() -> [u8; 4] {
/// #     [0x37, 0xfa, 0x21, 0x3d]
/// # }
///
/// let mut client = Connection::client(Box::new(HostMasks), Default::default());
/// let mut output = SendBuffer::new();
/// client.send_text("Hello", &mut output)?;
/// # assert_eq!(output.to_vec(), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
/// # Ok::<(), SendError>(())
/// ```
pub trait MaskSource: fmt::Debug + Send + Sync {
    /// Returns the key of the next frame.
    fn next_key(&mut self) -> MaskingKey;
}

/// The thread's generator, which the operating system seeds.
///
/// It is the thread's and not the connection's, so that this takes no memory: the box of a type
/// without fields allocates nothing.
#[cfg(feature = "os-rng")]
#[derive(Debug)]
pub(crate) struct ThreadMasks;

#[cfg(feature = "os-rng")]
impl MaskSource for ThreadMasks {
    fn next_key(&mut self) -> MaskingKey {
        // One number, because four bytes would take a word of the generator each.
        MaskingKey::new(rand::random::<u32>().to_ne_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::connection::{Connection, Role, SendBuffer};

    /// The key of RFC 6455, section 5.7.
    pub(in crate::connection) const RFC_KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A source of nothing else.
    #[derive(Debug)]
    pub(in crate::connection) struct RfcKey;

    impl MaskSource for RfcKey {
        fn next_key(&mut self) -> MaskingKey {
            MaskingKey::new(RFC_KEY)
        }
    }

    /// What a connection writes for the text of section 5.7.
    fn hello(mut connection: Connection) -> Vec<u8> {
        let mut output = SendBuffer::new();
        assert_eq!(connection.send_text("Hello", &mut output), Ok(()));
        output.to_vec()
    }

    #[test]
    fn a_client_masks_with_the_keys_it_was_given() {
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let client = Connection::client(Box::new(RfcKey), Default::default());
        assert_eq!(client.role(), Role::Client);
        assert_eq!(hello(client), masked);
    }

    #[test]
    fn a_server_masks_nothing_whatever_keys_it_is_given() {
        let plain = b"\x81\x05Hello";
        assert_eq!(hello(Connection::server(Default::default())), plain);
        let server = Connection::server(Default::default()).with_masks(Box::new(RfcKey));
        assert_eq!(server.role(), Role::Server);
        assert_eq!(hello(server), plain);
    }

    #[cfg(feature = "os-rng")]
    #[test]
    fn the_keys_of_the_thread_differ_from_frame_to_frame() {
        // Eight keys that are all the same come once in 2^224 runs.
        let client = || Connection::new(Role::Client, Default::default());
        let first = hello(client());
        assert!((0..8).any(|_| hello(client()) != first));
        assert_eq!(size_of::<ThreadMasks>(), 0);
    }
}
