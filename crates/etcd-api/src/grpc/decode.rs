//! Requests from their bytes.
//!
//! A field whose bytes are of another type than the field's is to etcd one that it does not know:
//! it is skipped, as in every message that Go reads. The library here refuses it. So where a message
//! is refused, it is looked at again without such fields.

mod mistyped;

use bytes::Bytes;
use prost::{Message, Name};
use tonic::Status;

/// The request of a unary call.
pub(crate) fn decode<M: Message + Name + Default>(message: &Bytes) -> Result<M, Status> {
    read(message).ok_or_else(|| invalid("error unmarshalling request"))
}

/// A message of a stream.
pub(crate) fn decode_of_stream<M: Message + Name + Default>(message: &Bytes) -> Result<M, Status> {
    read(message).ok_or_else(|| invalid("failed to unmarshal the received message"))
}

fn read<M: Message + Name + Default>(message: &Bytes) -> Option<M> {
    M::decode(message.clone()).ok().or_else(|| {
        let readable = mistyped::without(&M::full_name(), message)?;
        M::decode(Bytes::from(readable)).ok()
    })
}

/// In the words of etcd's library, whatever is wrong.
fn invalid(what: &str) -> Status {
    Status::internal(format!("grpc: {what}: proto: cannot parse invalid wire-format data"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::etcdserverpb::{PutRequest, TxnRequest};

    #[test]
    fn what_is_no_message_is_told_in_etcds_words() {
        let told = decode::<PutRequest>(&Bytes::from_static(b"\x0a\x05k")).expect_err("no message");
        let text = "grpc: error unmarshalling request: \
                    proto: cannot parse invalid wire-format data";
        assert_eq!((told.code(), told.message()), (tonic::Code::Internal, text));
        let told =
            decode_of_stream::<PutRequest>(&Bytes::from_static(b"\0")).expect_err("no message");
        let text = "grpc: failed to unmarshal the received message: \
                    proto: cannot parse invalid wire-format data";
        assert_eq!(told.message(), text);
    }

    #[test]
    fn a_field_of_another_type_is_skipped_however_deep() {
        // A value that is a number.
        let put = decode::<PutRequest>(&Bytes::from_static(b"\x0a\x01k\x10\x07\x18\x05"));
        let expected = PutRequest { key: "k".into(), lease: 5, ..PutRequest::default() };
        assert_eq!(put.expect("a put"), expected);
        // The same within a transaction.
        let txn = decode::<TxnRequest>(&Bytes::from_static(b"\x12\x07\x12\x05\x0a\x01k\x10\x07"));
        let good = decode::<TxnRequest>(&Bytes::from_static(b"\x12\x05\x12\x03\x0a\x01k"));
        assert_eq!(txn.expect("a transaction"), good.expect("a transaction"));
    }
}
