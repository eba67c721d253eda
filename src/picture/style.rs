//! How a mask is drawn.

/// How regions are drawn: filled, outlined, or both. Their colours are not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    /// How strongly regions are filled, 0 (not at all) to 1 (what is below is hidden).
    pub opacity: f32,
    /// Width of a region's outline in pixels, from its edge inwards, 0 (none) to
    /// [`Style::MAX_THICKNESS`]; more is taken for that. In frames of more than 1000 rows, which are
    /// shown smaller, outlines are twice as wide.
    ///
    /// A pixel belongs to the outline when one of another value lies within that distance: steps
    /// along rows and columns are counted (city-block distance), so that 1 are the pixels that touch
    /// another value with a side.
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
