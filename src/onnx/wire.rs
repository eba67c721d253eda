//! Checks the bytes of an ONNX file before they are parsed.
//!
//! Parsing allocates a structure for every message, even for an empty one, which takes two bytes in the file and
//! hundreds in memory: a file of 4 MB could take 1.5 GB before its contents are known. The memory that parsing would
//! take is therefore counted first. Nothing is kept meanwhile, and weights are skipped without being read, so that
//! even a file of the largest size is refused at once.

use std::io::{self, ErrorKind, Read, Seek};

use super::scan::{MOST_NODES, Refusal};
use super::{
    Attribute, Dimension, Entry, Graph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo,
};

/// Bytes that everything except the weights may take, in the file and in memory. A network of a thousand operators
/// takes two MiB.
pub const MOST_BESIDE_WEIGHTS: u64 = 48 << 20;

/// Largest number of a tensor in bytes.
const LARGEST_NUMBER: u64 = 16;

/// Bytes of a string or a list besides its contents, with the allocator's overhead and an entry in the tables in which
/// names are looked up.
const A_LIST: u64 = 100;

/// Smallest message in bytes of memory, in ONNX Runtime, which also parses what is skipped here.
const A_MESSAGE: u64 = 100;

/// Smallest message in bytes of the file.
const LEAST_MESSAGE: u64 = 2;

/// Capacity of a list when its first message is added.
const FIRST_CAPACITY: u64 = 4;

/// Why bytes must not be parsed.
#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// They end early.
    Ends,
    /// They are no protobuf messages; `begins_well` if they start with the first field of every ONNX file.
    Malformed {
        begins_well: bool,
        reason: &'static str,
    },
    Refused(Refusal),
}

/// Checks `size` bytes of a file. Returns about how many bytes of memory parsing takes in addition.
pub fn check(source: impl Read + Seek, size: u64) -> Result<u64, Fault> {
    let mut walk = Walk {
        source,
        at: 0,
        first: None,
        beside: 0,
        listed: 0,
        nodes: 0,
    };
    walk.message(Kind::Model, size)?;
    Ok(walk.beside.saturating_add(walk.listed))
}

