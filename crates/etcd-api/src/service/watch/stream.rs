//! The responses of one Watch call, as a state machine that is polled when the client has room.
//!
//! What is ready goes out in one piece, of bounded length, which takes the client one read and a
//! frame or few. In order of precedence: what is already to be sent; the client's requests; what the engine has;
//! the progress timer. A watcher's `created` is queued in the same step that makes the watcher,
//! before anything is taken from the engine, so it comes before the watcher's first event.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use decube_engine::{Error, Events, Revision, WatchId, WatchItem, WatchRefused, WatchStream};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};

use super::fragment;
use super::outgoing::Outgoing;
use super::pace::Pace;
use super::progress::ProgressNotices;
use crate::answers::StreamBell;
use crate::convert;
use crate::grpc::{self, MessageStream};
use crate::metrics::OpenStream;
use crate::status;
use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// The identity that stands for no watcher, or for all of the stream.
const NO_WATCHER: i64 = -1;

/// Bytes of events taken from the engine in one go.
const TAKE_BYTES_MAX: usize = 256 << 10;

/// Requests handled before the responses to them are sent.
const RESPONSES_QUEUED_MAX: usize = 64;

/// See the module.
pub(super) struct WatchResponses {
    store: Arc<Store>,
    watchers: WatchStream,
    bell: Arc<StreamBell>,
    /// `None` once the client has nothing more to ask; its watchers go on.
    requests: Option<MessageStream>,
    queued: VecDeque<Queued>,
    outgoing: Outgoing,
    fragmenting: HashSet<WatchId>,
    progress: ProgressNotices,
    pace: Pace,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    /// How the engine, or a message that is no request, ended the stream; what is queued is still
    /// sent.
    closed: Option<Status>,
    /// How the call ends, once what is gathered is sent.
    failed: Option<Status>,
    ended: bool,
    open: OpenStream,
}

/// A response that is to be sent.
enum Queued {
    /// Of one watcher, and nothing but events.
    Events { id: WatchId, revision: Revision, events: Events },
    /// Any other.
    Other(Box<pb::WatchResponse>),
}

impl WatchResponses {
    pub(super) fn new(
        store: Arc<Store>,
        (watchers, bell): (WatchStream, Arc<StreamBell>),
        requests: MessageStream,
        draining: CancellationToken,
        open: OpenStream,
    ) -> Self {
        let progress = ProgressNotices::new(store.options.watch_progress_notify_interval);
        Self {
            store,
            watchers,
            bell,
            requests: Some(requests),
            queued: VecDeque::new(),
            outgoing: Outgoing::default(),
            fragmenting: HashSet::new(),
            progress,
            pace: Pace::default(),
            draining: Box::pin(draining.cancelled_owned()),
            closed: None,
            failed: None,
            ended: false,
            open,
        }
    }

