//! The responses of one Watch call, as a state machine that is polled when the client has room.
//!
//! In order of precedence: what is already to be sent; the client's requests; what the engine has;
//! the progress timer. A watcher's `created` is queued in the same step that makes the watcher,
//! before anything is taken from the engine, so it comes before the watcher's first event.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use decube_engine::{Revision, WatchId, WatchItem, WatchRefused, WatchStream};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, Streaming};

use super::fragment;
use super::progress::ProgressNotices;
use crate::answers::StreamBell;
use crate::convert;
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
    requests: Option<Streaming<pb::WatchRequest>>,
    outbox: VecDeque<pb::WatchResponse>,
    fragmenting: HashSet<WatchId>,
    progress: ProgressNotices,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The store closed; what is queued is still sent.
    closed: bool,
    ended: bool,
    open: OpenStream,
}

impl WatchResponses {
    pub(super) fn open(
        store: Arc<Store>,
        requests: Streaming<pb::WatchRequest>,
        draining: CancellationToken,
        open: OpenStream,
    ) -> Result<Self, Status> {
        let (watchers, bell) = store.watch_stream()?;
        let progress = ProgressNotices::new(store.options.watch_progress_notify_interval);
        Ok(Self {
            store,
            watchers,
            bell,
            requests: Some(requests),
            outbox: VecDeque::new(),
            fragmenting: HashSet::new(),
            progress,
            draining: Box::pin(draining.cancelled_owned()),
            closed: false,
            ended: false,
            open,
        })
    }

    fn poll_requests(&mut self, context: &mut Context<'_>) -> Result<(), Status> {
        while self.outbox.len() < RESPONSES_QUEUED_MAX {
            let Some(requests) = &mut self.requests else { break };
            match Pin::new(requests).poll_next(context) {
                Poll::Ready(Some(Ok(request))) => self.handle(request),
                Poll::Ready(Some(Err(error))) if error.code() == Code::Cancelled => {
                    return Err(status::watch_canceled());
                }
                Poll::Ready(Some(Err(error))) => return Err(error),
                Poll::Ready(None) => self.requests = None,
                Poll::Pending => break,
            }
        }
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
                self.outbox.push_back(pb::WatchResponse {
                    header: self.store.header(revision),
                    watch_id: id.0,
                    created: true,
                    ..Default::default()
                });
            }
            Err(refused) => self.outbox.push_back(pb::WatchResponse {
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
        self.outbox.push_back(pb::WatchResponse {
            header: self.store.header(self.store.engine.revision()),
            watch_id: id.0,
            canceled: true,
            ..Default::default()
        });
    }

    /// Takes what the engine has.
    fn take(&mut self) {
        for item in self.watchers.take(TAKE_BYTES_MAX) {
            match item {
                WatchItem::Events { id, revision, events } => {
                    self.progress.skip_next(id);
                    self.open.events_sent(events.len());
                    let response = pb::WatchResponse {
                        header: self.store.header(revision),
                        watch_id: id.0,
                        events: events.into_iter().map(convert::event).collect(),
                        ..Default::default()
                    };
                    if self.fragmenting.contains(&id) {
                        let bytes_max = self.store.options.message_bytes_max();
                        self.outbox.extend(fragment::split(response, bytes_max));
                    } else {
                        self.outbox.push_back(response);
                    }
                }
                WatchItem::Progress { id, revision } => self.outbox.push_back(pb::WatchResponse {
                    header: self.store.header(revision),
                    watch_id: id.map_or(NO_WATCHER, |id| id.0),
                    ..Default::default()
                }),
                // etcd tells no revision and no reason here; clients go by `compact_revision`.
                WatchItem::Compacted { id, compact_revision } => {
                    self.outbox.push_back(pb::WatchResponse {
                        header: self.store.header(Revision(0)),
                        watch_id: id.0,
                        canceled: true,
                        compact_revision: compact_revision.0,
                        ..Default::default()
                    });
                }
                WatchItem::Closed => self.closed = true,
            }
        }
    }

    fn poll_response(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<pb::WatchResponse, Status>> {
        loop {
            if let Some(response) = self.outbox.pop_front() {
                return Poll::Ready(Ok(response));
            }
            if self.closed || self.draining.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(status::stopped()));
            }
            self.poll_requests(context)?;
            self.bell.arm(context);
            self.take();
            if self.outbox.is_empty() && !self.closed {
                match self.progress.poll_due(context) {
                    Poll::Ready(due) => {
                        for id in due {
                            self.watchers.request_progress(Some(id));
                        }
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }
}

impl Stream for WatchResponses {
    type Item = Result<pb::WatchResponse, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<pb::WatchResponse, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.poll_response(context);
        if let Poll::Ready(Err(status)) = &polled {
            let code = status.code();
            self.ended = true;
            self.open.end(code);
        }
        polled.map(Some)
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
