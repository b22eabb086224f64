//! The store as a member of a cluster: what it is to its peers, and the primary's frames in its log.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::log::CopiedFrame;
use crate::mailbox::Mailbox;
use crate::role::{Role, Standing, TermStart};
use crate::writer::{Copies, Job, Work};

impl Engine {
    /// What this member is to its peers, and the terms it knows of.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.store().standing()
    }

    /// Queues frames of the primary's log; the mailbox gets [`crate::Outcome::Copied`] under
    /// `ticket` once all of them are durable here. What is here already is ignored. The answer may
    /// be [`Error::FrameGap`], [`Error::FrameUnfit`] or [`Error::NotStandby`]; what came before the
    /// refused frame is kept.
    pub fn copy(
        &self,
        frames: Vec<CopiedFrame>,
        mailbox: &Arc<dyn Mailbox>,
        ticket: u64,
    ) -> Result<(), Error> {
        let reply = Some((Arc::clone(mailbox), ticket));
        self.store().queue.put(Job { work: Work::Copy(Copies::new(frames)), reply })
    }

    /// Another member told the terms it knows of. If they are ahead of what is known here this is
    /// durable when it returns, and a primary has become a standby. Returns whether that was so.
    pub fn meet(&self, terms: &[TermStart]) -> Result<bool, Error> {
        let before = self.standing();
        let Some(met) = before.met(terms) else { return Ok(false) };
        let stepped_down = before.role == Role::Primary;
        if stepped_down {
            self.store().close_gate();
        }
        self.ask(Work::Stand(met))?;
        Ok(stepped_down)
    }

    /// Makes this member a standby, durably. A standby stays one.
    pub fn demote(&self) -> Result<(), Error> {
        if !self.has_log() {
            return Err(Error::NoLog);
        }
        let standing = Standing { role: Role::Standby, ..self.standing() };
        self.store().close_gate();
        self.ask(Work::Stand(standing)).map(drop)
    }
}
