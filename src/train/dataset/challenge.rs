//! The layout of the Cell Tracking Challenge: frames `01/t000.tif`, gold truth
//! `01_GT/SEG/man_seg000.tif`, silver truth `01_ST/SEG/man_seg000.tif`; any number of sequences.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::page::{Page, Pair};
use super::{DatasetError, Found, Layout, Standard, files, natural};

/// What the names of masks begin with; the number of the frame follows.
const MASK: &str = "man_seg";

/// Folders of frames in `root`: those with two digits or more for a name, or `root` if it is one itself.
pub fn sequences(root: &Path) -> Vec<PathBuf> {
    if is_sequence(root) {
        return vec![root.into()];
    }
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

/// Finds the truth of each frame in all sequences of `root`. Frames without any are left out, as the
/// challenge has it; sequences without any if `annotated_only`.
pub fn find(root: &Path, truth: Standard, annotated_only: bool) -> Result<Found, DatasetError> {
    let mut found = Found::new(Layout::CellTracking, root);
    let mut without_truth = None;
    for sequence in sequences(root) {
        let name = name(&sequence);
        let folder = |kind| {
            sequence
                .with_file_name(format!("{name}_{kind}"))
                .join("SEG")
        };
        let folders = match truth {
            Standard::GoldFirst => vec![folder("GT"), folder("ST")],
            Standard::Gold => vec![folder("GT")],
            Standard::Silver => vec![folder("ST")],
        };
        match add(&sequence, &folders, &mut found) {
            Err(error @ DatasetError::NoTruth { .. }) if annotated_only => {
                found.without_mask += files::pictures(&sequence)?.len();
                without_truth.get_or_insert(error);
            }
            added => added?,
        }
    }
    match found.pairs.is_empty() {
        true => Err(without_truth.unwrap_or_else(|| DatasetError::NoSequence(root.into()))),
        false => Ok(found),
    }
}

/// Whether a folder of masks is one of the challenge's `SEG` folders.
pub fn is_truth(masks: &Path) -> bool {
    let entries = fs::read_dir(masks).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name());
    names.any(|name| name.as_encoded_bytes().starts_with(MASK.as_bytes()))
}

/// Finds the truth of each frame of one sequence in the folder `masks`.
pub fn find_in(sequence: &Path, masks: &Path) -> Result<Found, DatasetError> {
    let mut found = Found::new(Layout::CellTracking, masks);
    add(sequence, &[masks.into()], &mut found)?;
    Ok(found)
}

/// Name of the folder of a sequence.
fn name(sequence: &Path) -> String {
    let name = sequence.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Adds the frames of a sequence that have a mask in one of the folders, the first of which counts.
fn add(sequence: &Path, folders: &[PathBuf], found: &mut Found) -> Result<(), DatasetError> {
    let mut masks = BTreeMap::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for mask in files::pictures(folder)? {
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
