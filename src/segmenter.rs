//! A frame in, a mask out: what the element and `unet-train` call.

use std::collections::TryReserveError;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::contract::{Contract, Normalization};
use crate::inference::{Model, ModelError, Options};
use crate::picture::{self, Frame, Normalizer};
use crate::tiling::{Blend, Decision, Plan, PlanError, Size, Stitcher, TileSize};

/// Memory that ONNX Runtime takes for a tile, as a multiple of the feature maps that are alive at one
/// time: it also keeps copies in the layout of its kernels, and its arena grows in powers of two.
/// Measured on the processor with the network of `models/nuclei-fluo.onnx`, tiles of 0.26 to 2.4
/// megapixels: 2.2 to 2.7.
const RUNTIME_SHARE: f64 = 2.8;

/// How frames are cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// What happens where tiles meet.
    pub blend: Blend,
    /// Side of the part that one tile answers for, in pixels; 0: planned by cost under `memory`.
    pub size: usize,
    /// Bytes that running the network on one planned tile may take.
    pub memory: u64,
}

impl Default for Tiles {
    fn default() -> Self {
        Tiles {
            blend: Blend::default(),
            size: 0,
            memory: 1 << 30,
        }
    }
}

/// Why a frame can't be segmented.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("there is not enough memory to blend tiles of a frame of this size: {0}")]
    Space(#[from] TryReserveError),
    /// The caller's memory for the result has not the size of the frame.
    #[error("{what} has {found} pixels, and the frame has {expected}")]
    Size {
        what: &'static str,
        found: usize,
        expected: usize,
    },
}

/// A model with everything it needs for frames of one size.
pub struct Segmenter {
    model: Model,
    tiles: Tiles,
    normalizer: Normalizer,
    threshold: f32,
    prepared: Option<Prepared>,
}

struct Prepared {
    plan: Plan,
    stitcher: Stitcher,
}

impl Segmenter {
    /// Opens the model in the file `path`.
    pub fn open(path: &Path, options: &Options, tiles: Tiles) -> Result<Segmenter, ModelError> {
        let model = Model::open(path, options)?;
        Ok(Segmenter {
            normalizer: Normalizer::new(model.contract().normalization),
            threshold: model.contract().threshold,
            model,
            tiles,
            prepared: None,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What the model promises.
    pub fn contract(&self) -> &Contract {
        self.model.contract()
    }

    /// Probability above which a pixel is foreground where there are two classes.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Decides by another threshold than the contract's, a probability in `0..=1`.
    pub fn set_threshold(&mut self, threshold: f32) {
        self.threshold = threshold;
        self.prepared = None;
    }

    /// Plans the tiles for frames of `frame` pixels and makes all memory that they need. Frames of
    /// another size do that on their own, and take longer for it.
    pub fn prepare(&mut self, frame: Size) -> Result<&Plan, SegmentError> {
        let fits = self
            .prepared
            .as_ref()
            .is_some_and(|prepared| prepared.plan.frame == frame);
        if !fits {
            self.prepared = None;
            let contract = self.model.contract();
            let tile_size = match self.tiles.size {
                0 => TileSize::Planned {
                    max_pixels: self.pixels_in_memory(),
                },
                side => TileSize::Inner(side),
            };
            let plan = Plan::new(frame, &contract.geometry, self.tiles.blend, tile_size)?;
            let activation = contract.activation;
            self.model.shape(plan.outer.height, plan.outer.width)?;
            let decision = Decision::new(activation, self.model.outputs(), self.threshold);
            let stitcher = Stitcher::new(&plan, decision)?;
            self.prepared = Some(Prepared { plan, stitcher });
        }
        match &self.prepared {
            Some(prepared) => Ok(&prepared.plan),
            None => unreachable!("it was prepared above"),
        }
    }

    /// Input pixels of a tile that fills the memory that tiles may take.
    fn pixels_in_memory(&self) -> usize {
        let bytes = self.model.survey().bytes_per_pixel.max(1.0) * RUNTIME_SHARE;
        (self.tiles.memory as f64 / bytes) as usize
    }

    /// Segments `frame`: writes the class of each pixel into `mask` and, where asked for, the
    /// probability that it is not background into `probability`. Both are rows of the frame's width
    /// without gaps. Returns the time that the network took.
    pub fn segment(
        &mut self,
        frame: &Frame,
        normalization: Normalization,
        mask: &mut [u8],
        mut probability: Option<&mut [f32]>,
    ) -> Result<Duration, SegmentError> {
        let size = Size {
            width: frame.width(),
            height: frame.height(),
        };
        fits("the mask", mask.len(), size)?;
        if let Some(probability) = &probability {
            fits("the probability", probability.len(), size)?;
        }
        self.prepare(size)?;
        let Some(Prepared { plan, stitcher }) = &mut self.prepared else {
            unreachable!("it was prepared above")
        };
        if self.normalizer.normalization() != normalization {
            self.normalizer = Normalizer::new(normalization);
        }
        let channels = self.model.contract().channels;
        let scaling = self.normalizer.scaling(frame, channels);
        let mut inference = Duration::ZERO;
        stitcher.begin();
        for (rows, columns) in plan.tiles() {
            let input = self.model.input();
            picture::fill(frame, channels, scaling, (rows, columns), plan.outer, input);
            let start = Instant::now();
            let scores = self.model.run()?;
            inference += start.elapsed();
            stitcher.add((rows, columns), scores, mask, probability.as_deref_mut());
        }
        stitcher.finish(mask, probability);
        Ok(inference)
    }
}

fn fits(what: &'static str, found: usize, size: Size) -> Result<(), SegmentError> {
    let expected = size.area();
    match found == expected {
        true => Ok(()),
        false => Err(SegmentError::Size {
            what,
            found,
            expected,
        }),
    }
}
