//! Replacing the state by an image, between two groups.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Job, Work, Writer, latched_by};
use crate::error::Error;
use crate::install::{Install, InstallError, Installed, Purpose, Replaced, plan_head};
use crate::log::{Identity, LogBefore, NotInstalled};
use crate::role::Role;
use crate::store::Store;

impl Writer {
    /// Installs images for as long as that is what comes next. Nothing is in flight now.
    pub(super) fn install(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), Error> {
        while let Some(Job { work: Work::Install(_), .. }) = jobs.front() {
            let Some(Job { work: Work::Install(install), .. }) = jobs.pop_front() else { continue };
            let reply = install.reply.clone();
            // Who waits for it is told how it ended, before anything else ends.
            let replaced = catch_unwind(AssertUnwindSafe(|| self.replace(*install)))
                .unwrap_or_else(|panic| Err(latched_by(&*panic).into()));
            let (result, ended) = match replaced {
                Ok(replaced) => (Ok(replaced), Ok(())),
                // It may or may not hold: this process must not go on.
                Err(InstallError::Refused(latched @ Error::Latched { .. })) => {
                    (Err(latched.clone().into()), Err(latched))
                }
                Err(error) => (Err(error), Ok(())),
            };
            // Whoever waited may have gone.
            drop(reply.send(result));
            ended?;
        }
        Ok(())
    }

    fn replace(&mut self, install: Install) -> Result<Replaced, InstallError> {
        let store = &self.store;
        check_role(install.purpose, store)?;
        let published = store.state.read().published;
        let term = store.term();
        let head = plan_head(install.purpose, &install.head, (&published, term));
        let head = head.ok_or(InstallError::Moved)?;
        let mut identity = store.identity();
        let mut before = LogBefore::Kept;
        if let Purpose::Reseed { .. } = install.purpose {
            identity = Identity { cluster_id: install.cluster_id, ..identity };
            before = LogBefore::Removed;
        }
        if let Some(log) = &mut self.log {
            let file = install.file.ok_or(Error::Closed)?;
            log.install(file, identity, &head, before).map_err(|error| match error {
                NotInstalled::Unchanged(failure) => InstallError::Io(failure),
                NotInstalled::Latched(error) => InstallError::Refused(error),
            })?;
        }
        let mut state = install.state;
        if !install.purpose.keeps_history() {
            // Their time began with the image, and does not run while it comes.
            state.leases.postpone(store.clock.monotonic().saturating_sub(install.begun));
        }
        let before = store.replace(state, &head, identity);
        store.stand_anew();
        store.followers.wake();
        let now = Installed { revision: head.revision, sequence: head.sequence, term: head.term };
        Ok(Replaced { now, before })
    }
}

/// A primary is restored, a standby is seeded by the primary of its newest term, and a member in the
/// middle of its promotion gets the numbers of the term that it is to be the primary of.
fn check_role(purpose: Purpose, store: &Store) -> Result<(), InstallError> {
    let standing = store.standing();
    match purpose {
        Purpose::Restore { .. } if !store.takes_writes() => Err(Error::NotPrimary.into()),
        Purpose::Reseed { .. } if standing.role != Role::Standby => Err(Error::NotStandby.into()),
        Purpose::Reseed { newest } if standing.terms.last().copied() != newest => {
            Err(InstallError::Overtaken)
        }
        Purpose::Promotion { term, .. }
            if standing.role != Role::Primary || standing.term() != term =>
        {
            Err(Error::NotPrimary.into())
        }
        _ => Ok(()),
    }
}
