//! The engine, as one worker's services reach it.

use std::sync::Arc;

use decube_engine::{Command, CommandKind, Engine, Mailbox, Outcome, Revision};
use tokio::time::Instant;
use tonic::Status;

use crate::answers::{Answers, Ringer, StreamBell};
use crate::grpc::Arriving;
use crate::metrics::{Asked, Counters};
use crate::options::ServeOptions;
use crate::status;
use crate::wire::etcdserverpb::ResponseHeader;

/// What etcd's raft envelope adds to a request; the request limit is measured with it.
const ENVELOPE_BYTES: usize = 18;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) cluster_id: u64,
    pub(crate) member_id: u64,
    pub(crate) term: u64,
}

/// The engine with this worker's inbox and the limits that hold before it.
pub(crate) struct Store {
    pub(crate) engine: Engine,
    pub(crate) options: Arc<ServeOptions>,
    /// This worker's.
    pub(crate) arriving: Arc<Arriving>,
    pub(crate) counters: Arc<Counters>,
    answers: Arc<Answers>,
    mailbox: Arc<dyn Mailbox>,
}

impl Store {
    pub(crate) fn new(
        engine: Engine,
        options: Arc<ServeOptions>,
        answers: Arc<Answers>,
        counters: Arc<Counters>,
    ) -> Self {
        let mailbox = Arc::<Answers>::clone(&answers);
        let arriving = Arc::new(Arriving::new(
            options.message_bytes_max(),
            options.arriving_bytes_max,
            options.arriving_timeout,
        ));
        Self { engine, options, arriving, counters, answers, mailbox }
    }

    /// Makes a change and waits until it is durable.
    pub(crate) async fn execute(&self, command: Command) -> Result<Outcome, Status> {
        let kind = CommandKind::of(&command);
        let begun = Instant::now();
        let answer = self.answer(|ticket| self.engine.submit(command, &self.mailbox, ticket)).await;
        if let Some(kind) = kind {
            self.counters.times.answered(Asked::Command(kind), begun, answer.is_ok());
        }
        answer
    }

    /// Reads, which waits for nothing.
    pub(crate) fn read<T>(
        &self,
        asked: Asked,
        by: impl FnOnce(&Engine) -> Result<T, decube_engine::Error>,
    ) -> Result<T, Status> {
        let begun = Instant::now();
        let read = by(&self.engine);
        self.counters.times.answered(asked, begun, read.is_ok());
        read.map_err(|error| status::refusal(&error))
    }

    /// Waits until nothing is left of what a compaction made unreachable.
    pub(crate) async fn dropped(&self, through: Revision) -> Result<(), Status> {
        let asked = |ticket| self.engine.tell_when_dropped(through, &self.mailbox, ticket);
        self.answer(asked).await.map(|_compact| ())
    }

    async fn answer(
        &self,
        by: impl FnOnce(u64) -> Result<(), decube_engine::Error>,
    ) -> Result<Outcome, Status> {
        let outcome = match self.answers.ask(by) {
            Ok(answered) => answered.await,
            Err(error) => Err(error),
        };
        outcome.map_err(|error| status::refusal(&error))
    }

    /// Refuses a write that is above the request limit.
    pub(crate) fn check_size(&self, request: &impl prost::Message) -> Result<(), Status> {
        if request.encoded_len() + ENVELOPE_BYTES > self.options.request_bytes_max {
            return Err(status::request_too_large());
        }
        Ok(())
    }

    /// Who answers at this moment: a standby that is seeded takes over its primary's cluster, and a
    /// promotion begins a term.
    pub(crate) fn identity(&self) -> Identity {
        let decube_engine::log::Identity { cluster_id, member_id } = self.engine.identity();
        Identity { cluster_id, member_id, term: self.engine.log_term() }
    }

    /// A header that tells this revision.
    #[expect(clippy::unnecessary_wraps, reason = "the field of every response is an option")]
    pub(crate) fn header(&self, revision: Revision) -> Option<ResponseHeader> {
        let Identity { cluster_id, member_id, term } = self.identity();
        Some(ResponseHeader { cluster_id, member_id, revision: revision.0, raft_term: term })
    }

    /// Opens a watch stream with the bell that tells when to look.
    pub(crate) fn watch_stream(
        &self,
    ) -> Result<(decube_engine::WatchStream, Arc<StreamBell>), Status> {
        let bell = Arc::new(StreamBell::default());
        let ringer = Ringer { bell: Arc::clone(&bell), answers: Arc::clone(&self.answers) };
        let stream = self.engine.watch_stream(Arc::new(ringer));
        Ok((stream.map_err(|error| status::refusal(&error))?, bell))
    }
}
