//! Frames: the entries of the log as bytes. Layout in `docs/store-format.md`, section 3.
//!
//! ```text
//! 0            4             8          16     24     32         40              44     45      48
//! | length u32 | payload crc | sequence | term | wall | revision | place in commit | kind | magic | header crc
//! 52 payload .. | 1 byte end
//! ```
//!
//! Header and payload have checksums of their own: a damaged payload leaves the length trustworthy,
//! and a header alone proves that the commits before its own were durable. The end byte is never
//! zero, so a frame whose last bytes never reached the disk shows it.

use std::io;
use std::time::Duration;

use bytes::{Buf, BufMut};

use super::ENTRY_BYTES_MAX;
use super::follow::Stamp;
use super::header::nanoseconds;
use super::window::Window;
use crate::entry::Entry;
use crate::record::Record;
use crate::types::{Alarm, AlarmKind, LeaseId, Revision};

/// Bytes before the payload.
pub(crate) const FRAME_HEADER_BYTES: usize = 52;
/// Bytes of a frame besides its payload.
pub(crate) const FRAME_OVERHEAD_BYTES: usize = FRAME_HEADER_BYTES + 1;

const MAGIC: [u8; 3] = [0xdb, 0xf7, 0xa3];
/// Before the checksum of the header, which comes last in it.
const CHECKED_BYTES: usize = FRAME_HEADER_BYTES - 4;
/// Where the magic stands, for a quick no.
const MAGIC_AT: usize = CHECKED_BYTES - MAGIC.len();
const END: u8 = 0xf5;
/// Marks the message of a tombstone, in the length before it.
const TOMBSTONE: u32 = 1 << 31;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Write = 1,
    LeaseGrant = 2,
    LeaseKeepAlive = 3,
    LeaseEnd = 4,
    Compact = 5,
    /// Carries nothing and takes no sequence number (it bears the next one): the log was closed, so
    /// everything before it is durable.
    Closed = 6,
    Alarm = 7,
}

impl Kind {
    fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Write { .. } => Self::Write,
            Entry::LeaseGrant { .. } => Self::LeaseGrant,
            Entry::LeaseKeepAlive { .. } => Self::LeaseKeepAlive,
            Entry::LeaseEnd { .. } => Self::LeaseEnd,
            Entry::Compact { .. } => Self::Compact,
            Entry::Alarm { .. } => Self::Alarm,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Write,
            Self::LeaseGrant,
            Self::LeaseKeepAlive,
            Self::LeaseEnd,
            Self::Compact,
            Self::Closed,
            Self::Alarm,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) sequence: u64,
    pub(crate) term: u64,
    pub(crate) wall: Duration,
    /// The store's revision after this entry.
    pub(crate) revision: Revision,
    /// Frames before it in the same commit.
    pub(crate) place: u32,
    pub(crate) kind: Kind,
    length: u32,
    payload_checksum: u32,
}

impl FrameHeader {
    /// Reads a header; `None` if these bytes are not one.
    pub(crate) fn decode(salt: u32, bytes: &[u8]) -> Option<Self> {
        let (mut body, mut checksum) = bytes.split_at_checked(CHECKED_BYTES)?;
        if !body.ends_with(&MAGIC)
            || checksum.try_get_u32_le().ok()? != crc32c::crc32c_append(salt, body)
        {
            return None;
        }
        let length = body.try_get_u32_le().ok()?;
        let payload_checksum = body.try_get_u32_le().ok()?;
        Some(Self {
            sequence: body.try_get_u64_le().ok()?,
            term: body.try_get_u64_le().ok()?,
            wall: Duration::from_nanos(body.try_get_u64_le().ok()?),
            revision: Revision(body.try_get_i64_le().ok()?),
            place: body.try_get_u32_le().ok()?,
            kind: Kind::from_byte(body.try_get_u8().ok()?)?,
            length,
            payload_checksum,
        })
    }

    /// Whether a header may start here; cheap, and wrong once in 16 million.
    pub(crate) fn is_likely(bytes: &[u8]) -> bool {
        bytes.get(MAGIC_AT..CHECKED_BYTES) == Some(&MAGIC[..])
    }

