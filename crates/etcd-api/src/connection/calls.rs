//! Which calls of a connection are open: from their headers to the last frame of their answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use crate::grpc::ReplyBody;

/// Every open call of one connection holds a clone. Counted by the clones alone, because each call
/// makes one and nothing else is to be known of them.
#[derive(Clone, Default)]
pub(super) struct OpenCalls(Arc<()>);

impl OpenCalls {
    /// Whether there are more clones than `standing`, which belong to no call.
    pub(super) fn any_beyond(&self, standing: usize) -> bool {
        Arc::strong_count(&self.0) > standing
    }
}

/// The answer to a call, which is open until it is dropped.
pub(super) struct AnswerBody {
    pub(super) body: ReplyBody,
    pub(super) _call: OpenCalls,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
