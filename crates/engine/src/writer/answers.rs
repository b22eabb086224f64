//! The answers of one group commit, held back until it is durable.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::queue::Reply;
use crate::error::Error;
use crate::mailbox::{Answer, Mailbox};
use crate::types::Outcome;

/// Answers in submission order.
#[derive(Default)]
pub(crate) struct Answers {
    pending: Vec<(Reply, Result<Outcome, Error>)>,
}

impl Answers {
    pub(crate) fn push(&mut self, reply: Option<Reply>, result: Result<Outcome, Error>) {
        self.pending.extend(reply.map(|reply| (reply, result)));
    }

    /// Turns all answers into the same refusal; tells how many.
    pub(crate) fn refuse(&mut self, error: &Error) -> u64 {
        for (_, result) in &mut self.pending {
            *result = Err(error.clone());
        }
        self.pending.len() as u64
    }

    /// Hands all out, one delivery a mailbox. A mailbox that panics keeps nobody else from his
    /// answers; the first such panic is returned.
    pub(crate) fn deliver(&mut self) -> thread::Result<()> {
        let mut groups: Vec<(Arc<dyn Mailbox>, Vec<Answer>)> = Vec::new();
        let mut group_of: HashMap<*const (), usize> = HashMap::new();
        for ((mailbox, ticket), result) in self.pending.drain(..) {
            let answer = Answer { ticket, result };
            let group = *group_of.entry(Arc::as_ptr(&mailbox).cast()).or_insert(groups.len());
            match groups.get_mut(group) {
                Some((_, answers)) => answers.push(answer),
                None => groups.push((mailbox, vec![answer])),
            }
        }
        let mut result = Ok(());
        for (mailbox, answers) in groups {
            let delivered = catch_unwind(AssertUnwindSafe(|| mailbox.deliver(answers)));
            result = result.and(delivered);
        }
        result
    }
}
