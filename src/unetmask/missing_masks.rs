//! Frames of which no mask goes out, and what there is to say of many in a row.

/// Frames in a row after which a warning says so.
const SUSPICIOUS: u32 = 100;

/// Why a frame has no mask that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It carries none.
    None,
    /// It carries one that is too old.
    Stale,
}

impl Lack {
    /// What is to be said of many such frames.
    fn text(self) -> String {
        match self {
            Lack::None => format!(
                "{SUSPICIOUS} frames in a row carry no mask: put unetsegment upstream, with nothing in between that scales, crops or rotates frames"
            ),
            Lack::Stale => format!(
                "{SUSPICIOUS} frames in a row carry a stale mask, which does not count with drop-stale=true: masks are older than max-mask-age of unetsegment allows. Raise that, lower inference-interval, or take a faster network"
            ),
        }
    }
}

/// Why the last frames had no mask that counts, and how many in a row for the same reason.
#[derive(Debug, Default)]
pub struct Lacks(Option<(Lack, u32)>);

impl Lacks {
    /// Counts a frame; what is to be said of it and those before, the first time.
    pub fn count(&mut self, lack: Lack) -> Option<String> {
        let before = self.0.filter(|(last, _)| *last == lack);
        let count = before.map_or(0, |(_, count)| count).saturating_add(1);
        self.0 = Some((lack, count));
        (count == SUSPICIOUS).then(|| lack.text())
    }
}
