//! `unet-train augment`.

use clap::Args;

use super::canvas::{Brightness, Canvas, scale, weight_color};
use super::{PictureOptions, ShowError};
use crate::picture::default_color;
use crate::train::arguments::number;
use crate::train::augment::{Tile, TileSize};
use crate::train::dataset::load;
use crate::train::feeder::{BatchSource, Feeder};
use crate::train::options::{Network, Tiles, Weights};
use crate::train::plane::Plane;
use crate::train::prepare::prepare;

/// Draw tiles as the network sees them in training.
///
/// For each tile, one picture: the network's input, the same with the true
/// classes in colour, and the weight of each pixel in the loss. The output of a
/// network without padding covers only the middle of its input; the rest is
/// dimmed. The options are those of `train`, and so is the TOML file; but tiles
/// are cut from all images, also from those that a run would hold back or leave
/// out.
///
///   unet-train augment --images images --masks masks --output tiles --count 20
///   unet-train augment --config cells.run/config.toml --output tiles
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct ShowTiles {
    #[command(flatten)]
    pictures: PictureOptions,
    /// How many tiles, at most 1000
    #[arg(long, default_value_t = 20, value_name = "TILES", value_parser = number(1_usize..=1000))]
    count: usize,
    /// Seed of every random choice
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten, next_help_heading = "Tiles")]
    tiles: Tiles,
    #[command(flatten, next_help_heading = "Weights")]
    weights: Weights,
    #[command(flatten, next_help_heading = "Network")]
    network: Network,
}

impl ShowTiles {
    /// Draws the tiles; reports to `say` how the data were interpreted, and what was drawn.
    pub fn run(self, mut say: impl FnMut(&str)) -> Result<(), ShowError> {
        let PictureOptions { source, output, .. } = &self.pictures;
        let dataset = load(source)?;
        say(&dataset.to_string());
        let names: Vec<_> = (0..self.count)
            .map(|index| format!("tile-{index:03}"))
            .collect();
        self.pictures.create_folder(&names)?;
        let unet = self.network.unet(source);
        let size = TileSize::legal(&unet.geometry(), self.tiles.side());
        let examples = prepare(dataset.samples, &self.weights.weighting(unet.classes));
        // One for all tiles: otherwise changes of grey values would not be visible.
        let brightness = Brightness::of(examples.iter().flat_map(|example| &example.image));
        let batches = BatchSource {
            examples,
            augmentation: self.tiles.augmentation(),
            size,
            batch: 1,
            seed: self.seed,
        };
        let feeder = Feeder::start(batches, 0);
        let tiles: Vec<Tile> = (0..self.count).flat_map(|_| feeder.next()).collect();
        let weights = tiles.iter().flat_map(|tile| &tile.weights.data);
        let most = weights.copied().fold(0.0, f32::max);
        for (name, tile) in names.iter().zip(&tiles) {
            self.pictures.write(&draw(tile, brightness, most), name)?;
        }
        say(&format!(
            "{} tiles of {} -> {} pixels in {}",
            self.count,
            size.input,
            size.output,
            output.display()
        ));
        Ok(())
    }
}

fn draw(tile: &Tile, brightness: Brightness, most: f32) -> Canvas {
    let input = brightness.draw(&tile.image);
    let overlay = with_centre(&input, &tile.classes, |color, class| match class {
        0 => color,
        class => {
            let [r, g, b] = default_color(class.into()).0;
            [0, 1, 2].map(|channel| color[channel] / 2 + [r, g, b][channel] / 2)
        }
    });
    let weights = with_centre(&input, &tile.weights, |_, weight| {
        weight_color(weight, most)
    });
    let height = input.height;
    Canvas::new([input, overlay, weights, scale(most, height)])
}

/// The picture with its centre, of the size of `output`, painted by `paint` from both; the rest is dimmed.
fn with_centre<T: Copy>(
    picture: &Plane<[u8; 3]>,
    output: &Plane<T>,
    paint: impl Fn([u8; 3], T) -> [u8; 3],
) -> Plane<[u8; 3]> {
    let margin = (picture.height - output.height) / 2;
    let mut painted = picture.map(|color| color.map(|channel| channel / 3));
    for row in 0..output.height {
        for column in 0..output.width {
            let at = (row + margin) * picture.width + column + margin;
            painted.data[at] = paint(picture.data[at], output.at(row, column));
        }
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_weights_are_drawn_in_the_centre() {
        let tile = Tile {
            image: vec![Plane::filled(4, 4, 1.0)],
            classes: Plane {
                height: 2,
                width: 2,
                data: vec![0, 1, 2, 0],
            },
            weights: Plane::filled(2, 2, 5.0),
        };
        let black = Plane::filled(1, 1, 0.0);
        let brightness = Brightness::of([&tile.image[0], &black]);
        let image = draw(&tile, brightness, 5.0).image();
        // The pictures begin at columns 0, 8 and 16.
        assert_eq!(image.get_pixel(0, 0).0, [255; 3]);
        assert_eq!(image.get_pixel(8, 0).0, [85; 3]);
        assert_eq!(image.get_pixel(9, 1).0, [255; 3]);
        let [r, g, b] = default_color(1).0;
        assert_eq!(
            image.get_pixel(10, 1).0,
            [127 + r / 2, 127 + g / 2, 127 + b / 2]
        );
        assert_eq!(image.get_pixel(17, 1).0, weight_color(5.0, 5.0));
        assert_eq!(image.get_pixel(16, 1).0, [85; 3]);
    }
}
