//! Messages that a client compressed, by gzip: what etcd takes too, and every client of gRPC has.
//!
//! Answers are never compressed, which any client understands.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use tonic::Status;

/// What it begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Of what a client may compress in pieces. To begin one takes as long as to read kilobytes, and an
/// empty one is 20 bytes: a request of 100,000 would hold up all clients of a worker.
const MEMBERS_MAX: usize = 16;

/// The message that was compressed; never takes more memory than one of `bytes_max`.
pub(super) fn inflate(compressed: &[u8], bytes_max: usize) -> Result<Bytes, Status> {
    if !compressed.starts_with(&MAGIC) {
        let text = "grpc: the message is compressed, and not by gzip, the one encoding known here";
        return Err(Status::unimplemented(text));
    }
    let (mut message, mut rest) = (Vec::new(), compressed);
    for _ in 0..MEMBERS_MAX {
        let room = bytes_max + 1 - message.len();
        let mut member = GzDecoder::new(rest).take(room as u64);
        member.read_to_end(&mut message).map_err(|error| {
            Status::internal(format!("grpc: failed to decompress the received message: {error}"))
        })?;
        if message.len() > bytes_max {
            let text = format!("grpc: message after decompression larger than max {bytes_max}");
            return Err(Status::resource_exhausted(text));
        }
        rest = member.into_inner().into_inner();
        if rest.is_empty() {
            return Ok(message.into());
        }
    }
    let text = format!("grpc: the message is compressed in more than {MEMBERS_MAX} pieces");
    Err(Status::resource_exhausted(text))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tonic::Code;

    use super::*;

    fn deflate(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(message).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    #[test]
    fn what_was_compressed_comes_back_up_to_the_bound() {
        for message in [&b""[..], b"a message", &[7; 1_000]] {
            assert_eq!(inflate(&deflate(message), 1_000).expect("it fits"), message);
        }
        let longer = inflate(&deflate(&[7; 1_001]), 1_000).expect_err("a byte too many");
        assert_eq!(longer.code(), Code::ResourceExhausted);
        // A bomb is not blown up: a gigabyte of zeros is a megabyte of gzip.
        let bomb = inflate(&deflate(&vec![0; 64 << 20]), 1_000).expect_err("it is no message");
        assert_eq!(bomb.code(), Code::ResourceExhausted);
    }

    #[test]
    fn what_was_compressed_in_pieces_comes_back_unless_they_are_many() {
        let pieces = [deflate(b"a "), deflate(b""), deflate(b"message")].concat();
        assert_eq!(inflate(&pieces, 9).expect("it fits"), &b"a message"[..]);
        assert_eq!(inflate(&pieces, 8).expect_err("too long").code(), Code::ResourceExhausted);
        let damaged = [&pieces[..], b"behind"].concat();
        assert_eq!(inflate(&damaged, 9).expect_err("no gzip").code(), Code::Internal);
        let many = deflate(b"").repeat(MEMBERS_MAX);
        assert_eq!(inflate(&many, 9).expect("not too many"), &b""[..]);
        let too_many = [many, deflate(b"")].concat();
        assert_eq!(inflate(&too_many, 9).expect_err("too many").code(), Code::ResourceExhausted);
    }

    #[test]
    fn what_is_no_gzip_or_damaged_is_refused() {
        let refused = |bytes: &[u8]| inflate(bytes, 1_000).expect_err("no message").code();
        assert_eq!(refused(b"a message"), Code::Unimplemented);
        assert_eq!(refused(b""), Code::Unimplemented);
        let whole = deflate(b"a message");
        assert_eq!(refused(&whole[..whole.len() - 1]), Code::Internal);
        let mut damaged = whole;
        damaged[12] ^= 0x55;
        assert_eq!(refused(&damaged), Code::Internal);
    }
}
