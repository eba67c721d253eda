//! The examples in three languages, as they are.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use common::Files;
use common::programs::{built, python, root, run, stdout};
use gst::prelude::*;
use gstreamer as gst;

const SOURCE: &str = "videotestsrc num-buffers=4 pattern=ball ! video/x-raw,width=200,height=160";

fn counted_by_rust(files: &Files, model: &Path, source: &str) -> String {
    let program = built().join("examples").join("count");
    stdout(&run(files, Command::new(program).arg(model).arg(source)))
}

#[test]
fn the_same_is_counted_in_rust_and_c() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let expected = counted_by_rust(&files, &model, SOURCE);
    assert_eq!(expected.lines().count(), 4, "{expected}");
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "gstreamer-1.0", "gstreamer-app-1.0"])
        .output()
        .unwrap();
    let program = files.path("count");
    let compiled = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(root().join("examples/count.c"))
        .args(stdout(&flags).split_whitespace())
        .output()
        .unwrap();
    stdout(&compiled);
    let found = stdout(&run(&files, Command::new(&program).arg(&model).arg(SOURCE)));
    assert_eq!(found, expected);
    let dim = dim(&files);
    let found = stdout(&run(&files, Command::new(&program).arg(&model).arg(&dim)));
    assert_eq!(found, counted_by_rust(&files, &model, &dim));
    // An error is reported, and the program ends.
    let output = run(&files, Command::new(&program).arg("nothing.onnx"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.onnx"));
}

#[test]
fn the_same_is_counted_in_python() {
    let Some(mut python) = python() else { return };
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let program = python.arg(root().join("examples/count.py"));
    let found = stdout(&run(&files, program.arg(&model).arg(SOURCE)));
    assert_eq!(found, counted_by_rust(&files, &model, SOURCE));
}

/// A time-lapse of 16 bits, as a dim camera makes it: 8 bits of it are black.
fn dim(files: &Files) -> String {
    for number in 0..3_u32 {
        let picture = image::ImageBuffer::from_fn(200, 160, |x, y| {
            let away = |cx: f64, cy: f64| (f64::from(x) - cx).hypot(f64::from(y) - cy);
            let discs = [(50.0, 50.0), (120.0, 60.0), (90.0, 120.0)];
            let mut discs = discs.iter().take(1 + number as usize);
            let bright = discs.any(|(cx, cy)| away(*cx, *cy) < 14.0);
            image::Luma([if bright { 120_u16 } else { 20 } + ((x * 7 + y * 13) % 5) as u16])
        });
        picture
            .save(files.path(&format!("dim{number}.png")))
            .unwrap();
    }
    format!(
        "multifilesrc location={} caps=image/png,framerate=1/1 ! pngdec",
        files.path("dim%d.png").display()
    )
}

/// The messages of the element about the frames of `source`, without a program in between.
fn messages(model: &Path, source: &str) -> Vec<gst::Structure> {
    common::init();
    let text = format!(
        "{source} ! unetsegment output=none post-messages=true post-objects=true model-file={} ! fakesink",
        model.display()
    );
    let pipeline = gst::parse::launch(&text).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut messages = Vec::new();
    for message in pipeline.bus().unwrap().iter_timed(gst::ClockTime::NONE) {
        match message.view() {
            gst::MessageView::Element(element) => {
                let fields = element.structure();
                let fields = fields.filter(|fields| fields.name() == "unetsegment");
                messages.extend(fields.map(ToOwned::to_owned));
            }
            gst::MessageView::Eos(_) => break,
            gst::MessageView::Error(error) => panic!("{error:?}"),
            _ => (),
        }
    }
    pipeline.set_state(gst::State::Null).unwrap();
    messages
}

/// Programs count as many objects as the element does on all 16 bits.
#[test]
fn pictures_of_16_bits_stay_so() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let source = dim(&files);
    let expected = messages(&model, &source);
    let counts: Vec<u32> = expected
        .iter()
        .map(|fields| fields.get("objects").unwrap())
        .collect();
    assert_eq!(counts, [1, 2, 3]);
    let counted = counted_by_rust(&files, &model, &source);
    let of_line = |line: &str| line.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(counted.lines().map(of_line).collect::<Vec<u32>>(), counts);
    let Some(mut python) = python() else { return };
    let program = python.arg(root().join("examples/count.py"));
    assert_eq!(
        stdout(&run(&files, program.arg(&model).arg(&source))),
        counted
    );
    // The table has the counts of the camera.
    let rows = table(&files, &model, &source, &["--pixel-size", "0.5"]);
    assert_eq!(rows.len(), 6, "{rows:?}");
    for row in rows {
        let number = |name: &str| row[name].parse::<f64>().unwrap();
        assert!((80.0..130.0).contains(&number("intensity")), "{row:?}");
        assert_eq!(number("area-um2"), number("area") * 0.25);
        assert_eq!(number("perimeter-um"), number("perimeter") * 0.5);
        assert_eq!(number("x-um"), number("x") * 0.5);
    }
}

/// The lines of a table that is written, by the names of its columns.
fn table(
    files: &Files,
    model: &Path,
    source: &str,
    more: &[&str],
) -> Vec<BTreeMap<String, String>> {
    let file = files.path("objects.csv");
    let mut command = python().unwrap();
    let program = command.arg(root().join("examples/log.py"));
    let program = program.arg(model).arg(&file).arg(source).args(more);
    stdout(&run(files, program));
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    let row = |line: Vec<String>| {
        assert_eq!(line.len(), names.len(), "{line:?}");
        names.iter().cloned().zip(line).collect()
    };
    lines.map(|line| row(line.collect())).collect()
}

