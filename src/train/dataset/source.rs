//! Where the data are, and how they are meant.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{DatasetError, stacks};
use crate::contract::{Channels, MAX_CLASSES};

/// Where images and masks are and what they mean: the options of the command line, and the same in a
/// file.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Source {
    /// Images: a folder of PNG and TIFF files, a TIFF stack, or a folder that holds images and masks in
    /// one of the layouts
    #[arg(long, value_name = "PATH")]
    pub images: PathBuf,
    /// Masks: a folder with files of the same names, or a TIFF stack with as many pages [default: found
    /// beside the images]
    #[arg(long, value_name = "PATH")]
    pub masks: Option<PathBuf>,
    /// How files are arranged [default: seen from what is there]
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// What the numbers in a mask mean [default: classes if there are more than two, membranes in the
    /// stacks of ISBI 2012, binary if no mask has two different numbers besides 0, else instances]
    #[arg(long, value_enum)]
    pub kind: Option<MaskKind>,
    /// Names of the classes, the background first; a mask's number is the place in this list
    #[arg(long, value_name = "NAME,NAME..", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Number in the masks that marks pixels nobody has judged: they weigh nothing
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub ignore: Option<u32>,
    /// What the network sees: brightness, or red, green and blue
    #[arg(long, value_enum, default_value_t)]
    pub channels: InputChannels,
    /// Which truth of the Cell Tracking Challenge counts, if --masks is not given
    #[arg(long, value_enum, default_value_t)]
    pub truth: Standard,
    /// Leave out images that have no mask, and sequences of the Cell Tracking Challenge that have no truth, instead of
    /// refusing them
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

/// What the numbers in a mask mean; 0 is the background.
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

/// Which truth of the Cell Tracking Challenge is taken for a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Standard {
    /// Gold (_GT) where a frame has it, else silver (_ST)
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
    /// What such masks show, for people.
    pub fn words(self) -> &'static str {
        match self {
            MaskKind::Instances => "a number for each cell",
            MaskKind::Binary => "foreground, its components as cells",
            MaskKind::Classes => "classes",
            MaskKind::Membranes => "membranes, what is between them as cells",
        }
    }
}

impl Source {
    /// Images and masks in the given places, and everything else as it is by default.
    pub fn new(images: impl Into<PathBuf>, masks: impl Into<PathBuf>) -> Self {
        Source {
            images: images.into(),
            masks: Some(masks.into()),
            ..Source::default()
        }
    }

    /// Whether the images are the stacks of ISBI 2012 by their names, the masks of which show membranes, and nothing
    /// else is said of them.
    pub fn names_membranes(&self) -> bool {
        self.kind.is_none()
            && self.masks.is_none()
            && self.classes.len() <= 2
            && self.layout.is_none_or(|layout| layout == Layout::Stacks)
            && stacks::inside(&self.images).is_some()
    }

    /// The same with what the names of the files tell.
    pub(super) fn settled(&self) -> Self {
        let membranes = self.names_membranes().then_some(MaskKind::Membranes);
        Source {
            kind: self.kind.or(membranes),
            ..self.clone()
        }
    }

    /// What the channels of the network's input hold.
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
                    "--classes has {count} names, but masks of this --kind tell apart only two"
                ))
            }
            _ => Ok(()),
        }
    }
}
