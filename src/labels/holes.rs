//! Holes: background that an object goes around.

use super::components::{Components, Connectivity};

/// Finds holes and fills them. Keeps its working memory.
#[derive(Debug, Default)]
pub struct Holes {
    components: Components,
    background: Vec<u8>,
    numbers: Vec<u32>,
    open: Vec<bool>,
    /// The class that fills each hole; 0 for one that was not come to yet.
    classes: Vec<u8>,
}

impl Holes {
    /// Gives background that does not reach the edge of the frame the class of what goes around it. What touches
    /// in objects as `connectivity` says does not in the background, or a ring of corners would hold nothing.
    pub fn fill(&mut self, mask: &mut [u8], width: usize, connectivity: Connectivity) {
        if width == 0 {
            return;
        }
        self.components.set_connectivity(match connectivity {
            Connectivity::Edges => Connectivity::Corners,
            Connectivity::Corners => Connectivity::Edges,
        });
        self.background.clear();
        let inverted = mask.iter().map(|class| u8::from(*class == 0));
        self.background.extend(inverted);
        self.numbers.clear();
        self.numbers.resize(mask.len(), 0);
        let count = self
            .components
            .label(&self.background, width, 0, &mut self.numbers);
        self.open.clear();
        self.open.resize(count + 1, false);
        let height = mask.len() / width;
        let across = (0..width).flat_map(|x| [x, (height.max(1) - 1) * width + x]);
        let down = (0..height).flat_map(|y| [y * width, y * width + width - 1]);
        for at in across.chain(down) {
            if let Some(number) = self.numbers.get(at) {
                self.open[*number as usize] = true;
            }
        }
        self.classes.clear();
        self.classes.resize(count + 1, 0);
        for at in 1..mask.len() {
            let number = self.numbers[at] as usize;
            if number != 0 && !self.open[number] {
                let class = &mut self.classes[number];
                if *class == 0 {
                    // To the left of its first pixel is what is around it; later on that may be within it.
                    *class = mask[at - 1];
                }
                mask[at] = *class;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mask: &[u8], width: usize, connectivity: Connectivity) -> Vec<u8> {
        let mut mask = mask.to_vec();
        Holes::default().fill(&mut mask, width, connectivity);
        mask
    }

    #[test]
    fn what_is_enclosed_is_filled() {
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
        // A ring with a gap at its corner holds only where corners touch.
        assert_eq!(filled(&open, 5, Connectivity::Edges), open);
        let mut full = open;
        full[12] = 2;
        assert_eq!(filled(&open, 5, Connectivity::Corners), full);
    }

    #[test]
    fn what_lies_within_a_hole_stays_as_it_is() {
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
    fn what_reaches_the_edge_is_not() {
        let bay = [1, 1, 1, 1, 0, 0, 1, 1, 1];
        assert_eq!(filled(&bay, 3, Connectivity::Edges), bay);
        assert!(filled(&[], 0, Connectivity::Edges).is_empty());
        assert_eq!(filled(&[0], 1, Connectivity::Edges), [0]);
    }
}
