//! Tensors in a model file.

use bytes::Bytes;

use super::Entry;

/// `TensorProto`: weights and constants. The data are in `raw_data`, little-endian, or in the list of
/// their type.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "bytes", tag = "9")]
    pub raw_data: Bytes,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Where the values are in another file: its `location`, `offset` and `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Entry>,
    /// 1 if the values are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

impl Tensor {
    /// A tensor of little-endian values.
    pub fn new(
        name: String,
        data_type: DataType,
        dims: &[i64],
        bytes: impl IntoIterator<Item = u8>,
    ) -> Self {
        Tensor {
            dims: dims.to_vec(),
            data_type: data_type as i32,
            name,
            raw_data: bytes.into_iter().collect(),
            ..Default::default()
        }
    }

    /// A tensor of floats.
    pub fn of_floats(name: String, dims: &[i64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        Tensor::new(name, DataType::Float, dims, bytes)
    }

    /// The values of a tensor of 64-bit integers; empty for other types.
    pub fn integers(&self) -> Vec<i64> {
        self.values(DataType::Int64, &self.int64_data, i64::from_le_bytes)
    }

    /// The values of a tensor of 32-bit integers; empty for other types.
    pub fn int32s(&self) -> Vec<i32> {
        self.values(DataType::Int32, &self.int32_data, i32::from_le_bytes)
    }

    /// The values of a tensor of floats; empty for other types.
    pub fn floats(&self) -> Vec<f32> {
        self.values(DataType::Float, &self.float_data, f32::from_le_bytes)
    }

    /// The values of a tensor of this type, from the `list` for them or from its bytes; empty for other types.
    fn values<T: Clone, const BYTES: usize>(
        &self,
        data_type: DataType,
        list: &[T],
        from_bytes: fn([u8; BYTES]) -> T,
    ) -> Vec<T> {
        if self.data_type != data_type as i32 {
            return Vec::new();
        }
        if !list.is_empty() {
            return list.to_vec();
        }
        let (values, _) = self.raw_data.as_chunks();
        values.iter().map(|bytes| from_bytes(*bytes)).collect()
    }
}

/// `TensorProto.DataType`, and `elem_type` of [`TensorType`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Int32 = 6,
    Int64 = 7,
    Bool = 9,
    Float16 = 10,
    Double = 11,
}