    /// Of the commit it belongs to, the first frame's sequence number.
    pub(crate) fn commit_start(&self) -> u64 {
        self.sequence.saturating_sub(u64::from(self.place))
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.frame_length() as u64
    }

    /// Bytes of the whole frame, in memory.
    pub(crate) fn frame_length(&self) -> usize {
        self.payload_length() + FRAME_OVERHEAD_BYTES
    }

    pub(crate) fn payload_length(&self) -> usize {
        self.length as usize
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let Self { sequence, term, wall, revision, .. } = *self;
        Stamp { sequence, term, wall, revision }
    }

    /// The same frame in another commit.
    pub(crate) fn in_place(self, place: u32) -> Self {
        Self { place, ..self }
    }

    /// The header as it stands in a file of this salt.
    pub(crate) fn encode(&self, salt: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let mut out = &mut bytes[..];
        out.put_u32_le(self.length);
        out.put_u32_le(self.payload_checksum);
        out.put_u64_le(self.sequence);
        out.put_u64_le(self.term);
        out.put_u64_le(nanoseconds(self.wall));
        out.put_i64_le(self.revision.0);
        out.put_u32_le(self.place);
        out.put_u8(self.kind as u8);
        out.put_slice(&MAGIC);
        let (body, mut checksum) = bytes.split_at_mut(CHECKED_BYTES);
        checksum.put_u32_le(crc32c::crc32c_append(salt, body));
        bytes
    }
}

/// Where a frame to be written stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) salt: u32,
    /// Frames before it in the same commit.
    pub(crate) in_commit: u32,
    pub(crate) stamp: Stamp,
}

/// Appends a frame. `None`, and nothing appended, if the entry is above [`ENTRY_BYTES_MAX`].
pub(crate) fn encode(out: &mut Vec<u8>, place: &Place, entry: &Entry) -> Option<()> {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    encode_entry(out, entry);
    let done = seal(out, start, place, Kind::of(entry));
    if done.is_none() {
        out.truncate(start);
    }
    done
}

/// Appends the mark of a closed log.
pub(crate) fn encode_closed(out: &mut Vec<u8>, place: &Place) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    seal(out, start, place, Kind::Closed).expect("a frame without payload is below the limit");
}

/// Fills in the header of the frame that starts at `start` and ends it.
fn seal(out: &mut Vec<u8>, start: usize, place: &Place, kind: Kind) -> Option<()> {
    let payload = out.get(start + FRAME_HEADER_BYTES..)?;
    if payload.len() > ENTRY_BYTES_MAX {
        return None;
    }
    let Stamp { sequence, term, wall, revision } = place.stamp;
    let header = FrameHeader {
        sequence,
        term,
        wall,
        revision,
        place: place.in_commit,
        kind,
        length: u32::try_from(payload.len()).ok()?,
        payload_checksum: crc32c::crc32c(payload),
    };
    out.get_mut(start..start + FRAME_HEADER_BYTES)?.copy_from_slice(&header.encode(place.salt));
    out.push(END);
    Some(())
}

/// Reads the frame at `offset`; `None` if there is no whole and undamaged one.
pub(crate) fn read<'a>(
    window: &'a mut Window<'_>,
    salt: u32,
    offset: u64,
) -> io::Result<Option<(FrameHeader, &'a [u8])>> {
    let Some(header) = FrameHeader::decode(salt, window.at(offset, FRAME_HEADER_BYTES)?) else {
        return Ok(None);
    };
    let frame = window.at(offset, header.length as usize + FRAME_OVERHEAD_BYTES)?;
    Ok(payload(&header, frame).map(|payload| (header, payload)))
}

/// The payload of a whole frame; `None` if it is cut short or damaged.
pub(crate) fn payload<'a>(header: &FrameHeader, frame: &'a [u8]) -> Option<&'a [u8]> {
    let end = FRAME_HEADER_BYTES + header.length as usize;
    let payload = frame.get(FRAME_HEADER_BYTES..end)?;
    let whole = frame.get(end) == Some(&END) && crc32c::crc32c(payload) == header.payload_checksum;
    whole.then_some(payload)
}

