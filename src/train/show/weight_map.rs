//! `unet-train weight-map`.

use clap::Args;

use super::canvas::{Brightness, Canvas, GREY, scale, weight_color};
use super::{PictureOptions, ShowError};
use crate::picture::default_color;
use crate::train::augment::Example;
use crate::train::dataset::load;
use crate::train::options::Weights;
use crate::train::plane::Plane;
use crate::train::prepare::prepare;
use crate::train::target::Truth;
use crate::train::weight_map::separated;

/// Draw how much each pixel weighs in the loss.
///
/// For each image, one picture: the image, its cells as they are separated
/// (ignored pixels are grey), and the weights with their scale, the same one in
/// all pictures. All images are drawn, also those that a run would hold back or
/// leave out.
///
///   unet-train weight-map --images images --masks masks --output weights
///   unet-train weight-map --config cells.run/config.toml --output weights
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ShowWeightMaps {
    #[command(flatten)]
    pictures: PictureOptions,
    #[command(flatten)]
    weights: Weights,
}

impl ShowWeightMaps {
    /// Draws all weight maps; reports to `say` how the data were interpreted, then mean and largest weight of each
    /// image.
    pub fn run(self, mut say: impl FnMut(&str)) -> Result<(), ShowError> {
        let source = &self.pictures.source;
        let dataset = load(source)?;
        say(&dataset.to_string());
        let names: Vec<_> = dataset.samples.iter().map(|s| s.name.clone()).collect();
        self.pictures.create_folder(&names)?;
        let classes = source.class_names().len();
        let examples = prepare(dataset.samples, &self.weights.weighting(classes));
        let weights: Vec<_> = examples.iter().map(weights).collect();
        let largest = |plane: &Plane<f32>| plane.data.iter().copied().fold(0.0, f32::max);
        let most = weights.iter().map(largest).fold(0.0, f32::max);
        for ((name, example), weights) in names.iter().zip(&examples).zip(&weights) {
            let canvas = Canvas::new([
                Brightness::of(&example.image).draw(&example.image),
                draw_truth(&example.truth),
                weights.map(|weight| weight_color(weight, most)),
                scale(most, weights.height),
            ]);
            self.pictures.write(&canvas, name)?;
            let mean = weights.data.iter().sum::<f32>() / weights.data.len() as f32;
            say(&format!(
                "{name}  mean weight {mean:.3}  largest {:.3}",
                largest(weights)
            ));
        }
        Ok(())
    }
}

fn weights(example: &Example) -> Plane<f32> {
    let truth = &example.truth;
    truth.weights(&truth.classes(), &example.border, &example.pixel_weights)
}

/// Cells in colours that differ between consecutive numbers, or classes in the colours of the overlay.
fn draw_truth(truth: &Truth) -> Plane<[u8; 3]> {
    let mut drawn = match &truth.classes {
        Some(classes) => classes.map(|class| match class {
            0 => [0; 3],
            class => default_color(class.into()).0,
        }),
        None => separated(&truth.cells).map(cell_color),
    };
    if let Some(ignored) = &truth.ignored {
        let pixels = drawn.data.iter_mut().zip(&ignored.data);
        pixels
            .filter(|(_, ignored)| **ignored)
            .for_each(|(color, _)| *color = GREY);
    }
    drawn
}

/// A colour for a cell: hues a golden angle apart, so that consecutive numbers differ.
fn cell_color(cell: u32) -> [u8; 3] {
    match cell {
        0 => [0; 3],
        cell => {
            let turn = f64::from(cell) * 0.618_033_988_749_895;
            colorous::RAINBOW.eval_continuous(turn.fract()).as_array()
        }
    }
}
