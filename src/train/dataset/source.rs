//! The options for data: where images and masks are, and what masks mean.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{DatasetError, stacks};
use crate::contract::{Channels, MAX_CLASSES};
use crate::train::arguments::number;

/// The options for data, on the command line or in a file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Source {
    /// Images: a folder of PNG and TIFF files, a TIFF stack, or a folder that holds images and masks in
    /// one of the layouts
    #[arg(long, value_name = "PATH")]
    pub images: PathBuf,
    /// Masks: a folder with files of the same names, a TIFF stack with as many pages, or a folder of the Cell Tracking
    /// Challenge [default: found beside the images]
    #[arg(long, value_name = "PATH")]
    pub masks: Option<PathBuf>,
    /// How files are arranged [default: detected]
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Meaning of the numbers in a mask [default: classes if there are more than two, membranes in the stacks of
    /// ISBI 2012, binary if no mask has two different numbers besides 0, else instances]
    #[arg(long, value_enum)]
    pub kind: Option<MaskKind>,
    /// Names of the classes, the background first; a number in a mask is the place in this list, from 0
    #[arg(long, value_name = "NAME,NAME..", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Value in the masks that marks pixels to ignore, such as those not annotated: they have no weight
    #[arg(long, value_name = "NUMBER", value_parser = number(1_u32..))]
    pub ignore: Option<u32>,
    /// Input of the network: brightness, or red, green and blue
    #[arg(long, value_enum, default_value_t)]
    pub channels: InputChannels,
    /// Which ground truth of the Cell Tracking Challenge to use, unless --masks is a folder of one, such as 01_GT/SEG
    #[arg(long, value_enum, default_value_t)]
    pub truth: Standard,
    /// Leave out images without a mask, and sequences of the Cell Tracking Challenge without truth, instead of refusing
    /// them; not for stacks, whose pages are paired in order
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    pub annotated_only: bool,
}

/// How files are arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// A folder of images and a folder of masks, with the same file names
    Folders,
    /// The Cell Tracking Challenge: 01/t000.tif, 01_GT/SEG/man_seg000.tif, 01_ST/SEG/man_seg000.tif
    CellTracking,
    /// A TIFF stack of images and one of masks, or one of them and a folder, page by page; as in ISBI
    /// 2012: train-volume.tif, train-labels.tif
    Stacks,
}

/// The meaning of the numbers in a mask; 0 is the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MaskKind {
    /// One number for each cell
    Instances,
    /// Any number is foreground; its connected components are the cells
    Binary,
    /// The class of the pixel: 0 to the number of classes less 1
    Classes,
    /// 0 is membrane, any other number is the inside of a cell (ISBI 2012)
    Membranes,
}

/// [`Channels`] as an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum InputChannels {
    /// One channel: brightness
    #[default]
    Gray,
    /// Three channels: red, green, blue
    Rgb,
}

/// Which truth of the Cell Tracking Challenge is used for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Standard {
    /// Gold (_GT) if a frame has it, else silver (_ST)
    #[default]
    GoldFirst,
    /// Drawn by people (_GT); often few frames
    Gold,
    /// Computed from the challenge's best results (_ST)
    Silver,
}

impl From<InputChannels> for Channels {
    fn from(channels: InputChannels) -> Self {
        match channels {
            InputChannels::Gray => Channels::Gray,
            InputChannels::Rgb => Channels::Rgb,
        }
    }
}

impl MaskKind {
    /// A description of such masks.
    pub fn description(self) -> &'static str {
        match self {
            MaskKind::Instances => "a number for each cell",
            MaskKind::Binary => "foreground, its components as cells",
            MaskKind::Classes => "classes",
            MaskKind::Membranes => "membranes, with cells between them",
        }
    }
}

impl Source {
    /// Images and masks in these places, with the defaults of all other options.
    pub fn new(images: impl Into<PathBuf>, masks: impl Into<PathBuf>) -> Self {
        Source {
            images: images.into(),
            masks: Some(masks.into()),
            ..Source::default()
        }
    }

    /// Whether the images are the stacks of ISBI 2012 by their names, the masks of which show membranes, and no option
    /// says otherwise.
    pub fn names_membranes(&self) -> bool {
        self.kind.is_none()
            && self.masks.is_none()
            && self.classes.len() <= 2
            && self.layout.is_none_or(|layout| layout == Layout::Stacks)
            && stacks::inside(&self.images).is_some()
    }

    /// The same with the kind of masks that the names of the files suggest.
    pub(super) fn settled(&self) -> Self {
        let membranes = self.names_membranes().then_some(MaskKind::Membranes);
        Source {
            kind: self.kind.or(membranes),
            ..self.clone()
        }
    }

    /// The channels of the network's input.
    pub fn channels(&self) -> Channels {
        self.channels.into()
    }

    /// Names of the classes, at least two; the background is the first.
    pub fn class_names(&self) -> Vec<String> {
        let names = match self.kind {
            _ if !self.classes.is_empty() => return self.classes.clone(),
            Some(MaskKind::Membranes) => ["membrane", "cell"],
            _ => ["background", "cell"],
        };
        names.map(str::to_owned).to_vec()
    }

    /// Refuses options that contradict each other.
    pub(super) fn check(&self) -> Result<(), DatasetError> {
        let refuse = |why: String| Err(DatasetError::Options(why));
        let count = self.classes.len();
        let mut names = self.classes.clone();
        names.sort_unstable();
        match self.kind {
            _ if names.windows(2).any(|pair| pair[0] == pair[1]) => refuse(format!(
                "--classes {} names one twice",
                self.classes.join(",")
            )),
            _ if self.classes.iter().any(|name| name.trim().is_empty()) => refuse(format!(
                "--classes {} has an empty name",
                self.classes.join(",")
            )),
            _ if count == 1 || count > MAX_CLASSES => refuse(format!(
                "--classes has {count} name(s): 2 to {MAX_CLASSES} are possible, the background is the first"
            )),
            Some(MaskKind::Classes) if count == 0 => {
                refuse("--kind classes needs the names of the --classes".into())
            }
            Some(MaskKind::Instances | MaskKind::Binary | MaskKind::Membranes) if count > 2 => {
                refuse(format!(
                    "--classes has {count} names, but masks of this --kind have only two"
                ))
            }
            _ => Ok(()),
        }
    }
}
