//! The layout of the Cell Tracking Challenge: frames `01/t000.tif`, gold truth
//! `01_GT/SEG/man_seg000.tif`, silver truth `01_ST/SEG/man_seg000.tif`; any number of sequences.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::page::{Page, Pair};
use super::{DatasetError, DatasetFiles, Layout, Standard, files, natural};

/// Prefix of the names of masks; the number of the frame follows.
const MASK: &str = "man_seg";

/// Folders of frames in `root`, or `root` if it is one itself: digits may also be the name of a folder of sequences.
pub fn sequences(root: &Path) -> Vec<PathBuf> {
    let inside = inside(root);
    if inside.is_empty() && is_sequence(root) {
        return vec![root.into()];
    }
    inside
}

/// Folders inside `root` whose names are two digits or more, in the order of these.
fn inside(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut sequences: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| is_sequence(path))
        .collect();
    sequences.sort_by(|a, b| natural::compare(&a.to_string_lossy(), &b.to_string_lossy()));
    sequences
}

fn is_sequence(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() >= 2 && name.iter().all(u8::is_ascii_digit) && path.is_dir()
}

/// Finds the truth of each frame in all sequences of `images`: in the `SEG` folder `masks`, which is of one of them; in
/// a folder `masks` that holds one for each, such as `01_GT/SEG`; or beside the sequences.
///
/// Frames without truth are left out, as in the challenge; sequences without any if `annotated_only`.
pub fn find(
    images: &Path,
    masks: Option<&Path>,
    truth: Standard,
    annotated_only: bool,
) -> Result<DatasetFiles, DatasetError> {
    let mut found = DatasetFiles::new(Layout::CellTracking, masks.unwrap_or(images));
    if let Some(masks) = masks.filter(|masks| is_truth(masks)) {
        add(&sequence_of(images, masks)?, &[masks.into()], &mut found)?;
        return Ok(found);
    }
    let kinds: &[&str] = match truth {
        Standard::GoldFirst => &["GT", "ST"],
        Standard::Gold => &["GT"],
        Standard::Silver => &["ST"],
    };
    let mut without_truth = None;
    for sequence in sequences(images) {
        let folders = kinds.iter().map(|kind| truth_of(&sequence, masks, kind));
        let folders: Vec<_> = folders.collect();
        match add(&sequence, &folders, &mut found) {
            Err(error @ DatasetError::NoTruth { .. }) if annotated_only => {
                found.without_mask += files::pictures(&sequence)?.len();
                without_truth.get_or_insert(error);
            }
            added => added?,
        }
    }
    if found.pairs.is_empty() {
        Err(without_truth.unwrap_or_else(|| DatasetError::NoSequence(images.into())))
    } else {
        Ok(found)
    }
}

/// Whether `masks` holds a `SEG` folder for a sequence of `images`.
pub fn holds_truth(images: &Path, masks: &Path) -> bool {
    let has_truth = |sequence: &PathBuf| {
        let mut kinds = ["GT", "ST"].into_iter();
        kinds.any(|kind| truth_of(sequence, Some(masks), kind).is_dir())
    };
    sequences(images).iter().any(has_truth)
}

/// The `SEG` folder of a sequence, in `masks` or beside the sequence.
fn truth_of(sequence: &Path, masks: Option<&Path>, kind: &str) -> PathBuf {
    let folder = format!("{}_{kind}", name(sequence));
    let folder = match masks {
        Some(masks) => masks.join(folder),
        None => sequence.with_file_name(folder),
    };
    folder.join("SEG")
}

/// The sequence that a `SEG` folder belongs to: `images`, or the one in it that has its name, as `02` for `02_GT/SEG`.
fn sequence_of(images: &Path, masks: &Path) -> Result<PathBuf, DatasetError> {
    let sequences = inside(images);
    if sequences.is_empty() {
        return Ok(images.into());
    }
    let folder = masks.parent().map(name).unwrap_or_default();
    let is_named = |sequence: &PathBuf| {
        let kind = folder.strip_prefix(&name(sequence));
        kind.is_some_and(|kind| kind.starts_with('_'))
    };
    let sequence = sequences.into_iter().find(is_named);
    sequence.ok_or_else(|| DatasetError::WhichSequence {
        masks: masks.into(),
        images: images.into(),
    })
}

/// Whether a folder of masks is one of the challenge's `SEG` folders.
pub fn is_truth(masks: &Path) -> bool {
    let entries = fs::read_dir(masks).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.as_encoded_bytes().starts_with(MASK.as_bytes()))
}

/// Name of a folder.
fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Adds the frames of a sequence that have a mask in one of the folders; of several masks the first one counts.
fn add(sequence: &Path, folders: &[PathBuf], found: &mut DatasetFiles) -> Result<(), DatasetError> {
    let mut masks = BTreeMap::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let pictures = match files::pictures(folder) {
            // Gold truth that nobody has drawn yet.
            Err(DatasetError::Empty(_)) => continue,
            pictures => pictures?,
        };
        for mask in pictures {
            if let Some(frame) = mask.name.strip_prefix(MASK) {
                masks.entry(frame.to_owned()).or_insert(mask.path);
            }
        }
    }
    if masks.is_empty() {
        return Err(DatasetError::NoTruth {
            sequence: sequence.into(),
            looked_in: folders.iter().map(|f| f.display().to_string()).collect(),
        });
    }
    let name = name(sequence);
    for frame in files::pictures(sequence)? {
        let Some(mask) = frame.name.strip_prefix('t').and_then(|n| masks.remove(n)) else {
            found.without_mask += 1;
            continue;
        };
        let page = |file| Page { file, index: None };
        found.pairs.push(Pair {
            name: format!("{name}/{}", frame.name),
            sequence: name.clone(),
            image: page(frame.path),
            mask: page(mask),
        });
    }
    match masks.into_values().next() {
        Some(file) => Err(DatasetError::NoPartner {
            file,
            folder: sequence.into(),
            is_image: false,
        }),
        None => Ok(()),
    }
}