/// A line for each object, as many as are counted.
#[test]
fn objects_are_written_as_a_table() {
    let Some(mut python) = python() else { return };
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let rows = table(&files, &model, SOURCE, &[]);
    let counted = counted_by_rust(&files, &model, SOURCE);
    let counts = counted.lines().map(|line| line.split(' ').next().unwrap());
    let expected: usize = counts.map(|count| count.parse::<usize>().unwrap()).sum();
    assert!(expected > 0);
    assert_eq!(rows.len(), expected, "{rows:?}");
    // The size of a pixel is not known.
    assert!(
        rows.iter()
            .all(|row| row.len() == 19 && row["x-um"].is_empty())
    );
    // An error is reported, and nothing else.
    let program = python.arg(root().join("examples/log.py"));
    let output = run(
        &files,
        program.arg("nothing.onnx").arg(files.path("no.csv")),
    );
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("nothing.onnx") && !error.contains("CRITICAL"),
        "{error}"
    );
}

/// The masks and the table of the Cell Tracking Challenge agree: a track is in every frame from its first to its last.
#[test]
fn tracks_are_written_as_the_challenge_takes_them() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let folder = files.path("result");
    let program = built().join("examples").join("track");
    let mut command = Command::new(program);
    stdout(&run(&files, command.arg(&model).arg(&folder).arg(SOURCE)));
    let masks: Vec<image::DynamicImage> = (0..4)
        .map(|frame| image::open(folder.join(format!("mask{frame:03}.tif"))).unwrap())
        .collect();
    let frames_of = |track: u16| -> Vec<usize> {
        let has = |mask: &image::DynamicImage| {
            mask.as_luma16().unwrap().pixels().any(|p| p.0[0] == track)
        };
        (0..masks.len())
            .filter(|frame| has(&masks[*frame]))
            .collect()
    };
    let table = std::fs::read_to_string(folder.join("res_track.txt")).unwrap();
    assert!(!table.is_empty());
    let mut tracks = std::collections::BTreeSet::new();
    for line in table.lines() {
        let fields: Vec<usize> = line
            .split(' ')
            .map(|field| field.parse().unwrap())
            .collect();
        let [track, first, last, _] = fields[..] else {
            panic!("{line}");
        };
        assert_eq!(
            frames_of(track as u16),
            (first..=last).collect::<Vec<_>>(),
            "{line}"
        );
        tracks.insert(track as u16);
    }
    let seen = masks
        .iter()
        .flat_map(|mask| mask.as_luma16().unwrap().pixels().map(|p| p.0[0]));
    assert!(
        seen.filter(|number| *number > 0)
            .all(|number| tracks.contains(&number))
    );
}

/// Which pixels have colour, which a grey picture has where something is drawn.
fn coloured(picture: &image::RgbImage) -> Vec<bool> {
    let spread = |pixel: &image::Rgb<u8>| {
        let [red, green, blue] = pixel.0;
        red.max(green).max(blue) - red.min(green).min(blue)
    };
    picture.pixels().map(|pixel| spread(pixel) > 20).collect()
}

fn share(pixels: &[bool]) -> f64 {
    let set = pixels.iter().filter(|pixel| **pixel).count();
    set as f64 / pixels.len() as f64
}

fn picture(path: impl AsRef<Path>) -> image::RgbImage {
    let path = path.as_ref();
    let opened = image::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    opened.to_rgb8()
}

/// The README's picture, nearly: the models may improve.
#[test]
fn pictures_of_a_program_are_drawn_upon() {
    let files = Files::new();
    let model = root().join("models/nuclei-fluo.onnx");
    let (program, target) = (built().join("examples/overlay"), files.path("overlay.png"));
    let mut command = Command::new(&program);
    stdout(&run(&files, command.arg(&model).arg(&target)));
    let (found, expected) = (picture(&target), picture(root().join("docs/overlay.png")));
    assert_eq!(found.dimensions(), expected.dimensions());
    let (found, expected) = (coloured(&found), coloured(&expected));
    let differing: Vec<bool> = found.iter().zip(&expected).map(|(a, b)| a != b).collect();
    let (found, differing) = (share(&found), share(&differing));
    assert!(found > 0.1 && differing < 0.02, "{found}, {differing}");
    // An error is reported.
    let output = run(
        &files,
        Command::new(&program).arg("nothing.onnx").arg(&target),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.onnx"));
}

/// The documentation's pictures to the pixel, and each style in two sizes: filled ones have more colour than outlines,
/// and thick outlines more than thin ones.
#[test]
fn styles_are_drawn_as_documented() {
    let files = Files::new();
    let folder = files.path("styles");
    let mut command = Command::new(built().join("examples/styles"));
    stdout(&run(&files, command.arg(&folder)));
    for name in ["overlay-styles", "overlay-parts", "overlay-numbers"] {
        let name = format!("{name}.png");
        let documented = picture(root().join("docs").join(&name));
        assert!(picture(folder.join(&name)) == documented, "{name}");
    }
    for (width, height) in [(696, 520), (2048, 2048)] {
        let colour_of = |style: &str| {
            let drawn = picture(folder.join(format!("{width}x{height}-{style}.png")));
            assert_eq!(drawn.dimensions(), (width, height), "{style}");
            share(&coloured(&drawn))
        };
        let [both, fill, thin, thick, numbers] =
            ["both", "fill", "outline", "outline-3", "numbers"].map(colour_of);
        assert!(
            0.01 < thin && thin < thick && thick < fill,
            "{thin} {thick} {fill}"
        );
        assert!(fill <= both && numbers > thick, "{fill} {both} {numbers}");
    }
}
