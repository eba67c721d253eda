//! Checks whether frames look like the pictures that the model was trained on.

use crate::contract::{Channels, FeatureComparison, FeatureRanges};
use crate::picture::{FeatureExtractor, Frame, Scaling};

/// Frames that the network sees from one check to the next.
const INTERVAL: u32 = 32;

/// Checks some of the frames that the network sees.
#[derive(Default)]
pub struct PictureCheck {
    extractor: FeatureExtractor,
    /// Frames until the next check.
    wait: u32,
    /// The last result that was reported or assumed.
    alike: Option<bool>,
    /// Whether the last check contradicted it.
    doubt: bool,
}

/// A change in how frames look.
pub struct PictureComparison {
    /// Whether they look like the training pictures.
    pub alike: bool,
    /// The features that were compared.
    pub features: Vec<FeatureComparison>,
}

impl PictureCheck {
    /// Counts a frame. Returns whether it is to be checked.
    pub fn is_due(&mut self, pictures: &FeatureRanges) -> bool {
        let due = self.wait == 0;
        self.wait = self.wait.saturating_sub(1);
        due && !pictures.is_empty()
    }

    /// Checks a frame. The first frame is reported if it is unlike the training pictures; later, two frames in a row
    /// that are unlike, or alike again: a single one that is out of focus is not.
    pub fn compare(
        &mut self,
        pictures: &FeatureRanges,
        frame: &Frame,
        (channels, scaling): (Channels, Scaling),
    ) -> Option<PictureComparison> {
        let features = self.extractor.of_frame(frame, channels, scaling)?;
        let alike = !pictures.compare(&features).any(|one| one.is_unlike());
        let before = self.alike.unwrap_or(true);
        if alike == before {
            (self.alike, self.doubt, self.wait) = (Some(before), false, INTERVAL - 1);
            return None;
        }
        if self.alike.is_some() && !self.doubt {
            self.doubt = true;
            return None;
        }
        (self.alike, self.doubt, self.wait) = (Some(alike), false, INTERVAL - 1);
        Some(PictureComparison {
            alike,
            features: pictures.compare(&features).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Plane, YuvCoding};

    const SIDE: usize = 48;

    /// What is reported for a frame whose columns are this much brighter than those before.
    fn reported(check: &mut PictureCheck, pictures: &FeatureRanges, step: u8) -> Option<bool> {
        let bytes: Vec<u8> = (0..SIDE * SIDE)
            .map(|at| (at % SIDE) as u8 * step)
            .collect();
        let plane = Plane {
            data: &bytes,
            stride: SIDE,
        };
        let coding = YuvCoding::default();
        let frame = Frame::new(Format::Gray8, SIDE, SIDE, &[plane], coding).unwrap();
        let how = (Channels::Gray, Scaling::IDENTITY);
        if !check.is_due(pictures) {
            return None;
        }
        let comparison = check.compare(pictures, &frame, how);
        comparison.map(|comparison| comparison.alike)
    }

    fn pictures() -> FeatureRanges {
        let mut pictures = FeatureRanges::default();
        let plane: Vec<f32> = (0..SIDE * SIDE).map(|at| (at % SIDE) as f32).collect();
        let features = FeatureExtractor::default().of_planes([&plane[..]], SIDE);
        pictures.add(&features.unwrap());
        pictures
    }

    #[test]
    fn the_first_frame_is_reported_if_it_is_unlike() {
        let (alike, unlike) = (1, 5);
        let mut check = PictureCheck::default();
        assert_eq!(reported(&mut check, &pictures(), unlike), Some(false));
        assert_eq!(reported(&mut check, &pictures(), unlike), None);
        let mut check = PictureCheck::default();
        assert_eq!(reported(&mut check, &pictures(), alike), None);
        let mut check = PictureCheck::default();
        let unknown = FeatureRanges::default();
        assert_eq!(reported(&mut check, &unknown, unlike), None);
    }

    #[test]
    fn later_two_in_a_row_are_reported() {
        let (alike, unlike) = (1, 5);
        let mut check = PictureCheck::default();
        let pictures = pictures();
        let mut after_a_while = |step| {
            let wait = check.wait;
            (0..wait).for_each(|_| assert_eq!(reported(&mut check, &pictures, step), None));
            reported(&mut check, &pictures, step)
        };
        assert_eq!(after_a_while(alike), None);
        assert_eq!(after_a_while(unlike), None);
        assert_eq!(after_a_while(alike), None, "a single frame was reported");
        assert_eq!(after_a_while(unlike), None);
        assert_eq!(after_a_while(unlike), Some(false));
        assert_eq!(after_a_while(unlike), None, "reported again");
        assert_eq!(after_a_while(alike), None);
        assert_eq!(after_a_while(alike), Some(true));
    }
}
