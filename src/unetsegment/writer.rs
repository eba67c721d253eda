//! The last stage: what was found on a frame is drawn upon it, or written in its place, and goes with it.

use super::Output;
use super::job::{Found, Job, ProcessError};
use super::messages::Report;
use super::settings::FrameSettings;
use super::stream::Stream;
use crate::contract::Contract;
use crate::labels::Components;
use crate::mask_meta;
use crate::picture::{self, Color, DisplayRange, LevelTracker, Levels};

/// Makes what goes out.
pub struct Writer {
    contract: Contract,
    /// Colours of the classes.
    colors: Vec<Color>,
    levels: LevelTracker,
    components: Components,
    /// Frames that went out.
    frames: u64,
}

impl Writer {
    /// For what a network with `contract` finds.
    pub fn new(contract: Contract) -> Self {
        Writer {
            colors: contract.classes.iter().map(|class| class.color).collect(),
            contract,
            levels: LevelTracker::new(DisplayRange::Auto),
            components: Components::default(),
            frames: 0,
        }
    }

    /// Forgets how bright the frames of the stream before were.
    pub fn begin_stream(&mut self) {
        self.levels = LevelTracker::new(DisplayRange::Auto);
    }

    /// Makes the buffer that goes out of a job that went through the network.
    pub fn write(&mut self, job: Job) -> Result<(gst::Buffer, Option<Report>), ProcessError> {
        let Job {
            stream,
            kind,
            settings,
            input,
            mut output,
            found,
            ..
        } = job;
        let found = found.ok_or(ProcessError::NoCaps)?;
        let report = settings
            .post_messages
            .then(|| self.report(&stream, &found, &settings));
        let buffer = output.make_mut();
        match &input {
            Some(input) => self.write_anew(&stream, kind, &settings, (input, buffer), &found)?,
            None if kind == Output::Overlay => {
                self.draw_upon(&stream, &settings, buffer, &found)?
            }
            None => (),
        }
        let timestamp = buffer.pts();
        mask_meta::attach(buffer, found.mask)?;
        if let Some(map) = found.probability {
            stream.take_back(map);
        }
        let report = report.transpose()?.map(|(objects, coverage)| Report {
            frame: self.frames,
            timestamp,
            objects,
            coverage,
        });
        self.frames += 1;
        Ok((output, report))
    }

    fn draw_upon(
        &mut self,
        stream: &Stream,
        settings: &FrameSettings,
        buffer: &mut gst::BufferRef,
        found: &Found,
    ) -> Result<(), ProcessError> {
        let placement = stream.input.placement(buffer)?;
        let mask = found.mask.mask.map_readable()?;
        let mut bytes = buffer.map_writable()?;
        let mut frame = stream.input.frame_mut(&placement, &mut bytes)?;
        let opacity = settings.opacity as f32;
        let colors = &self.colors;
        picture::draw(None, &mut frame, &mask, colors, opacity, Levels::IDENTITY)?;
        Ok(())
    }

    fn write_anew(
        &mut self,
        stream: &Stream,
        kind: Output,
        settings: &FrameSettings,
        (input, buffer): (&gst::BufferRef, &mut gst::BufferRef),
        found: &Found,
    ) -> Result<(), ProcessError> {
        let placement = stream.output.placement(buffer)?;
        let mut bytes = buffer.map_writable()?;
        let mut target = stream.output.frame_mut(&placement, &mut bytes)?;
        target.clear_padding();
        let mask = found.mask.mask.map_readable()?;
        match (kind, &found.probability) {
            (Output::Probability, Some(map)) => picture::write_probability(map, &mut target)?,
            (Output::Mask | Output::Probability, _) => picture::write_mask(&mask, &mut target)?,
            (Output::Overlay | Output::None, _) => {
                let bytes = input.map_readable()?;
                let frame = stream
                    .input
                    .frame(&stream.input.placement(input)?, &bytes)?;
                if self.levels.range() != settings.display_range {
                    self.levels = LevelTracker::new(settings.display_range);
                }
                let levels = self.levels.levels(&frame);
                let opacity = settings.opacity as f32;
                let colors = &self.colors;
                picture::draw(Some(&frame), &mut target, &mask, colors, opacity, levels)?;
            }
        }
        Ok(())
    }

    /// How many objects were found, and which share of the frame they cover.
    fn report(
        &mut self,
        stream: &Stream,
        found: &Found,
        settings: &FrameSettings,
    ) -> Result<(usize, f64), ProcessError> {
        let pixels = found.mask.mask.map_readable()?;
        let width = stream.input.size().width;
        let min_area = settings.min_area(&self.contract);
        let covered = pixels.iter().filter(|class| **class != 0).count();
        let coverage = covered as f64 / pixels.len().max(1) as f64;
        Ok((self.components.count(&pixels, width, min_area), coverage))
    }
}
