//! Files that take much more memory to read or parse than they have bytes.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::process::alone;
use crate::common::{self, Files, element, refusal};
use crate::{forget_peak, peak, refused};

/// A number of variable length in the encoding of the format.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// The bytes before the `length` bytes of a field.
fn head(field: u64, length: u64) -> Vec<u8> {
    [varint(field << 3 | 2), varint(length)].concat()
}

/// The bytes before `length` bytes that lie in the fields `within`, the outermost first.
fn heads(within: &[u64], length: u64) -> Vec<u8> {
    let mut before = Vec::new();
    for field in within.iter().rev() {
        let inner = length + before.len() as u64;
        before.splice(0..0, head(*field, inner));
    }
    before
}

/// The version of the format, with which a file begins.
const BEGIN: &[u8] = b"\x08\x08";

/// A file of `count` times the message `unit`, which lies in the fields `within`.
fn many(files: &Files, name: &str, within: &[u64], unit: &[u8], count: u64) -> PathBuf {
    let path = files.path(&format!("{name}.onnx"));
    let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
    file.write_all(BEGIN).unwrap();
    file.write_all(&heads(within, count * unit.len() as u64))
        .unwrap();
    for _ in 0..count {
        file.write_all(unit).unwrap();
    }
    file.flush().unwrap();
    path
}

/// A file of `size` bytes that takes no room on the disk, beginning with `begin`.
fn hollow(files: &Files, name: &str, begin: &[u8], size: u64) -> PathBuf {
    let path = files.write(name, begin);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(size).unwrap();
    path
}

/// A model of `size` bytes of weights, up to where these begin.
fn before_weights(size: u64) -> Vec<u8> {
    let dims = [
        head(1, varint(size).len() as u64),
        varint(size),
        b"\x10\x02".to_vec(),
    ]
    .concat();
    let raw = head(9, size);
    let tensor = (dims.len() + raw.len()) as u64 + size;
    [BEGIN, &heads(&[7, 5], tensor), &dims, &raw].concat()
}

/// A package whose weights are `begin` and then zeros.
fn packed(files: &Files, name: &str, begin: &[u8], zeros: u64) -> PathBuf {
    let path = files.path(name);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("rdf.yaml", options).unwrap();
    let text = include_str!("../../fuzz/seeds/package/format-0.5.yaml");
    let nothing = format!(", sha256: {}", "0".repeat(64));
    assert!(text.contains(&nothing));
    archive
        .write_all(text.replace(&nothing, "").as_bytes())
        .unwrap();
    archive.start_file("weights.onnx", options).unwrap();
    archive.write_all(begin).unwrap();
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(0), zeros),
        &mut archive,
    )
    .unwrap();
    archive.finish().unwrap();
    path
}

/// A folder with a package, whose weights take no room on the disk.
fn hollow_package(files: &Files) -> PathBuf {
    let folder = files.path("folder");
    std::fs::create_dir_all(&folder).unwrap();
    let text = include_str!("../../fuzz/seeds/package/format-0.5.yaml");
    std::fs::write(folder.join("rdf.yaml"), text).unwrap();
    hollow(files, "folder/weights.onnx", b"", 2 << 30);
    folder
}

