use super::*;
use crate::bioimageio::Description;
use crate::unet::UNet;

/// A written description is read with the same meaning.
#[test]
fn a_description_survives_writing_and_reading() {
    let source = |name: &str| Source {
        source: name.into(),
        sha256: "0".repeat(64),
    };
    let files = Sources {
        weights: source("weights.onnx"),
        opset: 17,
        test_input: source("in.npy"),
        test_output: source("out.npy"),
        cover: "cover.png".into(),
        documentation: "README.md".into(),
    };
    let normalizations = [
        Normalization::ZScore,
        Normalization::MinMax,
        Normalization::Percentile {
            low: 0.5,
            high: 99.5,
        },
    ];
    for normalization in normalizations {
        let contract = Contract {
            normalization,
            pixel_size: Some(0.65),
            ..UNet::SMALL.contract("small cells")
        };
        let about = About {
            name: "small: cells".into(),
            ..About::default()
        };
        let text = describe(&contract, &about, &files).unwrap();
        let read = Description::parse(&text).unwrap();
        assert_eq!(read.name, "small: cells");
        assert_eq!(read.weights, "weights.onnx");
        let mut completed = Contract {
            normalization: Normalization::ZScore,
            pixel_size: None,
            ..contract.clone()
        };
        read.complete(&mut completed).unwrap();
        let expected = match normalization {
            Normalization::MinMax => Normalization::Percentile {
                low: 0.0,
                high: 100.0,
            },
            other => other,
        };
        assert_eq!(completed.normalization, expected);
        assert_eq!(completed.pixel_size, Some(0.65));
        assert_eq!(completed.classes, contract.classes);
    }
}
