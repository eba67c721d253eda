//! Models that are made to do harm are refused before ONNX Runtime sees them, at once and with their own words.

mod common;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Files, SMALL, element, refusal};
use gstunetsegment::inference::{Canceller, Model, ModelError, Options};
use gstunetsegment::onnx::{self, Attribute, DataType, Graph, Node, OperatorSet, Tensor};
use gstunetsegment::segmenter::{Segmenter, Tiles};
use gstunetsegment::tiling::Size;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn node(op: &str, input: &[&str], output: &str) -> Node {
    Node {
        input: input.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        ..Default::default()
    }
}

/// A file of one graph, with the picture of a network of ours as its input and output.
fn file(nodes: Vec<Node>, initializer: Vec<Tensor>) -> onnx::Model {
    let ours = onnx::Model::decode(common::model(&SMALL).as_slice()).unwrap();
    let graph = ours.graph.unwrap();
    onnx::Model {
        ir_version: 8,
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(Graph {
            node: nodes,
            initializer,
            input: graph.input,
            output: graph.output,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> Tensor {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    Tensor::new(name.into(), DataType::Int64, &[values.len() as i64], bytes)
}

/// Each with a word of its refusal.
fn hostile() -> Vec<(&'static str, &'static str, onnx::Model)> {
    let with_attribute = |op: &str, attribute: Attribute| {
        let mut node = node(op, &["input", "a"], "scores");
        node.attribute.push(attribute);
        node
    };
    let body = |op: &str, name: &str| {
        with_attribute(
            op,
            Attribute {
                name: name.into(),
                g: Some(Default::default()),
                ..Default::default()
            },
        )
    };
    let mut of_others = node("Steal", &["input"], "scores");
    of_others.domain = "com.example".into();
    let mut functions = file(vec![], vec![]);
    functions.functions.push(Default::default());
    let mut sparse = file(vec![], vec![]);
    sparse
        .graph
        .as_mut()
        .unwrap()
        .sparse_initializer
        .push(Default::default());
    let mut outside = file(vec![], vec![integers("a", &[1])]);
    outside.graph.as_mut().unwrap().initializer[0].data_location = 1;
    let list = |length: usize, value: i64, output: &str| {
        let mut constant = node("Constant", &[], output);
        let values = vec![value; length];
        constant
            .attribute
            .push(Attribute::ints("value_ints", &values));
        constant
    };
    let mut two_values = node("Constant", &[], "a");
    two_values.attribute.push(Attribute {
        t: Some(integers("", &[1])),
        ..Attribute::ints("value_ints", &[1 << 29])
    });
    let mut two_shapes = node("RandomNormal", &[], "scores");
    two_shapes.attribute.push(Attribute::ints("shape", &[1, 1]));
    two_shapes
        .attribute
        .push(Attribute::ints("shape", &[1 << 16, 1 << 16]));
    let lying = Tensor::new("a".into(), DataType::Float, &[1 << 20, 1 << 20], [0; 4]);
    vec![
        (
            "three gibibytes",
            "constant of",
            file(
                vec![node("ConstantOfShape", &["a"], "scores")],
                vec![integers("a", &[3 << 28])],
            ),
        ),
        (
            "long lists",
            "constant of",
            file(
                vec![
                    list(50_000, 1, "a"),
                    list(50_000, 1, "b"),
                    node("Unsqueeze", &["a", "axis"], "column"),
                    node("Add", &["column", "b"], "scores"),
                ],
                vec![integers("axis", &[1])],
            ),
        ),
        (
            "a list that shapes are multiplied by",
            "nothing bounds it",
            file(
                vec![
                    node("Shape", &["input"], "b"),
                    list(4, 10_000, "a"),
                    node("Mul", &["b", "a"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![],
            ),
        ),
        (
            "a constant of two values",
            "a form that is not followed",
            file(
                vec![two_values, node("ConstantOfShape", &["a"], "scores")],
                vec![],
            ),
        ),
        (
            "an attribute twice",
            "names shape twice",
            file(vec![two_shapes], vec![]),
        ),
        (
            "least by -1",
            "divides whole numbers",
            file(
                vec![
                    node("Shape", &["input"], "b"),
                    node("Div", &["least", "minus"], "c"),
                    node("Add", &["b", "c"], "d"),
                    node("ConstantOfShape", &["d"], "scores"),
                ],
                vec![integers("least", &[i64::MIN]), integers("minus", &[-1])],
            ),
        ),
        (
            "least by what comes of the picture",
            "divides whole numbers",
            file(
                vec![
                    with_attribute("Cast", Attribute::int("to", 7)),
                    node("Mod", &["least", "scores"], "d"),
                ],
                vec![integers("least", &[i64::MIN]), integers("a", &[1])],
            ),
        ),
        (
            "the least, computed",
            "divides whole numbers",
            file(
                vec![
                    node("Neg", &["least"], "a"),
                    node("Div", &["a", "minus"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![integers("least", &[i64::MIN]), integers("minus", &[-1])],
            ),
        ),
        (
            "a slice before nothing",
            "no elements",
            file(
                vec![
                    node("Slice", &["input", "a", "b", "axis"], "d"),
                    node("InstanceNormalization", &["d", "c", "c"], "scores"),
                ],
                vec![
                    integers("a", &[-1]),
                    integers("b", &[0]),
                    integers("axis", &[3]),
                ],
            ),
        ),
        (
            "no groups",
            "has 0 groups",
            file(
                vec![with_attribute("ConvTranspose", Attribute::int("group", 0))],
                vec![Tensor::new(
                    "a".into(),
                    DataType::Float,
                    &[1, 1, 1, 1],
                    [0; 4],
                )],
            ),
        ),
        (
            "a slice of nothing",
            "no elements",
            file(
                vec![
                    node("Slice", &["input", "a", "a", "axis"], "b"),
                    node("InstanceNormalization", &["b", "c", "c"], "scores"),
                ],
                vec![integers("a", &[0]), integers("axis", &[3])],
            ),
        ),
        (
            "deformed",
            "bounds what it makes",
            file(
                vec![node("DeformConv", &["input", "a", "input"], "scores")],
                vec![integers("a", &[1])],
            ),
        ),
        (
            "attention",
            "bounds what it makes",
            file(
                vec![node("Attention", &["input", "input", "input"], "scores")],
                vec![],
            ),
        ),
        (
            "computed",
            "nothing bounds it",
            file(
                vec![
                    node("Exp", &["a"], "b"),
                    node("ConstantOfShape", &["b"], "scores"),
                ],
                vec![integers("a", &[30])],
            ),
        ),
        (
            "multiplied",
            "nothing bounds it",
            file(
                vec![
                    node("Shape", &["input"], "b"),
                    node("Mul", &["b", "a"], "c"),
                    node("ConstantOfShape", &["c"], "scores"),
                ],
                vec![integers("a", &[10_000])],
            ),
        ),
        (
            "endless",
            "control flow",
            file(vec![body("Loop", "body")], vec![]),
        ),
        (
            "branches",
            "control flow",
            file(vec![body("If", "then_branch")], vec![]),
        ),
        ("others", "com.example", file(vec![of_others], vec![])),
        ("functions", "functions", functions),
        ("sparse", "sparse", sparse),
        ("outside", "another file", outside),
        ("lying", "do not go together", file(vec![], vec![lying])),
        (
            "spread",
            "constant of",
            file(
                vec![
                    node("ConstantOfShape", &["a"], "column"),
                    node("ConstantOfShape", &["b"], "row"),
                    node("Add", &["column", "row"], "scores"),
                ],
                vec![integers("a", &[65_536, 1]), integers("b", &[1, 65_536])],
            ),
        ),
        (
            "disorder",
            "sort the operators",
            file(
                vec![
                    node("Relu", &["later"], "scores"),
                    node("Relu", &["input"], "later"),
                ],
                vec![],
            ),
        ),
        (
            "boxes",
            "nothing bounds what it makes",
            file(vec![node("RoiAlign", &["input"], "scores")], vec![]),
        ),
        (
            "pads",
            "no picture needs",
            file(
                vec![with_attribute(
                    "Conv",
                    Attribute::ints("pads", &[1 << 40; 4]),
                )],
                vec![],
            ),
        ),
    ]
}

/// Most memory that this process ever took, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}

#[cfg(not(target_os = "linux"))]
fn peak() -> f64 {
    0.0
}

#[test]
fn hostile_models_are_refused_at_once() {
    common::init();
    let files = Files::new();
    let models = hostile();
    // What the runtime itself takes, and the first model, is not theirs.
    drop(Model::open(&files.model(&SMALL), &Options::default()).unwrap());
    let before = peak();
    for (name, words, model) in models {
        let path = files.write(&format!("{name}.onnx"), &model.encode_to_vec());
        refused(&path, words);
    }
    #[cfg(unix)]
    {
        refused(&PathBuf::from("/dev/zero"), "not a regular file");
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(b"na\xffme.onnx".to_vec());
        let path = files.path("x").with_file_name(name);
        std::fs::write(&path, b"nothing").unwrap();
        refused(&path, "not an ONNX file");
        // Another name for a model is that model.
        let linked = files.path("linked.onnx");
        std::fs::hard_link(files.model(&SMALL), &linked).unwrap();
        Model::open(&linked, &Options::default()).unwrap();
    }
    let more = peak() - before;
    assert!(more < 64.0, "{more:.0} MiB");
}

fn refused(path: &Path, words: &str) {
    let start = Instant::now();
    let error = Model::open(path, &Options::default()).err();
    let took = start.elapsed();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.contains(words), "{}: {text}", path.display());
    assert!(
        took < Duration::from_secs(1),
        "{}: {took:?}",
        path.display()
    );
}

/// A number of variable length, as the format writes it.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// What comes before a field of `length` bytes.
fn head(field: u64, length: u64) -> Vec<u8> {
    [varint(field << 3 | 2), varint(length)].concat()
}

/// What comes before `length` bytes that lie in the fields `within`, the outermost first.
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
    let text = include_str!("../fuzz/seeds/package/format-0.5.yaml");
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
    let text = include_str!("../fuzz/seeds/package/format-0.5.yaml");
    std::fs::write(folder.join("rdf.yaml"), text).unwrap();
    hollow(files, "folder/weights.onnx", b"", 2 << 30);
    folder
}

/// Files of which reading or parsing takes much more memory than there is in them, each with words of its refusal.
fn swelling(files: &Files) -> Vec<(PathBuf, &'static str)> {
    const MILLIONS: u64 = 2_000_000;
    let most = "beside its weights";
    let much = 300 << 20;
    vec![
        (
            many(files, "nodes", &[7], b"\x0a\x00", 5 * MILLIONS),
            "20001 operators",
        ),
        (many(files, "inputs", &[7, 1], b"\x0a\x00", MILLIONS), most),
        (
            many(files, "attributes", &[7, 1], b"\x2a\x00", MILLIONS),
            most,
        ),
        (
            many(files, "initializers", &[7], b"\x2a\x00", MILLIONS),
            most,
        ),
        (many(files, "values", &[7], b"\x5a\x00", MILLIONS), most),
        (many(files, "metadata", &[], b"\x72\x00", MILLIONS), most),
        (many(files, "versions", &[], b"\x42\x00", MILLIONS), most),
        (
            many(files, "functions", &[], b"\xca\x01\x00", MILLIONS),
            most,
        ),
        (
            many(files, "numbers", &[7, 5, 7], b"\x00", 5 * MILLIONS),
            most,
        ),
        (
            hollow(files, "zeros.onnx", b"", 2 << 30),
            "not an ONNX file",
        ),
        (hollow(files, "begun.onnx", BEGIN, 2 << 30), "damaged"),
        (
            hollow(
                files,
                "text.onnx",
                &[BEGIN, &head(2, 1 << 30)].concat(),
                2 << 30,
            ),
            most,
        ),
        (hollow_package(files), "not an ONNX file"),
        (packed(files, "zeros.zip", b"", much), "packed into"),
        (
            packed(files, "weights.zip", &before_weights(much), much),
            "packed into",
        ),
        (packed(files, "few.zip", b"", 1 << 20), "not an ONNX file"),
    ]
}

/// Makes [`peak`] count from now on.
#[cfg(target_os = "linux")]
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[cfg(not(target_os = "linux"))]
fn forget_peak() {}

/// Also by the element, which says so on the bus.
#[test]
fn files_that_swell_are_refused_before_they_do() {
    common::init();
    let files = Files::new();
    for (path, words) in swelling(&files) {
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

/// Nobody has to wait until a large file is read.
#[test]
fn reading_a_large_model_can_be_ended() {
    common::init();
    let files = Files::new();
    let size = 1 << 30;
    let begin = before_weights(size);
    let path = hollow(&files, "large.onnx", &begin, begin.len() as u64 + size);
    let canceller = Canceller::default();
    let options = Options {
        canceller: canceller.clone(),
        ..Default::default()
    };
    canceller.cancel();
    forget_peak();
    let before = peak();
    let start = Instant::now();
    let error = Model::open(&path, &options).err();
    let took = start.elapsed();
    assert!(
        matches!(error, Some(ModelError::Stopped { .. })),
        "{error:?}"
    );
    assert!(took < Duration::from_millis(300), "{took:?}");
    let more = peak() - before;
    assert!(more < 64.0, "{more:.0} MiB");
}

/// An operator can't be ended while it computes.
#[test]
fn one_operator_that_computes_long_is_refused() {
    let convolution = |name: &str, input: &str, weight: &str, output: &str, side: i64| {
        let mut node = node("Conv", &[input, weight], output);
        node.name = name.into();
        node.attribute = vec![
            Attribute::ints("kernel_shape", &[side; 2]),
            Attribute::ints("pads", &[side / 2; 4]),
        ];
        node
    };
    let weights = |name: &str, outputs: i64, inputs: i64, side: i64| {
        let count = outputs * inputs * side * side;
        let dims = [outputs, inputs, side, side];
        Tensor::of_floats(name.into(), &dims, &vec![0.01; count as usize])
    };
    let wide = |channels: i64| {
        file(
            vec![
                convolution("first", "image", "a", "x", 1),
                convolution("wide", "x", "b", "y", 3),
                convolution("last", "y", "c", "scores", 1),
            ],
            vec![
                weights("a", channels, 1, 1),
                weights("b", channels, channels, 3),
                weights("c", 2, channels, 1),
            ],
        )
    };
    common::init();
    let files = Files::new();
    let path = files.write("wide.onnx", &wide(512).encode_to_vec());
    refused(&path, "wide (Conv) alone multiplies");
    let text = refusal(&element(&path, &[]));
    assert!(text.contains("alone multiplies"), "{text}");
    // One that is just allowed has tiles for which nobody waits long.
    let path = files.write("less.onnx", &wide(448).encode_to_vec());
    let mut segmenter = Segmenter::open(&path, &Options::default(), Tiles::default()).unwrap();
    let frame = Size {
        width: 1024,
        height: 1024,
    };
    let plan = segmenter.prepare(frame).unwrap();
    let work = (448 * 448 * 9) as f64 * plan.outer.area() as f64;
    assert!(
        work <= f64::from(1 << 16) * f64::from(1 << 20),
        "{:?}",
        plan.outer
    );
}

/// A model with some of its bytes changed, cut out or put in.
fn mutated(model: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = model.to_vec();
    for _ in 0..random.random_range(1..8) {
        // Most of a file is weights; its structure is at both ends.
        let at = match random.random_range(0..3) {
            0 => random.random_range(0..bytes.len().min(400)),
            1 => bytes.len() - 1 - random.random_range(0..bytes.len().min(2000)),
            _ => random.random_range(0..bytes.len()),
        };
        match random.random_range(0..4) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => {
                bytes.drain(at..(at + random.random_range(1..40)).min(bytes.len()));
            }
            _ => {
                let more: Vec<u8> = (0..random.random_range(1..20))
                    .map(|_| random.random())
                    .collect();
                bytes.splice(at..at, more);
            }
        }
        if bytes.len() < 10 {
            break;
        }
    }
    bytes
}

/// How many models are changed at random; `make soak` asks for more.
const MUTATED: &str = "UNETSEGMENT_MUTATED";

/// What a worker of [`models_with_faults_are_refused_or_run`] is told: the first model, and how many there are.
const RANGE: &str = "UNETSEGMENT_MUTATED_RANGE";

/// How long a model may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Models with random faults are refused or run: nothing ends the process, no thread panics, and none takes long.
/// Workers of their own load them, so that one that ends its worker is counted, and told by its number; the next
/// worker goes on behind it.
#[test]
fn models_with_faults_are_refused_or_run() {
    let count: usize = std::env::var(MUTATED).map_or(400, |count| count.parse().unwrap());
    let (mut next, mut ran, mut faults) = (0, 0, Vec::new());
    while next < count {
        let mut worker = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--ignored", "--nocapture"])
            .env(RANGE, format!("{next} {count}"))
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let (send, heard) = std::sync::mpsc::channel();
        let lines = std::io::BufReader::new(worker.stdout.take().unwrap());
        std::thread::spawn(move || {
            use std::io::BufRead;
            lines
                .lines()
                .map_while(Result::ok)
                .all(|line| send.send(line).is_ok())
        });
        let fault = loop {
            match heard.recv_timeout(2 * LONGEST) {
                Ok(line) => {
                    if let Some(result) = line.strip_prefix(&format!("model {next} ")) {
                        ran += usize::from(result == "ran");
                        next += 1;
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    worker.kill().unwrap();
                    break "took too long".to_owned();
                }
                Err(_) => break String::new(),
            }
        };
        let status = worker.wait().unwrap();
        if next < count {
            faults.push(format!("model {next}: {status} {fault}"));
            next += 1;
        } else if !status.success() {
            faults.push(format!("after the last model: {status}"));
        }
    }
    println!("{count} models with faults, of which {ran} ran");
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        ran > 0 && ran < count,
        "{ran} of {count} ran: the faults are of one kind"
    );
}

#[test]
#[ignore = "runs as a child of models_with_faults_are_refused_or_run"]
fn worker() {
    let Ok(range) = std::env::var(RANGE) else {
        return;
    };
    let (first, end) = range.split_once(' ').unwrap();
    let (first, end): (u64, u64) = (first.parse().unwrap(), end.parse().unwrap());
    common::init();
    // One that carries its contract, and one that has to be probed.
    let models = [common::model(&SMALL), common::foreign(&SMALL, |_| ())];
    let files = Files::new();
    let path = files.path("model.onnx");
    let options = Options {
        threads: 1,
        ..Default::default()
    };
    for number in first..end {
        // Each from a seed of its own, so that it can be made again alone.
        let mut random = StdRng::seed_from_u64(number);
        let model = &models[number as usize % models.len()];
        std::fs::write(&path, mutated(model, &mut random)).unwrap();
        let start = Instant::now();
        let ran = Model::open(&path, &options).is_ok_and(|mut opened| {
            let (height, width) = SMALL.geometry().legal(64, 64).unwrap();
            opened.shape(height, width).is_ok() && opened.run().is_ok()
        });
        let took = start.elapsed();
        assert!(took < LONGEST, "model {number}: {took:?}");
        println!("model {number} {}", if ran { "ran" } else { "refused" });
    }
}

/// A file whose fifth byte on is what files in ONNX Runtime's own format begin with is ONNX all the same: what
/// the scan has seen is what is loaded.
#[test]
fn a_file_of_two_formats_is_onnx() {
    common::init();
    let files = Files::new();
    let mut model = onnx::Model::decode(common::model(&SMALL).as_slice()).unwrap();
    model.producer_name = "ORTM, or so it says".into();
    let bytes = model.encode_to_vec();
    assert_eq!(&bytes[4..8], b"ORTM");
    let path = files.write("model.onnx", &bytes);
    Model::open(&path, &Options::default()).unwrap();
}
