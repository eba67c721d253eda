//! Fills holes: background enclosed by an object.

use std::collections::TryReserveError;

use super::components::{Components, Connectivity};
use super::room::refill;

/// Finds and fills holes. Keeps its working memory.
#[derive(Debug, Default)]
pub struct HoleFiller {
    components: Components,
    background: Vec<u8>,
    numbers: Vec<u32>,
    open: Vec<bool>,
    /// The class that fills each hole; 0 before its first pixel.
    classes: Vec<u8>,
}

impl HoleFiller {
    /// Fills background that does not reach the edge of the frame with the class that encloses it. The background has
    /// the opposite of the objects' `connectivity`: with the same one, it would leak through a ring of corners.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn fill(
        &mut self,
        mask: &mut [u8],
        width: usize,
        connectivity: Connectivity,
    ) -> Result<(), TryReserveError> {
        if width == 0 {
            return Ok(());
        }
        self.components.set_connectivity(match connectivity {
            Connectivity::Edges => Connectivity::Corners,
            Connectivity::Corners => Connectivity::Edges,
        });
        refill(&mut self.background, mask.len(), 0)?;
        for (background, class) in self.background.iter_mut().zip(mask.iter()) {
            *background = u8::from(*class == 0);
        }
        refill(&mut self.numbers, mask.len(), 0)?;
        let count = self
            .components
            .label(&self.background, width, 0, &mut self.numbers)?;
        refill(&mut self.open, count + 1, false)?;
        for at in border(mask.len(), width) {
            self.open[self.numbers[at] as usize] = true;
        }
        refill(&mut self.classes, count + 1, 0)?;
        for at in 1..mask.len() {
            let number = self.numbers[at] as usize;
            if number != 0 && !self.open[number] {
                let class = &mut self.classes[number];
                if *class == 0 {
                    // The pixel left of the first one is outside the hole; later ones may be inside.
                    *class = mask[at - 1];
                }
                mask[at] = *class;
            }
        }
        Ok(())
    }
}

/// The pixels at the edge of a frame of `pixels` pixels in rows of `width`, the corners twice.
pub(super) fn border(pixels: usize, width: usize) -> impl Iterator<Item = usize> {
    let last_row = pixels - width.min(pixels);
    let across = (0..width.min(pixels)).flat_map(move |x| [x, last_row + x]);
    let rows = 0..pixels / width.max(1);
    across.chain(rows.flat_map(move |y| [y * width, y * width + width - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mask: &[u8], width: usize, connectivity: Connectivity) -> Vec<u8> {
        let mut mask = mask.to_vec();
        HoleFiller::default()
            .fill(&mut mask, width, connectivity)
            .unwrap();
        mask
    }

    #[test]
    fn holes_are_filled() {
        let ring = [
            0, 0, 0, 0, 0, //
            0, 2, 2, 2, 0, //
            0, 2, 0, 2, 0, //
            0, 2, 2, 2, 0, //
            0, 0, 0, 0, 0, //
        ];
        let mut full = ring;
        full[12] = 2;
        assert_eq!(filled(&ring, 5, Connectivity::Edges), full);
        let mut open = ring;
        open[6] = 0;
        // A ring with a gap at its corner is closed only if corners connect.
        assert_eq!(filled(&open, 5, Connectivity::Edges), open);
        let mut full = open;
        full[12] = 2;
        assert_eq!(filled(&open, 5, Connectivity::Corners), full);
    }

    #[test]
    fn objects_within_a_hole_stay() {
        let cell = [
            0, 0, 0, 0, 0, 0, 0, //
            0, 1, 1, 1, 1, 1, 0, //
            0, 1, 0, 0, 0, 1, 0, //
            0, 1, 0, 2, 0, 1, 0, //
            0, 1, 0, 0, 0, 1, 0, //
            0, 1, 1, 1, 1, 1, 0, //
            0, 0, 0, 0, 0, 0, 0, //
        ];
        let full = cell.iter().enumerate().map(|(at, class)| {
            let (row, column) = (at / 7, at % 7);
            let within = (2..5).contains(&row) && (2..5).contains(&column);
            if within && *class == 0 { 1 } else { *class }
        });
        assert_eq!(
            filled(&cell, 7, Connectivity::Edges),
            full.collect::<Vec<u8>>()
        );
    }

    #[test]
    fn background_at_the_edge_is_not_a_hole() {
        let bay = [1, 1, 1, 1, 0, 0, 1, 1, 1];
        assert_eq!(filled(&bay, 3, Connectivity::Edges), bay);
        assert!(filled(&[], 0, Connectivity::Edges).is_empty());
        assert_eq!(filled(&[0], 1, Connectivity::Edges), [0]);
    }
}