/// Appends a frame with another salt and place; its payload is known to be undamaged.
pub(crate) fn reseal(out: &mut Vec<u8>, salt: u32, header: &FrameHeader, payload: &[u8]) {
    out.extend_from_slice(&header.encode(salt));
    out.extend_from_slice(payload);
    out.push(END);
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Write { records, .. } => encode_records(out, records),
        Entry::LeaseGrant { id, ttl_s, expires_at } => {
            out.put_i64_le(id.0);
            out.put_i64_le(*ttl_s);
            out.put_u64_le(nanoseconds(*expires_at));
        }
        Entry::LeaseKeepAlive { id, expires_at } => {
            out.put_i64_le(id.0);
            out.put_u64_le(nanoseconds(*expires_at));
        }
        Entry::LeaseEnd { id, .. } => out.put_i64_le(id.0),
        Entry::Compact { revision } => out.put_i64_le(revision.0),
        Entry::Alarm { alarm, raised } => {
            encode_alarm(out, *alarm);
            out.put_u8(u8::from(*raised));
        }
    }
}

/// An alarm as it lies in a frame and in an image.
pub(crate) fn encode_alarm(out: &mut Vec<u8>, alarm: Alarm) {
    out.put_u64_le(alarm.member_id);
    out.put_u8(match alarm.kind {
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    });
}

pub(crate) fn decode_alarm(input: &mut &[u8]) -> Option<Alarm> {
    let member_id = input.try_get_u64_le().ok()?;
    let kind = match input.try_get_u8().ok()? {
        1 => AlarmKind::NoSpace,
        2 => AlarmKind::Corrupt,
        _ => return None,
    };
    Some(Alarm { member_id, kind })
}

fn encode_records(out: &mut Vec<u8>, records: &[Record]) {
    for record in records {
        let message = record.message();
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        out.put_u32_le(record.sub_revision());
        out.put_u32_le(if record.is_tombstone() { length | TOMBSTONE } else { length });
        out.extend_from_slice(message);
    }
}

/// Rebuilds the entry of a frame; `None` if the payload is not what its kind says, which an
/// undamaged frame's never is.
pub(crate) fn decode_entry(header: &FrameHeader, mut payload: &[u8]) -> Option<Entry> {
    let input = &mut payload;
    let revision = header.revision;
    let entry = match header.kind {
        Kind::Write => Entry::Write { revision, records: decode_records(revision, input)? },
        Kind::LeaseGrant => Entry::LeaseGrant {
            id: LeaseId(input.try_get_i64_le().ok()?),
            ttl_s: input.try_get_i64_le().ok()?,
            expires_at: Duration::from_nanos(input.try_get_u64_le().ok()?),
        },
        Kind::LeaseKeepAlive => Entry::LeaseKeepAlive {
            id: LeaseId(input.try_get_i64_le().ok()?),
            expires_at: Duration::from_nanos(input.try_get_u64_le().ok()?),
        },
        Kind::LeaseEnd => Entry::LeaseEnd { id: LeaseId(input.try_get_i64_le().ok()?), revision },
        Kind::Compact => Entry::Compact { revision: Revision(input.try_get_i64_le().ok()?) },
        Kind::Alarm => Entry::Alarm {
            alarm: decode_alarm(input)?,
            raised: match input.try_get_u8().ok()? {
                0 => false,
                1 => true,
                _ => return None,
            },
        },
        Kind::Closed => return None,
    };
    input.is_empty().then_some(entry)
}

fn decode_records(revision: Revision, input: &mut &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !input.is_empty() {
        let sub_revision = input.try_get_u32_le().ok()?;
        let length = input.try_get_u32_le().ok()?;
        let (message, rest) = input.split_at_checked((length & !TOMBSTONE) as usize)?;
        records.push(Record::decode(revision, sub_revision, length & TOMBSTONE != 0, message)?);
        *input = rest;
    }
    Some(records)
}
