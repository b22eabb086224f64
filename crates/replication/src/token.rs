//! How members prove that they know the cluster's token, without telling it.

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Of random bytes, so that no proof is ever asked for twice.
const NONCE_BYTES: usize = 32;

/// Who proves something: a proof of one side is none of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Server,
}

/// The secret that all members of a cluster share.
#[derive(Clone)]
pub(crate) struct Token(hmac::Key);

/// The random numbers of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonces<'a> {
    pub(crate) dialer: &'a [u8],
    pub(crate) server: &'a [u8],
}

impl Token {
    pub(crate) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    pub(crate) fn prove(&self, side: Side, nonces: Nonces<'_>) -> Vec<u8> {
        hmac::sign(&self.0, &text(side, nonces)).as_ref().to_vec()
    }

    /// Takes as long for every wrong proof.
    pub(crate) fn check(&self, side: Side, nonces: Nonces<'_>, proof: &[u8]) -> bool {
        let fresh = nonces.dialer.len() == NONCE_BYTES && nonces.server.len() == NONCE_BYTES;
        fresh && hmac::verify(&self.0, &text(side, nonces), proof).is_ok()
    }
}

/// A random number for a session.
pub(crate) fn nonce() -> Vec<u8> {
    let mut bytes = vec![0; NONCE_BYTES];
    // The operating system's generator; without it nothing here is safe.
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

/// Of known lengths but for the side, which comes first and is no prefix of the other.
fn text(side: Side, nonces: Nonces<'_>) -> Vec<u8> {
    let side: &[u8] = match side {
        Side::Dialer => b"dialer",
        Side::Server => b"server",
    };
    [side, nonces.dialer, nonces.server].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_proves_it_and_only_for_one_session_and_side() {
        let (token, other) = (Token::new("secret"), Token::new("Secret"));
        let (dialer, server, later) = (nonce(), nonce(), nonce());
        let nonces = Nonces { dialer: &dialer, server: &server };
        let proof = token.prove(Side::Dialer, nonces);
        assert!(token.check(Side::Dialer, nonces, &proof));
        assert!(!token.check(Side::Server, nonces, &proof));
        assert!(!other.check(Side::Dialer, nonces, &proof));
        assert!(!token.check(Side::Dialer, Nonces { server: &later, ..nonces }, &proof));
        assert!(!token.check(Side::Dialer, nonces, b""));
        let short = Nonces { dialer: b"", server: &server };
        assert!(!token.check(Side::Dialer, short, &token.prove(Side::Dialer, short)));
    }
}
