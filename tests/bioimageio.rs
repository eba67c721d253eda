//! Packages of BioImage.IO: the steps of their descriptions are applied.

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};

use common::{Files, brightness, cells, element, refusal};
use sha2::{Digest, Sha256};

const WIDTH: usize = 64;
const HEIGHT: usize = 48;

/// A description of the model of [`brightness`], whose only channel is its foreground's lead.
fn description(before: &str, after: &str, weights: &[u8]) -> String {
    let hash: String = Sha256::digest(weights)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "format_version: 0.5.12
type: model
name: what is bright
inputs:
  - id: raw
    axes:
      - {{type: batch}}
      - {{type: channel, id: channel, channel_names: [raw]}}
      - {{type: space, id: y, size: {{min: 16, step: 4}}, scale: 0.5, unit: micrometer}}
      - {{type: space, id: x, size: {{min: 16, step: 4}}, scale: 0.5, unit: micrometer}}
    preprocessing: [{before}]
outputs:
  - id: scores
    axes:
      - {{type: batch}}
      - {{type: channel, id: channel, channel_names: [ground, spot]}}
      - {{type: space, id: y, size: {{tensor_id: raw, axis_id: y}}}}
      - {{type: space, id: x, size: {{tensor_id: raw, axis_id: x}}}}
    postprocessing: [{after}]
weights:
  onnx: {{source: weights/net.onnx, sha256: {hash}, opset_version: 17}}
"
    )
}

/// A folder with a package.
fn folder(files: &Files, text: &str) -> PathBuf {
    let folder = files.path("package");
    std::fs::create_dir_all(folder.join("weights")).unwrap();
    std::fs::write(folder.join("weights/net.onnx"), brightness()).unwrap();
    std::fs::write(folder.join("rdf.yaml"), text).unwrap();
    folder
}

/// The mask of a picture.
fn mask(model: &Path, picture: &[u8]) -> Vec<u8> {
    common::segment(&element(model, &[]), picture, WIDTH, HEIGHT)
}

