//! Values of the properties, their defaults, and their meaning for the segmenter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::choices::{Annotations, Classes, ColorBy, Connectivity, Split};
use super::gvalues::text_of;
use super::trigger::Trigger;
use super::{
    Blend, Convolution, ExecutionProvider, Mode, NormalizationMode, OnError, Output, Reuse,
};
use crate::contract::{Contract, Normalization};
use crate::labels::{self, ObjectRules};
use crate::picture::{DisplayRange, Format, Palette};
use crate::{reuse, segmenter};

/// Values of the properties. Their defaults are the element's.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub model: ModelSettings,
    pub frame: FrameSettings,
    /// Properties whose last text was invalid, with the reason, unless that was posted on the bus.
    pub(super) refused: BTreeMap<String, String>,
}

/// Settings that take effect when the element starts.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// `None`: starting fails.
    pub model_file: Option<PathBuf>,
    /// `None`: it is searched for.
    pub runtime_library: Option<PathBuf>,
    pub execution_provider: ExecutionProvider,
    /// Index of the provider's device, from 0.
    pub device: i32,
    /// `None`: the provider is built into ONNX Runtime.
    pub ep_library: Option<PathBuf>,
    /// Under the provider's own names; `None`: none.
    pub provider_options: Option<gst::Structure>,
    /// `None`: compiled models are not cached.
    pub cache_directory: Option<PathBuf>,
    pub allow_external_data: bool,
    /// 0 to 1024; 0: one per core.
    pub threads: u32,
    pub convolution: Convolution,
    pub mode: Mode,
    /// Frames, 1 to 16.
    pub frames_in_flight: u32,
    pub on_error: OnError,
    /// Pixels, 0 to 65 536; 0: planned by cost.
    pub tile_size: u32,
    /// MiB, from 1.
    pub tile_memory: u32,
    /// Tiles, 0 to 256; 0: chosen at the start, depending on the provider.
    pub batch_size: u32,
    pub blend: Blend,
    pub reuse: Reuse,
    /// Frames, from 1.
    pub reuse_limit: u32,
}

impl Default for ModelSettings {
    fn default() -> Self {
        ModelSettings {
            model_file: None,
            runtime_library: None,
            execution_provider: ExecutionProvider::default(),
            device: 0,
            ep_library: None,
            provider_options: None,
            cache_directory: None,
            allow_external_data: false,
            threads: 0,
            convolution: Convolution::default(),
            mode: Mode::default(),
            frames_in_flight: 2,
            on_error: OnError::default(),
            tile_size: 0,
            tile_memory: 1024,
            batch_size: 0,
            blend: Blend::default(),
            reuse: Reuse::default(),
            reuse_limit: 100,
        }
    }
}

/// Settings that are read for each frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameSettings {
    pub normalization: NormalizationMode,
    /// Counts; `Auto`: the model's, else the full range of the format.
    pub value_range: DisplayRange,
    pub output: Output,
    /// 0 to 1; 0: outlines only.
    pub opacity: f64,
    /// Counts; `Auto`: percentiles of the frames.
    pub display_range: DisplayRange,
    pub post_messages: bool,
    /// Frames, 1 to 100 000.
    pub message_interval: u32,
    pub post_objects: bool,
    /// `None`: no condition is watched.
    pub trigger: Option<Trigger>,
    /// Probability, 0 to 1; `None`: the model's.
    pub threshold: Option<f64>,
    /// Pixels, from 0; `None`: the model's.
    pub min_area: Option<u32>,
    /// Pixels, from 0; 0: no limit.
    pub max_area: u32,
    pub connectivity: Connectivity,
    pub fill_holes: bool,
    pub exclude_border: bool,
    pub split: Split,
    /// Share of half the width or of the probability, 0 to 1, see [`ObjectRules`].
    pub split_depth: f64,
    /// Probability above which pixels belong to the core of an object, 0 to 1; `None`: the model's, else 0.75.
    pub core_threshold: Option<f64>,
    pub find_objects: bool,
    pub keep_probability: bool,
    pub measure_uncertainty: bool,
    pub check_seams: bool,
    pub check_pictures: bool,
    pub track: bool,
    /// Micrometres, 0 to 1 000 000; 0: the model's.
    pub pixel_size: f64,
    pub color_by: ColorBy,
    /// Empty: the model's for classes, seven fixed ones for objects.
    pub palette: Palette,
    /// Pixels, 0 to 16; 0: no outlines.
    pub outline: u32,
    pub annotations: Annotations,
    pub show_classes: Classes,
    /// Frames, 1 to 100 000: the network sees every N-th.
    pub inference_interval: u32,
    /// Milliseconds, from 0; 0: masks never become stale.
    pub max_mask_age: u32,
    /// Milliseconds, from 0; 0: no limit.
    pub max_latency: u32,
}

impl Default for FrameSettings {
    fn default() -> Self {
        FrameSettings {
            normalization: NormalizationMode::default(),
            value_range: DisplayRange::Auto,
            output: Output::default(),
            opacity: 0.35,
            display_range: DisplayRange::Auto,
            post_messages: false,
            message_interval: 1,
            post_objects: false,
            trigger: None,
            threshold: None,
            min_area: None,
            max_area: 0,
            connectivity: Connectivity::default(),
            fill_holes: false,
            exclude_border: false,
            split: Split::default(),
            split_depth: 0.25,
            core_threshold: None,
            find_objects: false,
            keep_probability: false,
            measure_uncertainty: false,
            check_seams: false,
            check_pictures: true,
            track: false,
            pixel_size: 0.0,
            color_by: ColorBy::default(),
            palette: Palette::default(),
            outline: 1,
            annotations: Annotations::default(),
            show_classes: Classes::ALL,
            inference_interval: 1,
            max_mask_age: 1000,
            max_latency: 0,
        }
    }
}

