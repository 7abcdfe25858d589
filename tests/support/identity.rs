//! Certificates for the tests of TLS, which are made when they are needed.

#![allow(
    dead_code,
    reason = "every test file is a binary of its own and uses a part of the rig"
)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use framewright::tls::{TlsAcceptor, TlsConnector};

/// A certificate that signed itself, and its key, as PEM.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(&[name])
    }

    /// That of the servers here, and of the clients that have one.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Identity> = OnceLock::new();
        SHARED.get_or_init(|| Self::of(&["localhost", "127.0.0.1", "::1"]))
    }

    fn of(names: &[&str]) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);

        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        // By which an issuer is found: two must not have the same.
        let subject = format!("identity {}", MADE.fetch_add(1, Ordering::Relaxed));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, subject);
        let key = rcgen::KeyPair::generate().unwrap();
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A connector that trusts nobody else.
    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from_pem(self.chain.as_bytes()).unwrap()
    }
}