/// Checks the first bytes of a file of `size` bytes, as far as they are known.
pub fn check_head(head: &[u8], size: u64) -> Result<(), Fault> {
    match check(io::Cursor::new(head), size) {
        Ok(_) | Err(Fault::Ends) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// The messages that are checked.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    OperatorSet,
    Entry,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    /// Quantization parameters of a tensor, which are not parsed here.
    Annotation,
}

/// How a field is parsed.
#[derive(Clone, Copy)]
enum Field {
    Message(Kind),
    /// A string, or bytes that are kept.
    Text,
    /// A list of numbers, with this many bytes of memory for each byte of the file.
    Numbers(u64),
    /// The dimensions of a tensor.
    Dimensions,
    /// A tensor's data, which are not copied.
    Raw,
    /// A tensor's data, which are copied into a list.
    Listed,
    /// Messages that are neither parsed nor checked here, counted as the largest possible number.
    Foreign,
    /// A single number, or a field that is skipped.
    Other,
}

impl Kind {
    /// The field `number`, as `super` declares it.
    fn field(self, number: u64) -> Field {
        use Field::{Dimensions, Foreign, Listed, Message, Numbers, Other, Raw, Text};
        match (self, number) {
            (Kind::Model, 2 | 3 | 6 | 20 | 25) => Text,
            (Kind::Model, 7) => Message(Kind::Graph),
            (Kind::Model, 8) => Message(Kind::OperatorSet),
            (Kind::Model, 14) => Message(Kind::Entry),
            (Kind::Model, 26) => Foreign,
            (Kind::OperatorSet, 1) | (Kind::Entry, 1 | 2) => Text,
            (Kind::Graph, 1) => Message(Kind::Node),
            (Kind::Graph, 2 | 15) => Text,
            (Kind::Graph, 5) => Message(Kind::Tensor),
            (Kind::Graph, 11..=13) => Message(Kind::ValueInfo),
            (Kind::Graph, 14) => Message(Kind::Annotation),
            (Kind::Graph, 16) => Message(Kind::Entry),
            (Kind::Node, 1..=4 | 7) => Text,
            (Kind::Node, 5) => Message(Kind::Attribute),
            (Kind::Node, 9) => Message(Kind::Entry),
            (Kind::Node, 10) => Foreign,
            (Kind::Attribute, 1 | 4 | 6 | 9 | 11 | 22 | 23) => Text,
            (Kind::Attribute, 5 | 10) => Message(Kind::Tensor),
            (Kind::Attribute, 14 | 15) => Message(Kind::Type),
            (Kind::Attribute, 7) => Numbers(1),
            (Kind::Attribute, 8) => Numbers(8),
            (Kind::Tensor, 1) => Dimensions,
            (Kind::Tensor, 4 | 10) => Listed,
            (Kind::Tensor, 5) => Numbers(4),
            (Kind::Tensor, 7 | 11) => Numbers(8),
            (Kind::Tensor, 6 | 8) => Text,
            (Kind::Tensor, 9) => Raw,
            (Kind::Tensor, 13 | 16) => Message(Kind::Entry),
            (Kind::ValueInfo, 1) | (Kind::Dimension, 2) => Text,
            (Kind::ValueInfo, 2) => Message(Kind::Type),
            (Kind::ValueInfo, 4) => Message(Kind::Entry),
            (Kind::Annotation, 1) => Text,
            (Kind::Annotation, 2) => Message(Kind::Entry),
            (Kind::Type, 1) => Message(Kind::TensorType),
            // Lists, maps and the like.
            (Kind::Type, 4..=9) => Foreign,
            (Kind::TensorType, 2) => Message(Kind::Shape),
            (Kind::Shape, 1) => Message(Kind::Dimension),
            _ => Other,
        }
    }

    /// Smallest size in memory of the structure that it is parsed into.
    fn size(self) -> u64 {
        let size = match self {
            Kind::Model => size_of::<Model>(),
            Kind::OperatorSet => size_of::<OperatorSet>(),
            Kind::Entry => size_of::<Entry>(),
            Kind::Graph => size_of::<Graph>(),
            Kind::Node => size_of::<Node>(),
            Kind::Attribute => size_of::<Attribute>(),
            Kind::Tensor => size_of::<Tensor>(),
            Kind::ValueInfo => size_of::<ValueInfo>(),
            Kind::Type => size_of::<Type>(),
            Kind::TensorType => size_of::<TensorType>(),
            Kind::Shape => size_of::<Shape>(),
            Kind::Dimension => size_of::<Dimension>(),
            Kind::Annotation => 0,
        };
        (size as u64).max(A_MESSAGE)
    }
}

/// The contents of a message so far.
struct MessageCounts {
    /// Nested messages, by field number.
    messages: [u64; 32],
    /// Elements of a tensor, by its dimensions.
    elements: u64,
    /// Bytes of a tensor's data.
    data: u64,
}

struct Walk<R> {
    source: R,
    at: u64,
    /// The first byte.
    first: Option<u8>,
    /// Bytes of everything except the weights, in the file and in memory.
    beside: u64,
    /// Bytes of weights that are copied into lists.
    listed: u64,
    nodes: usize,
}

impl<R: Read + Seek> Walk<R> {
    /// Checks a message that ends at `end`.
    fn message(&mut self, kind: Kind, end: u64) -> Result<(), Fault> {
        let mut counts = MessageCounts {
            messages: [0; 32],
            elements: 1,
            data: 0,
        };
        while self.at < end {
            let begin = self.at;
            let key = self.number(end)?;
            let number = key >> 3;
            if number == 0 {
                return Err(self.malformed("a field has the number 0"));
            }
            let field = kind.field(number);
            match key & 7 {
                0 => {
                    let value = self.number(end)?;
                    self.single(field, value, &mut counts)?;
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.number(end)?;
                    self.charge(self.at - begin)?;
                    let end = self.end_of(length, end)?;
                    self.long(number, field, end, &mut counts)?;
                    continue;
                }
                _ => return Err(self.malformed("a field is of no kind that ONNX has")),
            }
            self.charge(self.at - begin)?;
        }
        // Data beyond the tensor's dimensions are no weights.
        let weights = counts.elements.saturating_mul(LARGEST_NUMBER);
        self.charge(counts.data.saturating_sub(weights))
    }

    /// Counts a field that is one number.
    fn single(
        &mut self,
        field: Field,
        value: u64,
        counts: &mut MessageCounts,
    ) -> Result<(), Fault> {
        match field {
            Field::Numbers(bytes) => self.charge(bytes),
            Field::Dimensions => {
                counts.elements = counts.elements.saturating_mul(value);
                self.charge(8)
            }
            _ => Ok(()),
        }
    }

    /// Counts a field that extends to `end`.
    fn long(
        &mut self,
        number: u64,
        field: Field,
        end: u64,
        counts: &mut MessageCounts,
    ) -> Result<(), Fault> {
        let length = end - self.at;
        match field {
            Field::Message(kind) => {
                self.nested(number, kind, counts)?;
                return self.message(kind, end);
            }
            Field::Dimensions => {
                self.charge(A_LIST + length.saturating_mul(8))?;
                while self.at < end {
                    let value = self.number(end)?;
                    counts.elements = counts.elements.saturating_mul(value);
                }
                return Ok(());
            }
            Field::Text => self.charge(A_LIST + length.saturating_mul(2))?,
            Field::Numbers(bytes) => self.charge(A_LIST + length.saturating_mul(1 + bytes))?,
            Field::Raw => counts.data = counts.data.saturating_add(length),
            Field::Listed => {
                counts.data = counts.data.saturating_add(length);
                self.listed = self.listed.saturating_add(length.saturating_mul(2));
            }
            Field::Foreign => {
                let inner = length.saturating_mul(A_MESSAGE / LEAST_MESSAGE);
                self.charge(inner.saturating_add(A_MESSAGE))?;
            }
            Field::Other => self.charge(length)?,
        }
        self.skip(length, end)
    }

    /// Counts a nested message.
    fn nested(&mut self, number: u64, kind: Kind, counts: &mut MessageCounts) -> Result<(), Fault> {
        if matches!(kind, Kind::Node) {
            self.nodes += 1;
            if self.nodes > MOST_NODES {
                return Err(Fault::Refused(Refusal::Nodes(self.nodes)));
            }
        }
        let count = usize::try_from(number)
            .ok()
            .and_then(|number| counts.messages.get_mut(number));
        let added = match count {
            Some(count) => {
                *count += 1;
                match *count {
                    1 => FIRST_CAPACITY,
                    count if count <= FIRST_CAPACITY => 0,
                    _ => 1,
                }
            }
            None => FIRST_CAPACITY,
        };
        self.charge(added * kind.size())
    }

    fn charge(&mut self, bytes: u64) -> Result<(), Fault> {
        self.beside = self.beside.saturating_add(bytes);
        if self.beside > MOST_BESIDE_WEIGHTS {
            return Err(Fault::Refused(Refusal::Structure));
        }
        Ok(())
    }

    fn malformed(&self, reason: &'static str) -> Fault {
        // The first field of every ONNX file is the version of the format.
        const FORMAT_VERSION: u8 = 0x08;
        Fault::Malformed {
            begins_well: self.first == Some(FORMAT_VERSION),
            reason,
        }
    }

    /// The end of the next `length` bytes, which must not exceed `end`.
    fn end_of(&self, length: u64, end: u64) -> Result<u64, Fault> {
        let own = self.at.checked_add(length).filter(|own| *own <= end);
        own.ok_or_else(|| self.malformed("a field is longer than what it lies in"))
    }

    fn skip(&mut self, length: u64, end: u64) -> Result<(), Fault> {
        self.at = self.end_of(length, end)?;
        let length = i64::try_from(length).map_err(|_| self.malformed("a field never ends"))?;
        self.source.seek_relative(length).map_err(Fault::Io)
    }

    /// A number of variable length.
    fn number(&mut self, end: u64) -> Result<u64, Fault> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            if self.at >= end {
                return Err(self.malformed("a number ends early"));
            }
            let byte = self.byte()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("a number never ends"))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let mut byte = [0];
        self.source
            .read_exact(&mut byte)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Fault::Ends,
                _ => Fault::Io(error),
            })?;
        self.at += 1;
        self.first.get_or_insert(byte[0]);
        Ok(byte[0])
    }
}

#[cfg(test)]
mod tests;
