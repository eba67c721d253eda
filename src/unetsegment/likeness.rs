//! Whether frames look like the pictures that the model learned from.

use crate::contract::{Channels, Compared, Pictures};
use crate::picture::{Frame, Gauge, Scaling};

/// The network sees as many frames from one look to the next.
const EVERY: u32 = 32;

/// Looks at some of the frames that the network sees.
#[derive(Default)]
pub struct Likeness {
    gauge: Gauge,
    /// Frames until the next look.
    wait: u32,
    /// What was said last.
    alike: Option<bool>,
    /// Whether the last look said otherwise.
    doubt: bool,
}

/// News of how frames look.
pub struct Look {
    /// Whether they look like the pictures learned from.
    pub alike: bool,
    /// What they were compared by.
    pub compared: Vec<Compared>,
}

impl Likeness {
    /// Counts a frame; whether it is to be looked at.
    pub fn is_due(&mut self, pictures: &Pictures) -> bool {
        let due = self.wait == 0;
        self.wait = self.wait.saturating_sub(1);
        due && !pictures.is_empty()
    }

    /// Looks at a frame. There are news with the first frame if it is unlike, and later where
    /// two frames in a row are unlike, or alike again: one that is out of focus is no news.
    pub fn look(
        &mut self,
        pictures: &Pictures,
        frame: &Frame,
        (channels, scaling): (Channels, Scaling),
    ) -> Option<Look> {
        let traits = self.gauge.frame(frame, channels, scaling)?;
        let alike = !pictures.compare(&traits).any(|one| one.is_unlike());
        let before = self.alike.unwrap_or(true);
        if alike == before {
            (self.alike, self.doubt, self.wait) = (Some(before), false, EVERY - 1);
            return None;
        }
        if self.alike.is_some() && !self.doubt {
            self.doubt = true;
            return None;
        }
        (self.alike, self.doubt, self.wait) = (Some(alike), false, EVERY - 1);
        Some(Look {
            alike,
            compared: pictures.compare(&traits).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Format, Plane, YuvCoding};

    const SIDE: usize = 48;

    /// What is said of a frame whose columns are this much brighter than those before.
    fn said(likeness: &mut Likeness, pictures: &Pictures, step: u8) -> Option<bool> {
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
        if !likeness.is_due(pictures) {
            return None;
        }
        likeness.look(pictures, &frame, how).map(|look| look.alike)
    }

    fn pictures() -> Pictures {
        let mut pictures = Pictures::default();
        let plane: Vec<f32> = (0..SIDE * SIDE).map(|at| (at % SIDE) as f32).collect();
        pictures.add(&Gauge::default().planes([&plane[..]], SIDE).unwrap());
        pictures
    }

    #[test]
    fn the_first_frame_is_news_if_it_is_unlike() {
        let (alike, unlike) = (1, 5);
        let mut likeness = Likeness::default();
        assert_eq!(said(&mut likeness, &pictures(), unlike), Some(false));
        assert_eq!(said(&mut likeness, &pictures(), unlike), None);
        let mut likeness = Likeness::default();
        assert_eq!(said(&mut likeness, &pictures(), alike), None);
        let mut likeness = Likeness::default();
        assert_eq!(said(&mut likeness, &Pictures::default(), unlike), None);
    }

    #[test]
    fn later_two_in_a_row_are_news() {
        let (alike, unlike) = (1, 5);
        let mut likeness = Likeness::default();
        let pictures = pictures();
        let mut after_a_while = |step| {
            let wait = likeness.wait;
            (0..wait).for_each(|_| assert_eq!(said(&mut likeness, &pictures, step), None));
            said(&mut likeness, &pictures, step)
        };
        assert_eq!(after_a_while(alike), None);
        assert_eq!(after_a_while(unlike), None);
        assert_eq!(after_a_while(alike), None, "one frame was no news");
        assert_eq!(after_a_while(unlike), None);
        assert_eq!(after_a_while(unlike), Some(false));
        assert_eq!(after_a_while(unlike), None, "it was told");
        assert_eq!(after_a_while(alike), None);
        assert_eq!(after_a_while(alike), Some(true));
    }
}
