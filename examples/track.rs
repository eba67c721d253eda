//! Tracks cells and writes the result format of the Cell Tracking Challenge: `mask000.tif`, `mask001.tif`, ... with a
//! number for each cell, and `res_track.txt` with a line for each track: number, first frame, last frame, and the track
//! that it descends from by a division, or 0.
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
    let mut messages = VecDeque::new();
    let mut error = None;
    while error.is_none() && !labels.is_eos() {
        let sample = labels.try_pull_sample(gst::ClockTime::from_mseconds(100));
        // The message of a frame is posted before the frame is pushed.
        error = poll(&bus, &mut messages);
        let Some(sample) = sample else {
            continue;
        };
        let fields = messages.pop_front().ok_or("a frame without a message")?;
        if fields.get::<bool>("renumbered")? {
            return Err(TOO_MANY.into());
        }
        tracks.divide(&divisions(&fields)?)?;
        let mut picture = picture(&sample)?;
        tracks.number(&mut picture, frame)?;
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

/// Pops all messages off the bus: those about frames are appended to `messages`, and the first error is returned.
/// Popping only one kind of message would discard those before it.
fn poll(bus: &gst::Bus, messages: &mut VecDeque<gst::Structure>) -> Option<glib::Error> {
    let mut first = None;
    while let Some(message) = bus.pop() {
        match message.view() {
            gst::MessageView::Error(error) => first = first.or(Some(error.error())),
            gst::MessageView::Element(element) => {
                let fields = element.structure();
                let fields = fields.filter(|fields| fields.name() == "unetsegment");
                messages.extend(fields.map(ToOwned::to_owned));
            }
            _ => (),
        }
    }
    first
}

/// The divisions in the message of a frame: the parent object, and its two children.
fn divisions(message: &gst::Structure) -> Result<Vec<[u32; 3]>, Box<dyn Error>> {
    let divisions = message.get::<gst::Array>("divisions")?;
    divisions
        .iter()
        .map(|division| {
            let three = division.get::<gst::Array>()?;
            let three: Result<Vec<u32>, _> = three.iter().map(|number| number.get()).collect();
            <[u32; 3]>::try_from(three?).map_err(|_| "a division of other than two".into())
        })
        .collect()
}

const TOO_MANY: &str = "more than 65,535 tracks, which pictures of 16 bits can't number";

/// The tracks so far. The challenge allows no gaps: an object that reappears after some frames begins a new track,
/// whose parent is the old one.
#[derive(Default)]
struct Tracks {
    /// First and last frame of each track.
    ends: BTreeMap<u16, (usize, usize)>,
    parents: HashMap<u16, u16>,
    /// The current track of each object of the element. Tracks have numbers of their own, from 1: those that begin
    /// after a gap need numbers that no object has, and high ones overflow in some scoring programs.
    of_objects: HashMap<u16, u16>,
    /// Tracks so far.
    count: u16,
}

impl Tracks {
    fn divide(&mut self, divisions: &[[u32; 3]]) -> Result<(), &'static str> {
        for [parent, children @ ..] in divisions {
            let Some(parent) = self.of_objects.get(&(*parent as u16)).copied() else {
                continue;
            };
            for child in children {
                let track = self.begin(*child as u16)?;
                self.parents.insert(track, parent);
            }
        }
        Ok(())
    }

    /// A new track for an object.
    fn begin(&mut self, object: u16) -> Result<u16, &'static str> {
        self.count = self.count.checked_add(1).ok_or(TOO_MANY)?;
        self.of_objects.insert(object, self.count);
        Ok(self.count)
    }

    /// Replaces the numbers of the objects in a picture by those of their tracks.
    fn number(
        &mut self,
        picture: &mut ImageBuffer<Luma<u16>, Vec<u16>>,
        frame: usize,
    ) -> Result<(), &'static str> {
        let objects: BTreeSet<u16> = picture
            .pixels()
            .map(|pixel| pixel.0[0])
            .filter(|number| *number > 0)
            .collect();
        for object in objects {
            let mut track = match self.of_objects.get(&object) {
                Some(track) => *track,
                None => self.begin(object)?,
            };
            let last = self.ends.get(&track).map(|(_, last)| *last);
            if last.is_some_and(|last| last + 1 < frame) {
                let old = track;
                track = self.begin(object)?;
                self.parents.insert(track, old);
            }
            self.ends.entry(track).or_insert((frame, frame)).1 = frame;
        }
        for pixel in picture.pixels_mut() {
            pixel.0[0] = self.of_objects.get(&pixel.0[0]).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn table(&self) -> String {
        let line = |(track, (first, last)): (&u16, &(usize, usize))| {
            let parent = self.parents.get(track).unwrap_or(&0);
            format!("{track} {first} {last} {parent}\n")
        };
        self.ends.iter().map(line).collect()
    }
}
