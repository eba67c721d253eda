//! Reading untrusted bytes: no more than there should be, and in pieces, so that reading can be stopped.

use std::io::{self, Cursor, ErrorKind, Read};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Model;
use super::scan::Refusal;
use super::wire::{self, Fault};

/// Bytes that are read or hashed at once.
pub const PIECE: usize = 4 << 20;

/// Why a model can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is empty")]
    Empty,
    #[error("it has {0} bytes, which are too many")]
    TooLarge(u64),
    #[error("it is not an ONNX file")]
    NotOnnx,
    #[error("it is damaged or truncated: {0}")]
    Damaged(String),
    #[error("it is refused: {0}")]
    Refused(Box<Refusal>),
    #[error("the reading was stopped")]
    Stopped,
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => ReadError::Io(error),
            Fault::Ends => ReadError::Damaged("it ends early".into()),
            Fault::Malformed {
                begins_well: true,
                reason,
            } => ReadError::Damaged(reason.into()),
            Fault::Malformed { .. } => ReadError::NotOnnx,
            Fault::Refused(refusal) => ReadError::Refused(Box::new(refusal)),
        }
    }
}

/// Reads everything, which should be `size` bytes and must not be more than `most`, and appends it to `bytes`.
pub fn to_end(
    mut source: impl Read,
    mut bytes: Vec<u8>,
    size: u64,
    most: u64,
    stopped: &dyn Fn() -> bool,
) -> Result<Vec<u8>, ReadError> {
    if size > most {
        return Err(ReadError::TooLarge(size));
    }
    let missing = size.saturating_sub(bytes.len() as u64);
    reserve(&mut bytes, missing)?;
    loop {
        if stopped() {
            return Err(ReadError::Stopped);
        }
        let piece = source.by_ref().take(PIECE as u64).read_to_end(&mut bytes)?;
        let length = bytes.len() as u64;
        match piece {
            0 => return Ok(bytes),
            // The file has grown meanwhile.
            _ if length > most => return Err(ReadError::TooLarge(length)),
            _ => (),
        }
    }
}

/// Reserves `more` bytes. A lack of memory is an error and doesn't abort the process.
fn reserve(bytes: &mut Vec<u8>, more: u64) -> Result<(), ReadError> {
    let more = usize::try_from(more).map_err(|_| ErrorKind::OutOfMemory);
    let made = more.and_then(|more| {
        let made = bytes.try_reserve_exact(more);
        made.map_err(|_| ErrorKind::OutOfMemory)
    });
    made.map_err(|kind| ReadError::Io(kind.into()))
}

/// Parses the bytes of an ONNX file, after a check of the memory that takes. Raw weights are not copied.
pub fn parse(bytes: &Bytes) -> Result<Model, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let taken = wire::check(Cursor::new(bytes), bytes.len() as u64)?;
    // Parsing itself aborts if memory runs out.
    reserve(&mut Vec::new(), taken)?;
    let damaged = |error: prost::DecodeError| ReadError::Damaged(error.to_string());
    let model = Model::parse(bytes.clone()).map_err(damaged)?;
    if model.graph.is_none() || model.ir_version == 0 {
        return Err(ReadError::NotOnnx);
    }
    Ok(model)
}

/// SHA-256 of `bytes`.
pub fn hash(bytes: &[u8], stopped: &dyn Fn() -> bool) -> Result<[u8; 32], ReadError> {
    let mut hash = Sha256::new();
    for piece in bytes.chunks(PIECE) {
        if stopped() {
            return Err(ReadError::Stopped);
        }
        hash.update(piece);
    }
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use prost::Message;

    use super::*;
    use crate::onnx::{Graph, ValueInfo};

    #[test]
    fn reading_stops_between_two_pieces() {
        let mut source = io::repeat(0).take(5 * PIECE as u64);
        let asked = Cell::new(0);
        let stopped = || {
            asked.set(asked.get() + 1);
            asked.get() == 3
        };
        let read = to_end(&mut source, Vec::new(), 0, u64::MAX, &stopped);
        assert!(matches!(read, Err(ReadError::Stopped)));
        assert_eq!(source.limit(), 3 * PIECE as u64);
    }

    /// A change of the graph could make it wrong, and ONNX Runtime would refuse the model.
    #[test]
    fn what_a_file_says_of_maps_is_dropped() {
        let graph = Graph {
            value_info: vec![ValueInfo::default()],
            ..Graph::default()
        };
        let model = Model {
            ir_version: 8,
            graph: Some(graph),
            ..Model::default()
        };
        let parsed = parse(&model.encode_to_vec().into()).unwrap();
        assert_eq!(parsed.graph, Some(Graph::default()));
    }
}
