//! Follows cells and writes what the Cell Tracking Challenge takes as a result: `mask000.tif`, `mask001.tif`, ... with a
//! number for each cell, and `res_track.txt` with a line for each track: number, first frame, last frame, and the track
//! that it has come out of by a division, or 0.
//!
//! ```sh
//! cargo run --release --example track -- models/nuclei-fluo.onnx 01_RES \
//!     "multifilesrc location=01/t%03d.tif start-index=0 caps=image/tiff,framerate=1/1 ! avdec_tiff"
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

use gst::glib;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use image::{ImageBuffer, Luma};

const SOURCE: &str = "videotestsrc num-buffers=10 pattern=ball ! video/x-raw,width=256,height=256";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (model, folder, source) = match arguments.as_slice() {
        [model, folder] => (model, folder, SOURCE),
        [model, folder, source] => (model, folder, source.as_str()),
        _ => return Err("usage: track MODEL.onnx FOLDER [SOURCE]".into()),
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    gst::init()?;
    gstunetsegment::plugin_register_static()?;
    let pipeline = gst::parse::launch(&format!(
        "{source} ! unetsegment name=segment output=labels track=true split=probability post-messages=true ! \
         appsink name=labels sync=false"
    ))?;
    let pipeline = pipeline
        .downcast::<gst::Pipeline>()
        .map_err(|_| "not a pipeline")?;
    let segment = pipeline.by_name("segment").ok_or("no unetsegment")?;
    segment.set_property("model-file", model);
    let labels = pipeline.by_name("labels").ok_or("no appsink")?;
    let labels = labels
        .downcast::<gst_app::AppSink>()
        .map_err(|_| "not an appsink")?;
    let bus = pipeline.bus().ok_or("no bus")?;

    // Should this fail, the bus has the reason.
    let _ = pipeline.set_state(gst::State::Playing);
    let mut tracks = Tracks::default();
    let mut frame = 0;
    let mut told = VecDeque::new();
    let mut error = None;
    while error.is_none() && !labels.is_eos() {
        let sample = labels.try_pull_sample(gst::ClockTime::from_mseconds(100));
        // What is told of a frame is posted before it goes out.
        error = listen(&bus, &mut told);
        let Some(sample) = sample else {
            continue;
        };
        let fields = told.pop_front().ok_or("a frame without a message")?;
        if fields.get::<bool>("renumbered")? {
            return Err("there are more tracks than pictures of 16 bits have numbers for".into());
        }
        tracks.divide(&divisions(&fields)?);
        let mut picture = picture(&sample)?;
        tracks.number(&mut picture, frame);
        picture.save(folder.join(format!("mask{frame:03}.tif")))?;
        frame += 1;
    }
    pipeline.set_state(gst::State::Null)?;
    if let Some(error) = error {
        return Err(error.message().into());
    }
    fs::write(folder.join("res_track.txt"), tracks.table())?;
    println!("{frame} frames, {} tracks", tracks.ends.len());
    Ok(())
}

/// A frame of the element, whose rows may be longer than the picture.
fn picture(sample: &gst::Sample) -> Result<ImageBuffer<Luma<u16>, Vec<u16>>, Box<dyn Error>> {
    let info = gst_video::VideoInfo::from_caps(sample.caps().ok_or("no caps")?)?;
    let buffer = sample.buffer().ok_or("no buffer")?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
    let rows = frame
        .plane_data(0)?
        .chunks(frame.plane_stride()[0] as usize);
    let rows = rows.take(info.height() as usize);
    let bytes = rows.flat_map(|row| row[..2 * info.width() as usize].chunks_exact(2));
    let numbers = bytes.map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    ImageBuffer::from_vec(info.width(), info.height(), numbers.collect())
        .ok_or_else(|| "no picture".into())
}

/// Takes all messages off the bus: those about frames go to the end of `told`, and the first error is returned. Whoever
/// asks a bus for messages of one kind alone loses those before them.
fn listen(bus: &gst::Bus, told: &mut VecDeque<gst::Structure>) -> Option<glib::Error> {
    let mut first = None;
    while let Some(message) = bus.pop() {
        match message.view() {
            gst::MessageView::Error(error) => first = first.or(Some(error.error())),
            gst::MessageView::Element(element) => {
                let fields = element.structure();
                let fields = fields.filter(|fields| fields.name() == "unetsegment");
                told.extend(fields.map(ToOwned::to_owned));
            }
            _ => (),
        }
    }
    first
}

/// The divisions that the message of a frame tells: the object, and both that it became.
fn divisions(message: &gst::Structure) -> Result<Vec<[u32; 3]>, Box<dyn Error>> {
    let told = message.get::<gst::Array>("divisions")?;
    told.iter()
        .map(|division| {
            let three = division.get::<gst::Array>()?;
            let three: Result<Vec<u32>, _> = three.iter().map(|number| number.get()).collect();
            <[u32; 3]>::try_from(three?).map_err(|_| "a division of other than two".into())
        })
        .collect()
}

/// The tracks so far. The challenge knows no gaps: what comes back after some frames is a new track, whose parent is the
/// old one.
#[derive(Default)]
struct Tracks {
    /// First and last frame of each track.
    ends: BTreeMap<u16, (usize, usize)>,
    parents: HashMap<u16, u16>,
    /// The track that each object of the element goes by now. Tracks are numbered from 1 on by themselves: those that
    /// gaps begin need numbers that no object has, and high ones overflow in some programs that score.
    of_objects: HashMap<u16, u16>,
    /// Tracks so far.
    count: u16,
}

impl Tracks {
    fn divide(&mut self, divisions: &[[u32; 3]]) {
        for [parent, children @ ..] in divisions {
            let Some(parent) = self.of_objects.get(&(*parent as u16)).copied() else {
                continue;
            };
            for child in children {
                let track = self.begin(*child as u16);
                self.parents.insert(track, parent);
            }
        }
    }

    /// A new track for an object.
    fn begin(&mut self, object: u16) -> u16 {
        self.count += 1;
        self.of_objects.insert(object, self.count);
        self.count
    }

    /// Makes tracks of the objects in a picture.
    fn number(&mut self, picture: &mut ImageBuffer<Luma<u16>, Vec<u16>>, frame: usize) {
        let objects: BTreeSet<u16> = picture
            .pixels()
            .map(|pixel| pixel.0[0])
            .filter(|number| *number > 0)
            .collect();
        for object in objects {
            let mut track = match self.of_objects.get(&object) {
                Some(track) => *track,
                None => self.begin(object),
            };
            let last = self.ends.get(&track).map(|(_, last)| *last);
            if last.is_some_and(|last| last + 1 < frame) {
                let old = track;
                track = self.begin(object);
                self.parents.insert(track, old);
            }
            self.ends.entry(track).or_insert((frame, frame)).1 = frame;
        }
        for pixel in picture.pixels_mut() {
            pixel.0[0] = self.of_objects.get(&pixel.0[0]).copied().unwrap_or(0);
        }
    }

    fn table(&self) -> String {
        let line = |(track, (first, last)): (&u16, &(usize, usize))| {
            let parent = self.parents.get(track).unwrap_or(&0);
            format!("{track} {first} {last} {parent}\n")
        };
        self.ends.iter().map(line).collect()
    }
}