    fn poll_requests(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while self.queued.len() < RESPONSES_QUEUED_MAX {
            let Some(requests) = &mut self.requests else { break };
            let received = match requests.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(request))) => self.receive(&request),
                Poll::Ready(Some(Err(error))) if error.code() == Code::Cancelled => {
                    return Err(status::watch_canceled());
                }
                Poll::Ready(Some(Err(error))) => Err(error),
                Poll::Ready(None) => {
                    self.requests = None;
                    break;
                }
                Poll::Pending => break,
            };
            if let Err(error) = received {
                self.requests = None;
                self.closed = Some(error);
            }
        }
        Ok(())
    }

    fn receive(&mut self, request: &Bytes) -> Result<(), Status> {
        self.open.call().received(request.len());
        self.handle(grpc::decode_of_stream(request)?);
        Ok(())
    }

    fn handle(&mut self, request: pb::WatchRequest) {
        use pb::watch_request::RequestUnion;
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(request),
            Some(RequestUnion::CancelRequest(request)) => self.cancel(WatchId(request.watch_id)),
            Some(RequestUnion::ProgressRequest(_)) => self.watchers.request_progress(None),
            None => tracing::debug!("a watch request asks for nothing"),
        }
    }

    fn create(&mut self, request: pb::WatchCreateRequest) {
        let (fragment, progress_notify) = (request.fragment, request.progress_notify);
        match self.watchers.create(convert::watch(request)) {
            Ok((id, revision)) => {
                if fragment {
                    self.fragmenting.insert(id);
                }
                if progress_notify {
                    self.progress.add(id);
                }
                self.reply(pb::WatchResponse {
                    header: self.store.header(revision),
                    watch_id: id.0,
                    created: true,
                    ..Default::default()
                });
            }
            Err(refused) => self.reply(pb::WatchResponse {
                header: self.store.header(self.store.engine.revision()),
                watch_id: NO_WATCHER,
                created: true,
                canceled: true,
                cancel_reason: refusal(refused).to_owned(),
                ..Default::default()
            }),
        }
    }

    fn cancel(&mut self, id: WatchId) {
        if !self.watchers.cancel(id) {
            return;
        }
        self.fragmenting.remove(&id);
        self.progress.remove(id);
        self.reply(pb::WatchResponse {
            header: self.store.header(self.store.engine.revision()),
            watch_id: id.0,
            canceled: true,
            ..Default::default()
        });
    }

    /// Takes what the engine has.
    fn take(&mut self) {
        let items = self.watchers.take(TAKE_BYTES_MAX);
        // What is read from history comes no later in fewer messages.
        if !self.watchers.is_behind() {
            self.pace.sending(items.len());
        }
        for item in items {
            match item {
                WatchItem::Events { id, revision, events } => {
                    self.progress.skip_next(id);
                    self.open.events_sent(events.len());
                    if self.fragmenting.contains(&id) {
                        self.reply_in_fragments(id, revision, events);
                    } else {
                        self.queued.push_back(Queued::Events { id, revision, events });
                    }
                }
                WatchItem::Progress { id, revision } => self.reply(pb::WatchResponse {
                    header: self.store.header(revision),
                    watch_id: id.map_or(NO_WATCHER, |id| id.0),
                    ..Default::default()
                }),
                // etcd tells no revision and no reason here; clients go by `compact_revision`.
                WatchItem::Compacted { id, compact_revision } => {
                    self.reply(pb::WatchResponse {
                        header: self.store.header(Revision(0)),
                        watch_id: id.0,
                        canceled: true,
                        compact_revision: compact_revision.0,
                        ..Default::default()
                    });
                }
                WatchItem::Closed => self.closed = Some(status::stopped()),
                WatchItem::Latched { reason } => {
                    self.closed = Some(status::refusal(&Error::Latched { reason }));
                }
            }
        }
    }

    fn reply(&mut self, response: pb::WatchResponse) {
        self.queued.push_back(Queued::Other(Box::new(response)));
    }

    fn reply_in_fragments(&mut self, id: WatchId, revision: Revision, events: Events) {
        let response = pb::WatchResponse {
            header: self.store.header(revision),
            watch_id: id.0,
            events: events.into_iter().map(convert::event).collect(),
            ..Default::default()
        };
        for fragment in fragment::split(response, self.store.options.message_bytes_max()) {
            self.reply(fragment);
        }
    }

    /// Encodes what is queued, as far as it fits into one piece.
    fn encode(&mut self) -> Result<(), Status> {
        let call = self.open.call();
        while !self.outgoing.is_full() {
            match self.queued.pop_front() {
                Some(Queued::Events { id, revision, events }) => {
                    let of = (id, revision);
                    let header = || self.store.header(revision);
                    self.outgoing.add_events(of, events, header, call)?;
                }
                Some(Queued::Other(response)) => self.outgoing.add(&response, call)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Gathers what is ready; ready when there is some of it, or the call ends.
    fn poll_gather(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        loop {
            self.encode()?;
            if self.outgoing.is_full() {
                return Poll::Ready(Ok(()));
            }
            if let Some(status) = self.closed.take() {
                return Poll::Ready(Err(status));
            }
            if self.draining.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(status::stopped()));
            }
            self.poll_requests(context)?;
            if self.pace.poll_rested(context).is_ready() {
                self.bell.arm(context);
                self.take();
            }
            if !self.queued.is_empty() || self.closed.is_some() {
                continue;
            }
            if !self.outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let Poll::Ready(due) = self.progress.poll_due(context) else { return Poll::Pending };
            for id in due {
                self.watchers.request_progress(Some(id));
            }
        }
    }
}

impl Stream for WatchResponses {
    type Item = Result<Bytes, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.failed.is_none() {
            self.failed = ready!(self.poll_gather(context)).err();
        }
        if !self.outgoing.is_empty() {
            return Poll::Ready(Some(Ok(self.outgoing.take())));
        }
        let Some(status) = self.failed.take() else { return Poll::Pending };
        self.ended = true;
        self.open.end(status.code());
        Poll::Ready(Some(Err(status)))
    }
}

/// Why there is no watcher, in etcd's words where it has some.
fn refusal(refused: WatchRefused) -> &'static str {
    match refused {
        WatchRefused::EmptyRange => "mvcc: watcher range is empty",
        WatchRefused::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        WatchRefused::NegativeStart => status::COMPACTED,
        WatchRefused::TooManyWatchers => "etcdserver: too many watchers on one stream",
        WatchRefused::Closed => "etcdserver: server stopped",
    }
}
