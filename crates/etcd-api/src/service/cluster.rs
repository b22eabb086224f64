//! Cluster: who serves the store. Here always one member.

use decube_engine::Revision;

use crate::store::Store;
use crate::wire::etcdserverpb as pb;

/// The one member. Clients that synchronise their endpoints replace them with its client URLs, so
/// these must be reachable. As in etcd the header tells no revision.
pub(crate) fn member_list(store: &Store) -> pb::MemberListResponse {
    let member = pb::Member {
        id: store.identity().member_id,
        name: store.options.member_name.clone(),
        peer_ur_ls: store.options.advertise_peer_urls.clone(),
        client_ur_ls: store.options.advertise_client_urls.clone(),
        is_learner: false,
    };
    pb::MemberListResponse { header: store.header(Revision(0)), members: vec![member] }
}
