use proptest::prelude::*;

use super::*;

fn version<'a>(key: &'a [u8], value: &'a [u8], numbers: [i64; 4]) -> Version<'a> {
    let [create, modified, version, lease] = numbers;
    Version {
        key,
        value,
        create_revision: Revision(create),
        mod_revision: Revision(modified),
        sub_revision: 3,
        version,
        lease: LeaseId(lease),
    }
}

fn decode(revision: i64, tombstone: bool, message: &[u8]) -> Option<Record> {
    Record::decode(Revision(revision), 3, tombstone, message)
}

/// What a message says, made again.
fn made_again(record: &Record) -> Record {
    let numbers =
        [record.create_revision().0, record.mod_revision().0, record.version(), record.lease().0];
    Record::put(&version(record.key(), record.value(), numbers))
}

#[test]
fn a_record_is_the_same_when_it_was_decoded() {
    for numbers in [[0; 4], [1; 4], [127, 128, 16_383, 16_384], [i64::MAX, 5, 1, i64::MIN], [-1; 4]]
    {
        for (key, value) in [(&b"key"[..], &b"value"[..]), (b"", b""), (b"key", &[7; 16_384])] {
            let record = Record::put(&version(key, value, numbers));
            let decoded = decode(numbers[1], false, record.message()).unwrap();
            assert_eq!(decoded, record);
            assert_eq!((decoded.key(), decoded.value()), (key, value));
            assert_eq!(decoded.lease(), LeaseId(numbers[3]));
        }
    }
    let gone = Record::tombstone(b"key", Revision(5), 3);
    assert_eq!(decode(5, true, gone.message()), Some(gone));
}

#[test]
fn a_message_that_nothing_here_made_is_refused() {
    let good = Record::put(&version(b"k", b"v", [2, 300, 1, 9]));
    assert_eq!(good.message(), b"\x0a\x01k\x10\x02\x18\xac\x02\x20\x01\x2a\x01v\x30\x09");
    for wrong in [
        &b"\x0a\x01k\x10\x02\x18\xac\x02\x20\x01\x2a\x02v\x30\x09"[..], // a wrong length
        b"\x0a\x81\x00k\x10\x02\x18\xac\x02\x20\x01\x2a\x01v",          // a length of two bytes
        b"\x0a\x01k\x10\x82\x00\x18\xac\x02\x20\x01\x2a\x01v",          // a number of two bytes
        b"\x0a\x01k\x10\x00\x18\xac\x02\x20\x01\x2a\x01v",              // a zero
        b"\x0a\x01k\x10\x02\x18\xac\x02\x20\x01\x2a\x00",               // an empty value
        b"\x0a\x01k\x10\x02\x18\xac\x01\x20\x01\x2a\x01v",              // another revision
        b"\x0a\x01k\x10\x02\x20\x01\x2a\x01v",                          // no revision
        b"\x10\x02\x0a\x01k\x18\xac\x02\x20\x01\x2a\x01v",              // another order
        b"\x0a\x01k\x18\xac\x02\x18\xac\x02",                           // twice
        b"\x0a\x01k\x18\xac\x02\x38\x01",                               // an unknown field
        b"\x0a\x01k\x18\xac\x02\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03", // above 64 bits
        b"\x0a\x01k\x18\xac",                                           // cut short
    ] {
        assert_eq!(decode(300, false, wrong), None, "{wrong:x?}");
    }
    assert_eq!(decode(300, true, good.message()), None, "a tombstone with a value");
}

#[test]
fn what_points_to_a_record_is_one_word() {
    assert_eq!(size_of::<Option<Record>>(), size_of::<usize>());
}

proptest! {
    #[test]
    fn what_is_decoded_is_what_its_fields_would_be_encoded_as(
        key in prop::collection::vec(any::<u8>(), 0..4),
        value in prop::collection::vec(any::<u8>(), 0..4),
        numbers in prop::array::uniform4(-2..300_i64),
        at in 0..30_usize,
        byte in any::<u8>(),
        inserted in any::<bool>(),
    ) {
        let mut message = Record::put(&version(&key, &value, numbers)).message().to_vec();
        let at = at.min(message.len());
        match message.get_mut(at) {
            Some(slot) if !inserted => *slot = byte,
            _ => message.insert(at, byte),
        }
        if let Some(record) = decode(numbers[1], false, &message) {
            prop_assert_eq!(made_again(&record), record);
        }
    }
}
