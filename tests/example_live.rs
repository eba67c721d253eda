//! The examples that show or steer what is live: in a browser, and at cameras of Micro-Manager and Aravis.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Files;
use common::programs::{aravis, built, micro_manager, python, root, run, stdout};

/// A browser gets whole pictures, and counts.
#[test]
fn a_browser_is_shown_the_overlay() {
    let Some(mut python) = python() else { return };
    common::init();
    let files = Files::new();
    let mut server = python
        .arg(root().join("examples/browser.py"))
        .arg(root().join("models/nuclei-fluo.int8.onnx"))
        .arg("videotestsrc is-live=true pattern=ball ! video/x-raw,width=128,height=96,framerate=20/1")
        .arg("0")
        .env("GST_PLUGIN_PATH", built())
        .env("GST_REGISTRY", files.path("registry.bin"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let port = address
        .trim()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let ask = |path: &str, bytes: u64| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.take(bytes).read_to_end(&mut answer).unwrap();
        answer
    };
    let has = |answer: &[u8], part: &[u8]| {
        answer
            .windows(part.len())
            .filter(|bytes| *bytes == part)
            .count()
    };
    let (page, pictures, counts) = (
        ask("/", 10_000),
        ask("/stream", 20_000),
        ask("/counts", 300),
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(has(&page, b"<img src=\"/stream\"") == 1);
    // Where a JPEG begins and where it ends.
    assert!(has(&pictures, b"\xff\xd8\xff") > 1 && has(&pictures, b"\xff\xd9") > 1);
    assert!(
        has(&counts, b"\"coverage\": ") > 0,
        "{}",
        String::from_utf8_lossy(&counts)
    );
}

/// The trigger sets the exposure of Micro-Manager's camera: it begins to hold with many beads, and ends after they were
/// thinned out.
#[test]
fn a_microscope_is_steered_by_the_trigger() {
    let Some(mut python) = micro_manager() else {
        return;
    };
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.int8.onnx");
    let program = python.arg(root().join("examples/micromanager.py"));
    let found = stdout(&run(&files, program.arg(&model)));
    let changes = found.lines().filter_map(|line| {
        let (what, rest) = line.strip_prefix("trigger ")?.split_once(" at ")?;
        let (objects, exposure) = rest.split_once(" objects: exposure ")?;
        Some((what, objects.parse::<u32>().unwrap(), exposure))
    });
    let changes: Vec<_> = changes.collect();
    let &[(begins, many, short), (ends, few, long)] = changes.as_slice() else {
        panic!("it was to begin and to end:\n{found}");
    };
    assert_eq!((begins, short), ("begins", "20 ms"), "{found}");
    assert_eq!((ends, long), ("ends", "100 ms"), "{found}");
    assert!(many >= 25 && few < 15, "{found}");
}

/// The frames of a GigE camera are counted.
#[test]
fn a_camera_of_aravis_is_watched() {
    let Some(_) = aravis("true") else { return };
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.int8.onnx");
    let mut program = Command::new(root().join("examples/aravis.sh"));
    let found = stdout(&run(&files, program.arg(&model).env("FRAMES", "60")));
    assert!(found.contains("objects=(uint)"), "{found}");
}
