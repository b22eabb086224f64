//! How a session begins: each side proves that it belongs here, then tells who it is.
//!
//! Nobody tells anything of himself, and nothing changes, before the other's proof was checked.

use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::node::Node;
use crate::token::{Nonces, Side, Token, nonce};
use crate::wire::{
    Challenge, Feed, FromDialer, Hello, Member, Proof, ToDialer, VERSION, Welcome, from_dialer,
    to_dialer,
};

/// What the other side told of itself.
pub(crate) struct Introduced {
    pub(crate) member: Member,
    /// Of a dialer: it needs an image.
    pub(crate) diverged: bool,
}

/// The side that answers, up to its welcome. `certified`: the dialer showed a certificate.
pub(crate) async fn receive(
    node: &Node,
    certified: bool,
    inbound: &mut Streaming<FromDialer>,
    outbound: &mpsc::Sender<Result<ToDialer, Status>>,
) -> Result<Introduced, Status> {
    if node.token.is_none() && !certified {
        return Err(Status::unauthenticated(
            "peers must prove themselves: set replication.token, or require client certificates",
        ));
    }
    let Some(from_dialer::Message::Hello(hello)) = next_from(inbound).await? else {
        return Err(out_of_order("a hello"));
    };
    if hello.version != VERSION {
        return Err(Status::failed_precondition(format!(
            "the peer speaks version {} of the protocol, this member {VERSION}; run the same \
             version on both",
            hello.version
        )));
    }
    let ours = nonce();
    let nonces = Nonces { dialer: &hello.nonce, server: &ours };
    let proof = prove(node.token.as_ref(), Side::Server, nonces);
    let challenge = Challenge { nonce: ours.clone().into(), proof: proof.into() };
    send(outbound, to_dialer::Message::Challenge(challenge)).await?;
    let Some(from_dialer::Message::Proof(proof)) = next_from(inbound).await? else {
        return Err(out_of_order("a proof"));
    };
    let known = node.token.as_ref();
    if known.is_some_and(|token| !token.check(Side::Dialer, nonces, &proof.proof)) {
        return Err(another_token());
    }
    let member = proof.member.ok_or_else(another_token)?;
    Ok(Introduced { member, diverged: proof.diverged })
}

/// The side that dialed, up to the other's welcome.
pub(crate) async fn offer(
    node: &Node,
    inbound: &mut Streaming<ToDialer>,
    outbound: &mpsc::Sender<FromDialer>,
    dialer_nonce: &[u8],
) -> Result<(Member, Feed), Status> {
    let Some(to_dialer::Message::Challenge(challenge)) = next_to(inbound).await? else {
        return Err(out_of_order("a challenge"));
    };
    let nonces = Nonces { dialer: dialer_nonce, server: &challenge.nonce };
    let known = node.token.as_ref();
    if known.is_some_and(|token| !token.check(Side::Server, nonces, &challenge.proof)) {
        // Proves and tells nothing; the peer knows by it what is wrong, and its log tells.
        drop(outbound.send(from_dialer::Message::Proof(Proof::default()).into()).await);
        drop(next_to(inbound).await);
        return Err(another_token());
    }
    let proof = Proof {
        proof: prove(known, Side::Dialer, nonces).into(),
        member: Some(node.member()),
        diverged: node.is_diverged(),
    };
    let sent = outbound.send(from_dialer::Message::Proof(proof).into()).await;
    sent.map_err(|_closed| Status::unavailable("the peer hung up"))?;
    let Some(to_dialer::Message::Welcome(welcome)) = next_to(inbound).await? else {
        return Err(out_of_order("a welcome"));
    };
    let feed = welcome.feed();
    let Welcome { member, .. } = welcome;
    Ok((member.ok_or_else(|| out_of_order("a member"))?, feed))
}

/// The first message of the side that dials, with its nonce.
pub(crate) fn hello() -> (Hello, Vec<u8>) {
    let nonce = nonce();
    (Hello { version: VERSION, nonce: nonce.clone().into() }, nonce)
}

pub(crate) async fn send(
    outbound: &mpsc::Sender<Result<ToDialer, Status>>,
    message: to_dialer::Message,
) -> Result<(), Status> {
    let sent = outbound.send(Ok(message.into())).await;
    sent.map_err(|_closed| Status::unavailable("the peer hung up"))
}

fn prove(token: Option<&Token>, side: Side, nonces: Nonces<'_>) -> Vec<u8> {
    token.map(|token| token.prove(side, nonces)).unwrap_or_default()
}

async fn next_from(
    inbound: &mut Streaming<FromDialer>,
) -> Result<Option<from_dialer::Message>, Status> {
    Ok(inbound.message().await?.and_then(|message| message.message))
}

async fn next_to(inbound: &mut Streaming<ToDialer>) -> Result<Option<to_dialer::Message>, Status> {
    Ok(inbound.message().await?.and_then(|message| message.message))
}

fn another_token() -> Status {
    Status::unauthenticated("the peer's replication.token is another one, or none")
}

fn out_of_order(expected: &str) -> Status {
    Status::invalid_argument(format!("the peer sent something else where {expected} comes"))
}
