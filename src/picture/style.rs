//! The style in which a mask is drawn.

/// How regions are drawn: filled, outlined, or both. Colours are separate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// Opacity of the filling of regions, 0 (none) to 1 (opaque).
    pub opacity: f32,
    /// Width of a region's outline in pixels, from its edge inwards, 0 (none) to
    /// [`Style::MAX_THICKNESS`], to which larger values are clamped. In frames of more than 1000 rows,
    /// which are usually scaled down for display, outlines are twice as wide.
    ///
    /// A pixel belongs to the outline if a pixel of another value lies within this city-block distance, so
    /// that 1 includes the pixels that share an edge with another value.
    pub thickness: usize,
}

impl Style {
    /// The widest outline.
    pub const MAX_THICKNESS: usize = 16;
}

impl Default for Style {
    fn default() -> Self {
        Style {
            opacity: 0.35,
            thickness: 1,
        }
    }
}
