//! Models with random faults.

use std::time::{Duration, Instant};

use gstunetsegment::inference::{ConvolutionMethod, Model, Options};
use gstunetsegment::unet::UNet;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common::process::child;
use crate::common::{self, Files, SMALL};

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

/// Tells a worker of [`models_with_faults_are_refused_or_run`] the first model, and how many there are.
const RANGE: &str = "UNETSEGMENT_MUTATED_RANGE";

/// How long a model may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Models with random faults are refused or run: nothing ends the process, no thread panics, and none takes long.
/// Worker processes load them, so that one that ends its worker is counted, and reported by its number; the next worker
/// continues after it.
#[test]
fn models_with_faults_are_refused_or_run() {
    let count: usize = std::env::var(MUTATED).map_or(400, |count| count.parse().unwrap());
    let (mut next, mut ran, mut faults) = (0, 0, Vec::new());
    while next < count {
        let mut worker = child("faults::worker")
            .arg("--nocapture")
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
    // Some that carry their contract and some that have to be probed, with few channels and with enough for Winograd's
    // convolution; for every tenth file one in integers, which is much larger.
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let wide = UNet { width: 8, ..SMALL };
    let models = [
        common::model(&SMALL),
        common::foreign(&wide, |_| ()),
        common::model(&wide),
        common::foreign(&SMALL, |_| ()),
        std::fs::read(root.join("models/membranes-em.int8.onnx")).unwrap(),
    ];
    let files = Files::new();
    let path = files.path("model.onnx");
    for number in first..end {
        // Each from a seed of its own, so that it can be made again alone.
        let mut random = StdRng::seed_from_u64(number);
        let model = &models[match number % 10 {
            9 => 4,
            other => other as usize % 4,
        }];
        let options = Options {
            threads: 1,
            convolutions: match number % 3 {
                0 => ConvolutionMethod::Winograd,
                _ => ConvolutionMethod::Direct,
            },
            ..Default::default()
        };
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
