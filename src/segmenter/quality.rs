//! Trades quality for speed if masks would be late: first the averaging between tiles is dropped, then their overlap.

use super::Segmenter;
use crate::contract::Geometry;
use crate::tiling::Blend;

/// How far quality is reduced for speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QualityReduction {
    /// Whether averaging is off.
    averaging: bool,
    /// How many times the overlap was reduced: halved, and finally dropped.
    overlap: u32,
}

impl Segmenter {
    /// How neighbouring tiles are combined at present.
    pub fn blend(&self) -> Blend {
        if self.reduction.averaging {
            Blend::Crop
        } else {
            self.tiles.blend
        }
    }

    /// How far tiles see beyond the part they output at present, in pixels.
    pub fn halo(&self) -> usize {
        self.geometry().halo
    }

    /// Takes the next step towards faster frames and worse masks: drops the averaging between tiles, then halves their
    /// overlap, halves it again, and reduces it to the network's margin. Returns `false` if no step was left.
    pub fn reduce_quality(&mut self) -> bool {
        let prepared = self.prepared.as_ref();
        let tiles = prepared.map_or(0, |prepared| prepared.plan.len());
        let geometry = self.geometry();
        if tiles < 2 {
            return false;
        }
        if self.blend() != Blend::Crop {
            self.reduction.averaging = true;
        } else if geometry.halo > geometry.margin {
            self.reduction.overlap += 1;
        } else {
            return false;
        }
        self.prepared = None;
        true
    }

    /// Undoes the last step of [`reduce_quality`](Self::reduce_quality).
    pub fn restore_step(&mut self) {
        if self.reduction.overlap > 0 {
            self.reduction.overlap -= 1;
        } else {
            self.reduction.averaging = false;
        }
        self.prepared = None;
    }

    /// Undoes all steps of [`reduce_quality`](Self::reduce_quality).
    pub fn restore_quality(&mut self) {
        if self.reduction != QualityReduction::default() {
            self.reduction = QualityReduction::default();
            self.prepared = None;
        }
    }

    /// The network's geometry, with the present overlap.
    pub(super) fn geometry(&self) -> Geometry {
        let geometry = self.model.contract().geometry;
        let halo = match self.reduction.overlap {
            halvings @ 0..=2 => geometry.halo >> halvings,
            _ => geometry.margin,
        };
        Geometry {
            halo: halo.max(geometry.margin),
            ..geometry
        }
    }
}