/// A file, and words of its refusal.
type Case = (PathBuf, &'static str);

/// The refusal of a model of which all but the weights takes too much memory.
const MOST: &str = "except its weights";

/// All of them.
fn expanding(files: &Files) -> Vec<Case> {
    [of_messages(files), of_zeros(files), packages(files)].concat()
}

/// Millions of one message, each by its name, the fields that it lies in, and its bytes.
fn of_messages(files: &Files) -> Vec<Case> {
    const COUNT: u64 = 2_000_000;
    let messages: [(&str, &[u64], &[u8]); 15] = [
        ("inputs", &[7, 1], b"\x0a\x00"),
        ("attributes", &[7, 1], b"\x2a\x00"),
        ("initializers", &[7], b"\x2a\x00"),
        ("values", &[7], b"\x5a\x00"),
        // Only ONNX Runtime makes structures of these.
        ("between", &[7], b"\x6a\x00"),
        ("notes", &[7], b"\x72\x00"),
        ("of a graph", &[7], b"\x82\x01\x00"),
        ("of a node", &[7, 1], b"\x4a\x00"),
        ("strings", &[7, 1, 5], b"\x4a\x00"),
        ("types", &[7, 1, 5], b"\x7a\x00"),
        ("texts", &[7, 5], b"\x32\x00"),
        ("machines", &[], b"\xd2\x01\x00"),
        ("metadata", &[], b"\x72\x00"),
        ("versions", &[], b"\x42\x00"),
        ("functions", &[], b"\xca\x01\x00"),
    ];
    let messages = messages.into_iter();
    let mut cases: Vec<Case> = messages
        .map(|(name, within, unit)| (many(files, name, within, unit, COUNT), MOST))
        .collect();
    let nodes = many(files, "nodes", &[7], b"\x0a\x00", 5 * COUNT);
    let numbers = many(files, "numbers", &[7, 5, 7], b"\x00", 5 * COUNT);
    cases.extend([(nodes, "20001 operators"), (numbers, MOST)]);
    cases
}

/// Large files that take no room on the disk.
fn of_zeros(files: &Files) -> Vec<Case> {
    let text = [BEGIN, &head(2, 1 << 30)].concat();
    vec![
        (
            hollow(files, "zeros.onnx", b"", 2 << 30),
            "not an ONNX file",
        ),
        (hollow(files, "begun.onnx", BEGIN, 2 << 30), "damaged"),
        (hollow(files, "text.onnx", &text, 2 << 30), MOST),
        (hollow_package(files), "not an ONNX file"),
    ]
}

/// Packages in which much is packed into little.
fn packages(files: &Files) -> Vec<Case> {
    let much = 300 << 20;
    let weights = before_weights(much);
    vec![
        (packed(files, "zeros.zip", b"", much), "packed into"),
        (packed(files, "weights.zip", &weights, much), "packed into"),
        (packed(files, "few.zip", b"", 1 << 20), "not an ONNX file"),
    ]
}

/// The element posts the refusal, too.
#[test]
fn files_that_would_expand_are_refused_first() {
    let _alone = alone();
    common::init();
    let files = Files::new();
    for (path, words) in expanding(&files) {
        forget_peak();
        let before = peak();
        refused(&path, words);
        let more = peak() - before;
        assert!(more < 64.0, "{}: {more:.0} MiB", path.display());
        forget_peak();
        let before = peak();
        let start = Instant::now();
        let text = refusal(&element(&path, &[]));
        let took = start.elapsed();
        assert!(text.contains(words), "{}: {text}", path.display());
        assert!(
            took < Duration::from_secs(1),
            "{}: {took:?}",
            path.display()
        );
        let more = peak() - before;
        assert!(more < 64.0, "{}: {more:.0} MiB", path.display());
        std::fs::remove_file(&path).ok();
    }
}

/// Cancelled in the middle, it does not wait for the rest of the file.
#[cfg(target_os = "linux")]
#[test]
fn reading_a_large_model_can_be_ended() {
    use crate::common::watch::wait;
    use gstunetsegment::inference::{Canceller, Model, ModelError, Options};

    let _alone = alone();
    common::init();
    let files = Files::new();
    let size = 2047 << 20;
    let begin = before_weights(size);
    let path = hollow(&files, "large.onnx", &begin, begin.len() as u64 + size);
    let canceller = Canceller::default();
    let options = Options {
        canceller: canceller.clone(),
        ..Default::default()
    };
    forget_peak();
    let before = peak();
    let opening = std::thread::spawn(move || Model::open(&path, &options).err());
    // The bytes that were read are in memory, which shows how far it is.
    wait("the reading", || peak() - before > 64.0);
    let start = Instant::now();
    canceller.cancel();
    let error = opening.join().unwrap();
    let took = start.elapsed();
    assert!(
        matches!(error, Some(ModelError::Stopped { .. })),
        "{error:?}"
    );
    assert!(took < Duration::from_millis(300), "{took:?}");
    let more = peak() - before;
    assert!(more < 1024.0, "{more:.0} MiB were read");
}
