//! What is given up where masks would be late: averaging where tiles meet, then their overlap.

use super::Segmenter;
use crate::contract::Geometry;
use crate::tiling::Blend;

/// What is given up for speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GivenUp {
    averaging: bool,
    /// How often the overlap was halved, and at last left out.
    overlap: u32,
}

impl Segmenter {
    /// What happens where tiles meet now.
    pub fn blend(&self) -> Blend {
        match self.given_up.averaging {
            true => Blend::Crop,
            false => self.tiles.blend,
        }
    }

    /// How far tiles see now beyond what they answer for, in pixels.
    pub fn halo(&self) -> usize {
        self.geometry().halo
    }

    /// Gives up the next thing that makes frames quicker and masks worse: averaging where tiles meet, then half of
    /// their overlap and half of that, then all that the network can do without. Returns whether there was any.
    pub fn give_up(&mut self) -> bool {
        let tiles = self.prepared.as_ref().map_or(0, |had| had.plan.len());
        let geometry = self.geometry();
        if tiles < 2 {
            return false;
        }
        if self.blend() != Blend::Crop {
            self.given_up.averaging = true;
        } else if geometry.halo > geometry.margin {
            self.given_up.overlap += 1;
        } else {
            return false;
        }
        self.prepared = None;
        true
    }

    /// Takes back what was given up last.
    pub fn take_back(&mut self) {
        if self.given_up.overlap > 0 {
            self.given_up.overlap -= 1;
        } else {
            self.given_up.averaging = false;
        }
        self.prepared = None;
    }

    /// Takes back all that was given up.
    pub fn take_all_back(&mut self) {
        if self.given_up != GivenUp::default() {
            self.given_up = GivenUp::default();
            self.prepared = None;
        }
    }

    /// The network's, with the overlap that is left.
    pub(super) fn geometry(&self) -> Geometry {
        let geometry = self.model.contract().geometry;
        let halo = match self.given_up.overlap {
            halvings @ 0..=2 => geometry.halo >> halvings,
            _ => geometry.margin,
        };
        Geometry {
            halo: halo.max(geometry.margin),
            ..geometry
        }
    }
}