/// Percentiles of `normalization=percentile`; robust against hot pixels.
const PERCENTILES: Normalization = Normalization::Percentile {
    low: 1.0,
    high: 99.8,
};

impl ModelSettings {
    /// The fields of `provider-options` as the strings that providers accept: `true` and `false` as 1 and 0.
    pub fn provider_options(&self) -> Result<Vec<(String, String)>, String> {
        let Some(fields) = &self.provider_options else {
            return Ok(Vec::new());
        };
        // GStreamer takes the first word for the name of the structure.
        if fields.is_empty() {
            return Err(format!(
                "provider-options: {} has no options: write a name, then the options: options,NAME=VALUE",
                fields.name()
            ));
        }
        fields
            .iter()
            .map(|(name, value)| match text_of(value) {
                Some(text) => Ok((name.to_string(), text)),
                None => Err(format!(
                    "provider-options: {name} is a {}; only strings, numbers and booleans can be passed on",
                    value.type_()
                )),
            })
            .collect()
    }

    /// How frames are cut into tiles.
    pub fn tiles(&self) -> segmenter::TileOptions {
        segmenter::TileOptions {
            blend: self.blend.into(),
            size: self.tile_size as usize,
            memory: u64::from(self.tile_memory) << 20,
            batch: self.batch_size as usize,
            reuse: match self.reuse {
                Reuse::Off => reuse::Reuse::Off,
                Reuse::Exact => reuse::Reuse::Exact,
                Reuse::Threshold => reuse::Reuse::Threshold {
                    most_frames: self.reuse_limit,
                },
            },
        }
    }
}

impl FrameSettings {
    /// Whether a mask of this age is stale.
    pub fn is_stale(&self, age: Duration) -> bool {
        self.max_mask_age > 0 && age > Duration::from_millis(self.max_mask_age.into())
    }

    /// The longest time that a mask may take; `None`: any.
    pub fn latency_limit(&self) -> Option<Duration> {
        (self.max_latency > 0).then(|| Duration::from_millis(self.max_latency.into()))
    }

    /// Area in pixels of the smallest object that counts.
    pub fn min_area(&self, contract: &Contract) -> usize {
        let own = self.min_area.map(|area| area as usize);
        own.or(contract.min_area).unwrap_or(0)
    }

    /// Probability above which pixels belong to the core of an object.
    fn core_threshold(&self, contract: &Contract) -> f32 {
        let own = self.core_threshold.map(|threshold| threshold as f32);
        let usual = ObjectRules::default().core_threshold;
        own.or(contract.core_threshold).unwrap_or(usual)
    }

    /// What counts as an object.
    pub fn rules(&self, contract: &Contract) -> ObjectRules {
        ObjectRules {
            connectivity: self.connectivity.into(),
            fill_holes: self.fill_holes,
            split: self.split.resolve(contract.core_threshold),
            split_depth: self.split_depth as f32,
            core_threshold: self.core_threshold(contract),
            min_area: self.min_area(contract),
            max_area: match self.max_area {
                0 => usize::MAX,
                area => area as usize,
            },
            exclude_border: self.exclude_border,
        }
    }

    /// Size of a pixel in micrometres, if it is known.
    pub fn micrometres(&self, contract: &Contract) -> Option<f64> {
        if self.pixel_size > 0.0 {
            Some(self.pixel_size)
        } else {
            contract.pixel_size
        }
    }

    /// Whether objects keep their numbers from frame to frame, because `track` is set or a trigger needs it.
    pub fn tracks(&self) -> bool {
        self.track || self.trigger.is_some_and(|trigger| trigger.needs_tracking())
    }

    /// Whether objects are to be found with a model of this `contract`.
    pub fn wants_objects(&self, output: Output, contract: &Contract) -> bool {
        let drawn = self.color_by == ColorBy::Object
            || self.rules(contract).filters_or_splits()
            || self
                .annotations
                .intersects(Annotations::NUMBERS | Annotations::COUNT);
        output == Output::Labels
            || self.find_objects
            || self.post_messages
            || self.trigger.is_some()
            || self.tracks()
            || (output == Output::Overlay && drawn)
    }

    /// Whether the probability of each pixel is needed besides its class, with a model of this `contract`.
    pub fn wants_probability(&self, output: Output, contract: &Contract) -> bool {
        let split = self.split.resolve(contract.core_threshold);
        let splits_by_it = matches!(split, labels::Split::Probability | labels::Split::Cores);
        output.needs_probability()
            || self.keep_probability
            || self.measure_uncertainty
            || (splits_by_it && self.wants_objects(output, contract))
    }

    /// How frames of `format` become the input of a network with `contract`.
    pub fn normalization(&self, contract: &Contract, format: Format) -> Normalization {
        match self.normalization {
            NormalizationMode::Model => contract.normalization,
            NormalizationMode::ZScore => Normalization::ZScore,
            NormalizationMode::Percentile => PERCENTILES,
            NormalizationMode::MinMax => Normalization::MinMax,
            NormalizationMode::Fixed => match (self.value_range, contract.normalization) {
                (DisplayRange::Fixed { low, high }, _) => Normalization::Fixed {
                    low: low.into(),
                    high: high.into(),
                },
                (DisplayRange::Auto, fixed @ Normalization::Fixed { .. }) => fixed,
                (DisplayRange::Auto, _) => Normalization::Fixed {
                    low: 0.0,
                    high: f64::from((1_u32 << format.depth()) - 1),
                },
            },
        }
    }
}
