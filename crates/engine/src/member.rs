//! The store as a member of a cluster: what it is to its peers, and the primary's frames in its log.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::install::InstallError;
use crate::log::{CopiedFrame, FollowError, IoFailure, KeptAside};
use crate::mailbox::Mailbox;
use crate::role::{Role, Standing, TermStart};
use crate::txn::check_txn;
use crate::types::{Revision, TxnRequest};
use crate::writer::{Copies, Job, Work};

impl Engine {
    /// Whether commands are carried out here: not by a standby.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.store().takes_writes()
    }

    /// What this member is to its peers, and the terms it knows of.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.store().standing()
    }

    /// Tells a member what it is at its first start with peers, durably. One that was told before
    /// knows better.
    pub fn take_role(&self, role: Role) -> Result<(), Error> {
        if !self.has_log() {
            return Err(Error::NoLog);
        }
        let _changing = self.store().changing.lock();
        let standing = self.standing();
        if standing.role == Role::Standalone && role != Role::Standalone {
            self.ask(Work::Stand(Standing { role, ..standing }))?;
        }
        Ok(())
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

    /// Applies one revision of the primary that came as writes and not as a frame, and returns the
    /// revision that is here then. One that is here already is ignored. Its frame is this member's
    /// own, so the log is no copy any more, and in no term ([`Engine::log_term`] is 0): the next feed
    /// has to begin with an image.
    ///
    /// Refuses with [`Error::NotStandby`], [`Error::RevisionGap`], and whatever the writes are
    /// refused for.
    pub fn copy_revision(&self, revision: Revision, txn: TxnRequest) -> Result<Revision, Error> {
        check_txn(&txn, usize::MAX)?;
        self.ask(Work::CopyRevision(revision, txn))?;
        Ok(self.revision())
    }

    /// Another member told the terms it knows of. If they are ahead of what is known here this is
    /// durable when it returns, and a primary has become a standby. Returns whether that was so.
    pub fn meet(&self, terms: &[TermStart]) -> Result<bool, Error> {
        // Most of the time they tell nothing new, and nobody has to wait for that.
        if self.standing().met(terms).is_none() {
            return Ok(false);
        }
        let _changing = self.store().changing.lock();
        let before = self.standing();
        let Some(met) = before.met(terms) else { return Ok(false) };
        let stepped_down = before.role == Role::Primary;
        if stepped_down {
            self.store().close_gate();
        }
        self.ask(Work::Stand(met))?;
        Ok(stepped_down)
    }

    /// This standby, which has nothing yet, is going to be seeded by the primary of a cluster: its
    /// terms are those of that cluster, durably, even if it heard of higher ones elsewhere. Returns
    /// whether they were others before.
    pub fn join(&self, terms: &[TermStart]) -> Result<bool, Error> {
        let _changing = self.store().changing.lock();
        let before = self.standing();
        let empty = before.role == Role::Standby && self.status().log_sequence == 0;
        if !empty || before.terms == terms {
            return Ok(false);
        }
        self.ask(Work::Stand(Standing { role: Role::Standby, terms: terms.to_vec() }))?;
        Ok(true)
    }

    /// Takes no more writes, but stays the primary: its standbys get the rest of its log, which grows
    /// no more when this returns. Ended by [`Engine::demote`], [`Engine::promote`] or a restart.
    pub fn stop_writes(&self) {
        self.store().close_gate();
        // What the writer was at is answered before this, which a primary refuses.
        drop(self.ask(Work::Copy(Copies::new(Vec::new()))));
    }

    /// Makes this member a standby, durably. A standby stays one.
    pub fn demote(&self) -> Result<(), Error> {
        if !self.has_log() {
            return Err(Error::NoLog);
        }
        let _changing = self.store().changing.lock();
        let standing = Standing { role: Role::Standby, ..self.standing() };
        self.store().close_gate();
        let demoted = self.ask(Work::Stand(standing)).map(drop);
        if demoted.is_err() {
            // It is the primary still. Why it writes no more, if it does not, is told by the queue.
            self.store().open_gate();
        }
        demoted
    }

    /// Makes this member the primary, in a term above all that it knows of. Its revision jumps far
    /// ahead, all watches are told that what they wanted is compacted, and every lease has its full
    /// time again. Waits for an image of the store to be written. A primary stays one.
    ///
    /// Refuses with [`Error::NotPrimary`] if a higher term was met, or the member demoted, meanwhile:
    /// then it is a standby.
    pub fn promote(&self) -> Result<(), InstallError> {
        if !self.has_log() {
            return Err(Error::NoLog.into());
        }
        let _promoting = self.store().promoting.lock();
        let Some((before, promoted)) = self.begin_promotion()? else {
            return self.finish_promotion();
        };
        let finished = self.finish_promotion();
        if finished.is_err() {
            let _changing = self.store().changing.lock();
            // It is as if it had not been tried, unless it was overtaken.
            if self.standing() == promoted {
                self.ask(Work::Stand(before))?;
            }
        }
        finished?;
        if self.standing().role == Role::Primary { Ok(()) } else { Err(Error::NotPrimary.into()) }
    }

    /// Makes it hold that this member is the primary. Returns what it was before and what it is now,
    /// or nothing if it was one already, or has no history to part from.
    fn begin_promotion(&self) -> Result<Option<(Standing, Standing)>, Error> {
        let _changing = self.store().changing.lock();
        let before = self.standing();
        match before.role {
            Role::Primary => {
                // Its writes may have been stopped for a demotion that did not come.
                if !self.takes_writes() {
                    self.ask(Work::Stand(before))?;
                }
                // One that is latched writes no more, whatever it is.
                self.check_writes()?;
                return Ok(None);
            }
            Role::Standalone => {
                self.ask(Work::Stand(Standing { role: Role::Primary, ..before }))?;
                return Ok(None);
            }
            Role::Standby => {}
        }
        let member_id = self.store().identity().member_id;
        loop {
            let last = self.status().log_sequence;
            let promoted = before.promoted(member_id, self.log_term(), last);
            self.ask(Work::Stand(promoted.clone()))?;
            // From here on no more frames come, so at the latest the second time it is exact.
            if self.status().log_sequence == last {
                return Ok(Some((before, promoted)));
            }
        }
    }

    /// Ends what [`Engine::promote`] began and a crash cut short.
    pub(crate) fn finish_promotion(&self) -> Result<(), InstallError> {
        let standing = self.standing();
        if standing.role == Role::Primary && standing.term() > self.log_term() {
            self.renumber(standing.term())?;
        }
        Ok(())
    }

    /// The term that the log is in. A member may know of a higher one. 0: it ends in what this
    /// standby was told to write ([`Engine::copy_revision`]), and goes on with nobody's.
    #[must_use]
    pub fn log_term(&self) -> u64 {
        self.store().term()
    }

    /// Keeps the frames behind `sequence`, which the new primary does not have, in a file beside the
    /// log, before an image takes their place.
    pub fn keep_aside(&self, sequence: u64) -> Result<KeptAside, FollowError> {
        self.journal().ok_or(FollowError::NoLog)?.keep_aside(sequence + 1)
    }

    /// The files that [`Engine::keep_aside`] made, the oldest first.
    pub fn side_files(&self) -> Result<Vec<PathBuf>, IoFailure> {
        self.journal().map_or(Ok(Vec::new()), crate::log::Journal::side_files)
    }
}
