//! Checks that the tensors of a file have as much data as their dimensions ask for.

use super::{MOST_DIMS, Refusal};
use crate::onnx::Tensor;

/// Largest tensor of strings in elements: no weights are strings.
const MOST_TEXTS: u64 = 64;

/// Checks that a tensor has as much data as its dimensions ask for. Data in another file are checked when that is
/// read.
pub(super) fn check(tensor: &Tensor) -> Result<(), Refusal> {
    // Every type keeps its values in one list.
    let listed = [
        tensor.float_data.len(),
        tensor.int32_data.len(),
        tensor.int64_data.len(),
        tensor.double_data.len(),
        tensor.uint64_data.len(),
    ];
    let listed: u64 = listed.iter().map(|length| *length as u64).sum();
    let raw = tensor.raw_data.len() as u64;
    let wrong = || Refusal::Tensor {
        tensor: tensor.name.clone(),
        dims: tensor.dims.clone(),
        bytes: raw.max(listed),
    };
    let elements = elements(&tensor.dims).ok_or_else(wrong)?;
    if tensor.dims.len() > MOST_DIMS {
        return Err(wrong());
    }
    let fits = if tensor.data_location != 0 {
        raw == 0 && listed == 0
    } else if raw > 0 {
        listed == 0 && bytes(tensor.data_type, elements) == Some(raw)
    } else {
        let is_text = tensor.data_type == TEXT && elements <= MOST_TEXTS;
        // 4-bit numbers are stored in pairs, complex ones as two.
        is_text || [elements, elements.div_ceil(2), elements.saturating_mul(2)].contains(&listed)
    };
    if fits { Ok(()) } else { Err(wrong()) }
}

/// `TensorProto.DataType` of strings.
const TEXT: i32 = 8;

/// Size in bytes of `elements` values of ONNX's data type `code`; `None` for one without raw data.
pub(crate) fn bytes(code: i32, elements: u64) -> Option<u64> {
    match code {
        // 4 and 2 bits.
        21..=23 => Some(elements.div_ceil(2)),
        25 | 26 => Some(elements.div_ceil(4)),
        2 | 3 | 9 | 17..=20 | 24 => Some(elements),
        4 | 5 | 10 | 16 => elements.checked_mul(2),
        1 | 6 | 12 => elements.checked_mul(4),
        7 | 11 | 13 | 14 => elements.checked_mul(8),
        15 => elements.checked_mul(16),
        _ => None,
    }
}

/// Elements of a tensor; `None` if a dimension is negative or the product overflows.
pub(crate) fn elements(dims: &[i64]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |product, dim| {
        product.checked_mul(u64::try_from(*dim).ok()?)
    })
}
