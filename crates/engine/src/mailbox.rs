//! How the writer answers: whole batches of answers to a mailbox, so that a front that serves
//! thousands of requests is woken once per group commit and not once per request.

use crate::error::Error;
use crate::types::Outcome;

/// The answer to one submitted command.
#[derive(Debug)]
pub struct Answer {
    /// What the submitter gave to recognise it by.
    pub ticket: u64,
    /// What became of the command; durable when it is `Ok`.
    pub result: Result<Outcome, Error>,
}

/// Where answers go. Called from the writer's thread: it must return quickly, never block and
/// never call back into the engine.
pub trait Mailbox: Send + Sync + 'static {
    /// Takes the answers of one group commit, in submission order.
    fn deliver(&self, answers: Vec<Answer>);
}
