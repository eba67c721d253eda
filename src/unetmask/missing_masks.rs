//! Counts frames without a usable mask, and warns about many in a row.

/// Frames in a row after which a warning is posted.
const WARN_AFTER: u32 = 100;

/// Why a frame has no usable mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingMask {
    /// It carries none.
    None,
    /// It carries one that is too old.
    Stale,
}

impl MissingMask {
    /// The warning about many such frames.
    fn warning(self) -> String {
        match self {
            MissingMask::None => format!(
                "{WARN_AFTER} frames in a row carry no mask: put unetsegment upstream, with nothing in between that scales, crops or rotates frames"
            ),
            MissingMask::Stale => format!(
                "{WARN_AFTER} frames in a row carry a stale mask, which drop-stale=true ignores: masks are older than max-mask-age of unetsegment allows. Raise max-mask-age, lower inference-interval, or use a faster network"
            ),
        }
    }
}

/// Why the last frames had no usable mask, and how many in a row for the same reason.
#[derive(Debug, Default)]
pub struct MissingMasks(Option<(MissingMask, u32)>);

impl MissingMasks {
    /// Counts a frame; the warning when it is due.
    pub fn count(&mut self, missing: MissingMask) -> Option<String> {
        let before = self.0.filter(|(last, _)| *last == missing);
        let count = before.map_or(0, |(_, count)| count).saturating_add(1);
        self.0 = Some((missing, count));
        (count == WARN_AFTER).then(|| missing.warning())
    }
}
