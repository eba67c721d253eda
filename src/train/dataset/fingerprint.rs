//! The fingerprint of images and masks, which tells whether they are those that a run was started with.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{Sample, Split};

/// SHA-256 in hexadecimal digits of all data to learn from and to validate by: names, pixels and truth.
pub fn fingerprint(split: &Split) -> String {
    let mut hash = Sha256::new();
    for samples in [&split.training, &split.validation] {
        hash.update((samples.len() as u64).to_le_bytes());
        samples.iter().for_each(|sample| add(&mut hash, sample));
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing into a string can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn add(hash: &mut Sha256, sample: &Sample) {
    let Sample {
        name, image, truth, ..
    } = sample;
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    for plane in image {
        hash.update((plane.width as u64).to_le_bytes());
        plane.data.iter().for_each(|x| hash.update(x.to_le_bytes()));
    }
    let cells = truth.cells.data.iter();
    cells.for_each(|cell| hash.update(cell.to_le_bytes()));
    // A letter before each, for either may be missing.
    if let Some(classes) = &truth.classes {
        hash.update(b"c");
        hash.update(&classes.data);
    }
    if let Some(ignored) = &truth.ignored {
        hash.update(b"i");
        let ignored = ignored.data.iter().map(|ignored| u8::from(*ignored));
        hash.update(ignored.collect::<Vec<u8>>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::plane::Plane;
    use crate::train::target::Truth;

    fn split(name: &str, value: f32, cell: u32) -> Split {
        let sample = Sample {
            name: name.into(),
            sequence: String::new(),
            image: vec![Plane::filled(3, 4, value)],
            truth: Truth {
                cells: Plane::filled(3, 4, cell),
                classes: None,
                ignored: None,
            },
        };
        Split {
            training: vec![sample.clone()],
            validation: vec![sample],
        }
    }

    #[test]
    fn every_change_is_seen() {
        let all = [
            split("a", 0.5, 1),
            split("b", 0.5, 1),
            split("a", 0.25, 1),
            split("a", 0.5, 2),
        ];
        let prints = all.each_ref().map(fingerprint);
        assert_eq!(prints[0], fingerprint(&all[0]));
        for (at, print) in prints.iter().enumerate() {
            assert!(!prints[..at].contains(print), "{at}");
        }
        let mut seen = vec![prints[0].clone()];
        let changes: [fn(&mut Truth); 3] = [
            |truth| truth.classes = Some(Plane::filled(3, 4, 1)),
            |truth| truth.ignored = Some(Plane::filled(3, 4, true)),
            |truth| truth.ignored = Some(Plane::filled(3, 4, false)),
        ];
        for change in changes {
            let mut changed = split("a", 0.5, 1);
            change(&mut changed.training[0].truth);
            seen.push(fingerprint(&changed));
        }
        let mut turned = split("a", 0.5, 1);
        turned.training[0].image = vec![Plane::filled(4, 3, 0.5)];
        seen.push(fingerprint(&turned));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 5);
        let mut moved = split("a", 0.5, 1);
        moved.training.append(&mut moved.validation);
        assert_ne!(fingerprint(&moved), prints[0]);
    }
}
