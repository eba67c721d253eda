use std::io::Cursor;

use prost::Message;

use super::*;

fn checked(bytes: &[u8]) -> Result<u64, Fault> {
    check(Cursor::new(bytes), bytes.len() as u64)
}

fn model(graph: Graph) -> Vec<u8> {
    let model = Model {
        ir_version: 8,
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

#[test]
fn weights_within_their_dimensions_are_not_counted() {
    let with = |dims: &[i64]| {
        let tensor = Tensor {
            dims: dims.into(),
            data_type: 1,
            raw_data: vec![0; 64 << 20].into(),
            ..Default::default()
        };
        let graph = Graph {
            initializer: vec![tensor],
            ..Default::default()
        };
        checked(&model(graph))
    };
    assert!(matches!(with(&[16 << 20]), Ok(taken) if taken < 10_000));
    assert!(matches!(
        with(&[3]),
        Err(Fault::Refused(Refusal::Structure))
    ));
}

#[test]
fn bytes_that_are_no_messages_are_malformed() {
    let begins = |bytes: &[u8]| match checked(bytes) {
        Err(Fault::Malformed { begins_well, .. }) => Some(begins_well),
        _ => None,
    };
    assert_eq!(begins(&[0; 100]), Some(false));
    assert_eq!(begins(b"\x08\x08\x3a\x7f"), Some(true));
    assert_eq!(begins(&[0xff; 100]), Some(false));
    assert_eq!(begins(b"\x08\x08\x0b\x0c"), Some(true));
    assert!(matches!(checked(b""), Ok(0)));
    // More bytes may follow.
    assert!(check_head(b"\x08\x08\x3a\x7f\x0a", 1000).is_ok());
    assert!(check_head(&[0; 10], 1000).is_err());
}

#[test]
fn texts_numbers_and_skipped_fields_count() {
    let refused = |model: Model| {
        let result = checked(&model.encode_to_vec());
        matches!(result, Err(Fault::Refused(Refusal::Structure)))
    };
    let text = "x".repeat(30 << 20);
    assert!(refused(Model {
        doc_string: text,
        ..Default::default()
    }));
    let numbers = Tensor {
        int64_data: vec![0; 6 << 20],
        ..Default::default()
    };
    assert!(refused(Model {
        graph: Some(Graph {
            initializer: vec![numbers],
            ..Default::default()
        }),
        ..Default::default()
    }));
}

/// Messages that ONNX Runtime parses count, whether they are parsed here or not.
#[test]
fn messages_that_only_onnx_runtime_parses_count() {
    const MANY: usize = 1_000_000;
    // A field of `content`, by its number.
    let field = |number: u64, content: &[u8]| {
        let varint = |mut number: u64| {
            let mut bytes = Vec::new();
            while number > 0x7f {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
            bytes
        };
        let length = content.len() as u64;
        [varint((number << 3) | 2), varint(length), content.to_vec()].concat()
    };
    let refused = |within: &[u64], empty: u64| {
        let unit = field(empty, &[]);
        let inner = unit.repeat(MANY);
        let all = within.iter().rev();
        let all = all.fold(inner, |inner, number| field(*number, &inner));
        let result = checked(&[b"\x08\x08".to_vec(), all].concat());
        matches!(result, Err(Fault::Refused(Refusal::Structure)))
    };
    let cases: [(&str, &[u64], u64); 11] = [
        ("value_info", &[7], 13),
        ("quantization_annotation", &[7], 14),
        ("metadata of the graph", &[7], 16),
        ("metadata of a node", &[7, 1], 9),
        ("configurations of a node", &[7, 1], 10),
        ("strings", &[7, 1, 5], 9),
        ("types", &[7, 1, 5], 15),
        ("types in a type", &[7, 1, 5, 14], 4),
        ("texts of a tensor", &[7, 5], 6),
        ("configurations", &[], 26),
        ("dimensions of a value", &[7, 13, 2, 1, 2], 1),
    ];
    for (what, within, empty) in cases {
        assert!(refused(within, empty), "{what}");
    }
}

#[test]
fn a_real_network_may_list_all_its_values() {
    let dim = |extent: i64| Dimension {
        extent: Some(crate::onnx::Extent::Value(extent)),
    };
    let shape = Shape {
        dim: [1, 64, 512, 512].map(dim).to_vec(),
    };
    let value = |number: usize| ValueInfo {
        name: format!("/down.{number}/conv/Conv_output_0"),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: 1,
                shape: Some(shape.clone()),
            }),
        }),
    };
    let taken = checked(&model(Graph {
        output: (0..2000).map(value).collect(),
        ..Default::default()
    }));
    assert!(
        matches!(taken, Ok(taken) if taken < MOST_BESIDE_WEIGHTS / 8),
        "{taken:?}"
    );
}
