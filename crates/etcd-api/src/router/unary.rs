//! The calls of one message and one answer.

use bytes::Bytes;
use http::Response;
use http_body::Body;
use hyper::body::Incoming;
use tonic::Status;

use super::Router;
use crate::grpc::{self, Method, ReplyBody};
use crate::metrics::{Call, OpenStream};
use crate::service;
use crate::status;
use crate::wire::etcdserverpb as pb;
use crate::wire::health;

impl Router {
    pub(super) async fn unary(&self, method: Method, body: Incoming) -> Response<ReplyBody> {
        let store = &*self.store;
        match method {
            Method::Range | Method::RangeStream => self.range(method, body).await,
            Method::Put => self.call(method, body, async |r| service::put(store, r).await).await,
            Method::Txn => self.call(method, body, async |r| service::txn(store, r).await).await,
            // The rest is rare: boxed, so that its state does not swell that of every call.
            _ => Box::pin(self.rare_unary(method, body)).await,
        }
    }

    pub(super) async fn range<B>(&self, method: Method, body: B) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (call, arriving) = (self.counted(method), &self.store.arriving);
        if method == Method::Range {
            let handler = async |r| service::range(&self.store, r);
            return grpc::unary(body, arriving, call, handler, grpc::range_response).await;
        }
        let handler = async |r| service::range_stream(&self.store, r);
        let respond = |chunks, _: Call<'_>| {
            grpc::streamed_response(chunks, OpenStream::new(&self.counters, method))
        };
        grpc::unary(body, arriving, call, handler, respond).await
    }

    async fn rare_unary(&self, method: Method, body: Incoming) -> Response<ReplyBody> {
        let store = &*self.store;
        match method {
            Method::DeleteRange => {
                self.call(method, body, async |r| service::delete_range(store, r).await).await
            }
            Method::Compact => {
                self.call(method, body, async |r| service::compact(store, r).await).await
            }
            Method::LeaseGrant => {
                self.call(method, body, async |r| service::lease_grant(store, r).await).await
            }
            Method::LeaseRevoke => {
                self.call(method, body, async |r| service::lease_revoke(store, r).await).await
            }
            Method::LeaseTimeToLive => {
                self.call(method, body, async |r| service::lease_time_to_live(store, &r)).await
            }
            Method::LeaseLeases => {
                let answer = async |_: pb::LeaseLeasesRequest| Ok(service::lease_leases(store));
                self.call(method, body, answer).await
            }
            Method::MemberList => {
                let answer = async |_: pb::MemberListRequest| Ok(service::member_list(store));
                self.call(method, body, answer).await
            }
            Method::Alarm => {
                self.call(method, body, async |r| service::alarm(store, r).await).await
            }
            Method::Status => {
                let answer = async |_: pb::StatusRequest| Ok(service::member_status(store));
                self.call(method, body, answer).await
            }
            Method::Defragment => {
                self.call(method, body, async |_: pb::DefragmentRequest| Ok(service::defragment()))
                    .await
            }
            Method::Hash => {
                self.call(method, body, async |_: pb::HashRequest| service::hash(store)).await
            }
            Method::HashKv => self.call(method, body, async |r| service::hash_kv(store, r)).await,
            Method::HealthCheck => {
                self.call(method, body, async |r| service::health_check(&r)).await
            }
            Method::HealthList => {
                let answer = async |_: health::HealthListRequest| Ok(service::health_list());
                self.call(method, body, answer).await
            }
            _ => grpc::error_response(status::unimplemented(method.name())),
        }
    }

    async fn call<Message, Reply>(
        &self,
        method: Method,
        body: Incoming,
        handler: impl AsyncFnOnce(Message) -> Result<Reply, Status>,
    ) -> Response<ReplyBody>
    where
        Message: prost::Message + prost::Name + Default,
        Reply: prost::Message,
    {
        let (arriving, call) = (&self.store.arriving, self.counted(method));
        grpc::unary(body, arriving, call, handler, grpc::message_response).await
    }
}