/// Foreground is where 20 x - 10 > 0, which is x > 0.5, for the output x of the preprocessing.
#[test]
fn every_step_does_what_it_says() {
    let picture = cells(WIDTH, HEIGHT, 3);
    let values = || picture.iter().map(|value| f64::from(*value));
    let count = picture.len() as f64;
    let mean = values().sum::<f64>() / count;
    let std = (values().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let largest = values().fold(0.0, f64::max);
    let least = values().fold(255.0, f64::min);
    type Expected = Box<dyn Fn(f64) -> f64>;
    let cases: Vec<(&str, Expected)> = vec![
        (
            "{id: ensure_dtype, kwargs: {dtype: float32}}, {id: zero_mean_unit_variance, kwargs: {axes: [channel, y, x], eps: 1.0e-6}}",
            Box::new(move |v| (v - mean) / std),
        ),
        (
            "{id: fixed_zero_mean_unit_variance, kwargs: {mean: 90.0, std: 40.0}}",
            Box::new(|v| (v - 90.0) / 40.0),
        ),
        (
            "{id: scale_linear, kwargs: {gain: 0.01, offset: -0.3}}",
            Box::new(|v| 0.01 * v - 0.3),
        ),
        (
            "{id: scale_range, kwargs: {min_percentile: 0, max_percentile: 100}}",
            Box::new(move |v| (v - least) / (largest - least)),
        ),
        (
            "{id: clip, kwargs: {min: 60.0, max: 100.0}}, {id: scale_linear, kwargs: {gain: 0.02, offset: -1.2}}",
            Box::new(|v| 0.02 * v.clamp(60.0, 100.0) - 1.2),
        ),
        (
            "{id: scale_linear, kwargs: {gain: 0.05, offset: -5.0}}, {id: sigmoid}",
            Box::new(move |v| sigmoid(0.05 * v - 5.0)),
        ),
        (
            "{id: binarize, kwargs: {threshold: 77}}",
            Box::new(|v| f64::from(u8::from(v > 77.0))),
        ),
        // Softmax over a single channel.
        ("{id: softmax}", Box::new(|_| 1.0)),
        // As in format 0.4.
        (
            "{name: zero_mean_unit_variance, kwargs: {mode: fixed, mean: 90.0, std: 40.0, axes: xy}}",
            Box::new(|v| (v - 90.0) / 40.0),
        ),
    ];
    for (steps, expected) in cases {
        let files = Files::new();
        let folder = folder(&files, &description(steps, "{id: softmax}", &brightness()));
        let found = mask(&folder, &picture);
        let different = values()
            .zip(&found)
            // Values at the very edge may be rounded either way.
            .filter(|(v, class)| {
                let x = expected(*v);
                (x - 0.5).abs() > 1e-4 && (**class == 1) != (x > 0.5)
            })
            .count();
        assert_eq!(different, 0, "{steps}");
        let is_mixed = found.contains(&0) && found.contains(&1);
        assert!(is_mixed || steps.contains("softmax"), "{steps}");
    }
}

#[test]
fn folder_description_and_archive_are_the_same() {
    let files = Files::new();
    let text = description(
        "{id: scale_linear, kwargs: {gain: 0.005, offset: 0.0}}",
        "",
        &brightness(),
    );
    let folder = folder(&files, &text);
    let picture = cells(WIDTH, HEIGHT, 5);
    let expected = mask(&folder, &picture);
    assert!(expected.contains(&0) && expected.contains(&1));
    assert_eq!(mask(&folder.join("rdf.yaml"), &picture), expected);
    let path = files.path("package.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [
        ("rdf.yaml", text.into_bytes()),
        ("weights/net.onnx", brightness()),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap();
    assert_eq!(mask(&path, &picture), expected);
}

#[test]
fn postprocessing_is_applied() {
    let picture = cells(WIDTH, HEIGHT, 5);
    let share = |after: &str| {
        let files = Files::new();
        let before = "{id: scale_linear, kwargs: {gain: 0.005, offset: 0.0}}";
        let mask = mask(
            &folder(&files, &description(before, after, &brightness())),
            &picture,
        );
        mask.iter().filter(|class| **class == 1).count()
    };
    let usual = share("{id: softmax}");
    assert!(share("{id: softmax}, {id: binarize, kwargs: {threshold: 0.9}}") < usual);
    // Scores that are twice as far apart decide the same.
    assert_eq!(
        share("{id: scale_linear, kwargs: {gain: 2.0}}, {id: softmax}"),
        usual
    );
}

/// The refusal of a package whose description has `to` instead of `from`.
fn refused(from: &str, to: &str) -> String {
    let files = Files::new();
    let text = description("", "", &brightness());
    assert!(text.contains(from));
    refusal(&element(&folder(&files, &text.replace(from, to)), &[]))
}

#[test]
fn unsupported_steps_are_refused() {
    let before = "preprocessing: []";
    let after = "postprocessing: []";
    for (from, steps, why) in [
        (before, "{id: stardist}", "this step is not supported"),
        (
            before,
            "{id: zero_mean_unit_variance, kwargs: {mode: per_dataset}}",
            "whole data set",
        ),
        (
            before,
            "{id: clip, kwargs: {min: 1}}, {id: zero_mean_unit_variance}",
            "move it to the front",
        ),
        (
            before,
            "{id: clip, kwargs: {min_percentile: 1, max_percentile: 99}}",
            "clip at fixed values",
        ),
        (
            before,
            "{id: zero_mean_unit_variance}, {id: ensure_dtype, kwargs: {dtype: uint8}}",
            "would be rounded",
        ),
        (
            after,
            "{id: sigmoid}, {id: ensure_dtype, kwargs: {dtype: uint8}}",
            "would be rounded",
        ),
        (after, "{id: zero_mean_unit_variance}", "each pixel alone"),
    ] {
        let to = from.replace("[]", &format!("[{steps}]"));
        let text = refused(from, &to);
        assert!(text.contains(why), "{to}: {text}");
        assert!(text.contains("package"), "{to}: {text}");
    }
}

#[test]
fn packages_of_other_things_are_refused() {
    let outside = "not a plain file within the package";
    for (from, to, why) in [
        ("weights/net.onnx", "../net.onnx", outside),
        ("weights/net.onnx", "https://example.org/net.onnx", outside),
        ("id: y, size: {min", "id: z, size: {min", "its axes are"),
        ("type: model", "type: dataset", "only a model"),
        (
            "format_version: 0.5.12",
            "format_version: 0.3.0",
            "0.4 and 0.5",
        ),
        ("onnx:", "torchscript:", "there are none for ONNX"),
        ("sha256: ", "sha256: 00", "SHA-256"),
        ("name: what", "name: [what", "can't be read"),
    ] {
        let text = refused(from, to);
        assert!(text.contains(why), "{to}: {text}");
        assert!(text.contains("package"), "{to}: {text}");
    }
}

#[cfg(unix)]
#[test]
fn weights_outside_of_the_package_are_refused() {
    let (files, outside) = (Files::new(), Files::new());
    let folder = folder(&files, &description("", "", &brightness()));
    let link = folder.join("weights/net.onnx");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(outside.write("net.onnx", &brightness()), link).unwrap();
    let text = refusal(&element(&folder, &[]));
    assert!(text.contains("within the package"), "{text}");
}

#[test]
fn a_folder_without_a_description_is_refused() {
    let empty = Files::new();
    let text = refusal(&element(&empty.path(""), &[]));
    assert!(text.contains("no rdf.yaml"), "{text}");
}
