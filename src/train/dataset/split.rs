//! Division into images to learn from and images held back for validation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rand::Rng;
use rand::seq::SliceRandom;

use super::masks::unseen;
use super::{Annotated, Dataset, DatasetError, Sample, files, natural};

/// Options that decide which samples are held back for validation. Neighbouring frames of a time-lapse or of a volume
/// are near copies: held back at random, they say little about frames that were never seen.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Holdout {
    /// Share of the images held back for validation
    #[arg(long, default_value_t = Holdout::default().validation, value_name = "SHARE", value_parser = share)]
    pub validation: f64,
    /// Which images make up that share; use `time` for a time-lapse or a stack, where neighbours are near copies
    #[arg(long, value_enum, default_value_t)]
    pub split: Order,
    /// Hold back these sequences instead of a share: 02, or the name of a stack
    #[arg(
        long,
        value_name = "NAME,NAME..",
        value_delimiter = ',',
        conflicts_with = "validation_list"
    )]
    pub validation_sequence: Vec<String>,
    /// Hold back the images whose names this file lists, one per line, instead of a share
    #[arg(long, value_name = "FILE")]
    pub validation_list: Option<PathBuf>,
    /// Masks to validate by, if they are better than the training masks; held-back images without one are not used. In
    /// a folder of the Cell Tracking Challenge the gold truth is used
    #[arg(long, value_name = "PATH")]
    pub validation_masks: Option<PathBuf>,
    /// Use these images neither for training nor for validation, for example frames between the two
    #[arg(long, value_name = "NAME,NAME..", value_delimiter = ',')]
    pub leave_out: Vec<String>,
}

/// Which samples make up the share that is held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Any, drawn by the seed
    #[default]
    Random,
    /// The last ones of each sequence, in the order of their names
    Time,
}

/// Samples to learn from and samples for validation, at least one each.
#[derive(Debug)]
pub struct Split {
    /// To learn from.
    pub training: Vec<Sample>,
    /// Held back.
    pub validation: Vec<Sample>,
}

impl Default for Holdout {
    fn default() -> Self {
        Holdout {
            validation: 0.15,
            split: Order::Random,
            validation_sequence: Vec::new(),
            validation_list: None,
            validation_masks: None,
            leave_out: Vec::new(),
        }
    }
}

impl Holdout {
    /// Whether a share is drawn by the seed.
    pub fn is_random(&self) -> bool {
        self.split == Order::Random
            && self.validation_list.is_none()
            && self.validation_sequence.is_empty()
    }

    /// The option that says what is held back.
    fn option(&self) -> String {
        match &self.validation_list {
            Some(list) => format!("--validation-list {}", list.display()),
            None if !self.validation_sequence.is_empty() => {
                format!(
                    "--validation-sequence {}",
                    self.validation_sequence.join(",")
                )
            }
            None => format!("--validation {}", self.validation),
        }
    }
}

/// Reads a share between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("it must be between 0 and 1".into())
    }
}

impl Dataset {
    /// Holds back part of the samples. Of a share at least one is held back.
    ///
    /// [`Holdout::validation_masks`] are not used here, see [`Split::judged_by`].
    pub fn split(self, holdout: &Holdout, rng: &mut impl Rng) -> Result<Split, DatasetError> {
        let samples = without(self.samples, &holdout.leave_out)?;
        let images = samples.len();
        let split = if let Some(list) = &holdout.validation_list {
            let names: Vec<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
            let listed = listed(list, &names)?;
            divide(samples, |at, _| listed.contains(&at))
        } else if !holdout.validation_sequence.is_empty() {
            let sequences = &holdout.validation_sequence;
            known(sequences, &samples)?;
            divide(samples, |_, sample| sequences.contains(&sample.sequence))
        } else {
            match holdout.split {
                Order::Random => at_random(samples, holdout.validation, rng),
                Order::Time => last(samples, holdout.validation),
            }
        };
        if split.training.is_empty() {
            return Err(DatasetError::AllHeldBack {
                option: holdout.option(),
                images,
            });
        }
        Ok(split)
    }
}

impl Split {
    /// Refuses samples to learn from that show no cell or not all `classes`, and samples held back that show no cell: a
    /// network that finds nothing would have the best score.
    pub fn check(&self, classes: &[String]) -> Result<(), DatasetError> {
        let shows = |sample: &Sample| sample.truth.shows_cells();
        let names = |samples: &[Sample]| samples.iter().map(|s| s.name.clone()).collect();
        if !self.training.iter().any(shows) {
            return Err(DatasetError::NothingToLearn(self.training.len()));
        }
        let truths = self.training.iter().map(|sample| &sample.truth);
        if let Some(value) = unseen(classes.len(), truths) {
            return Err(DatasetError::ClassHeldBack {
                name: classes[value].clone(),
                value,
            });
        }
        if !self.validation.iter().any(shows) {
            return Err(DatasetError::NothingToFind(names(&self.validation)));
        }
        Ok(())
    }

    /// Names of the images whose masks are empty.
    pub fn empty_masks(&self) -> Vec<&str> {
        let all = self.training.iter().chain(&self.validation);
        let empty = all.filter(|sample| {
            let truth = &sample.truth;
            !truth.shows_cells() && truth.ignored.is_none()
        });
        let mut names: Vec<_> = empty.map(|sample| sample.name.as_str()).collect();
        names.sort_unstable_by(|a, b| natural::compare(a, b));
        names
    }

    /// The same split with the truth of `better` for the samples held back, in the order of `better`; samples without
    /// it are left out.
    pub fn judged_by(self, better: Dataset<Annotated>) -> Result<Self, DatasetError> {
        let Split {
            training,
            validation: held_back,
        } = self;
        let count = held_back.len();
        let named = held_back.into_iter().map(|s| (s.name.clone(), s));
        let mut held_back: BTreeMap<_, _> = named.collect();
        let mut validation = Vec::with_capacity(count);
        for annotated in better.samples {
            // Only the masks of a challenge say of which sequence they are.
            let alone = annotated.name.rsplit_once('/').map(|(_, name)| name);
            let sample = held_back.remove(&annotated.name);
            if let Some(sample) = sample.or_else(|| held_back.remove(alone?)) {
                annotated.fits(sample.image[0].height, sample.image[0].width)?;
                validation.push(Sample {
                    truth: annotated.truth,
                    ..sample
                });
            }
        }
        if validation.is_empty() {
            return Err(DatasetError::Unjudged(count));
        }
        Ok(Split {
            training,
            validation,
        })
    }
}

impl Dataset<Annotated> {
    /// The samples whose names the file `list` has, one per line.
    pub fn only(mut self, list: &Path) -> Result<Self, DatasetError> {
        let names: Vec<_> = self
            .samples
            .iter()
            .map(|sample| sample.name.as_str())
            .collect();
        let listed = listed(list, &names)?;
        let mut at = 0..;
        self.samples
            .retain(|_| at.next().is_some_and(|at| listed.contains(&at)));
        Ok(self)
    }
}

/// The samples that are not to be left out, of which there is at least one.
fn without(samples: Vec<Sample>, left_out: &[String]) -> Result<Vec<Sample>, DatasetError> {
    let names: Vec<_> = samples.iter().map(|sample| sample.name.as_str()).collect();
    let place_of = |name: &String| {
        place(&names, name).ok_or_else(|| DatasetError::NothingLeftOut {
            name: name.clone(),
            first: names.first().copied().unwrap_or_default().into(),
        })
    };
    let left_out = whole(left_out, &names);
    let left_out: BTreeSet<_> = left_out.iter().map(place_of).collect::<Result<_, _>>()?;
    if left_out.len() == samples.len() {
        return Err(DatasetError::AllLeftOut(samples.len()));
    }
    let rest = samples.into_iter().enumerate();
    let rest = rest.filter(|(at, _)| !left_out.contains(at));
    Ok(rest.map(|(_, sample)| sample).collect())
}

/// The names in a list that was split at each comma: parts that together are one of `names` are put together again, as
/// many as possible.
fn whole(parts: &[String], names: &[&str]) -> Vec<String> {
    let commas = names.iter().map(|name| name.matches(',').count());
    let most = 1 + commas.max().unwrap_or(0);
    let mut rest = parts;
    let mut whole = Vec::new();
    while !rest.is_empty() {
        let is_name = |count: &usize| place(names, &rest[..*count].join(",")).is_some();
        let count = (2..=most.min(rest.len())).rev().find(is_name).unwrap_or(1);
        whole.push(rest[..count].join(","));
        rest = &rest[count..];
    }
    whole
}

/// The place in `names` of `name`, or else of `name` without the ending of a picture: `a.tif` is the image of the file
/// `a.tif.png` if there is one, else that of `a.tif`.
fn place(names: &[&str], name: &str) -> Option<usize> {
    let is = |name: &str| names.iter().position(|known| *known == name);
    is(name).or_else(|| is(plain(name)))
}

/// The name of an image without the ending of a picture.
fn plain(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if files::is_picture(ending) => stem,
        _ => name,
    }
}

/// How many of `count` samples a share is; at least one.
fn part(count: usize, share: f64) -> usize {
    ((count as f64 * share).round() as usize).max(1)
}

fn at_random(mut samples: Vec<Sample>, share: f64, rng: &mut impl Rng) -> Split {
    samples.shuffle(rng);
    let training = samples.split_off(part(samples.len(), share));
    Split {
        training,
        validation: samples,
    }
}

/// Holds back the last samples of each sequence, those without one taken together: images may lie between stacks.
fn last(samples: Vec<Sample>, share: f64) -> Split {
    let mut sequences: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        sequences.entry(&sample.sequence).or_default().push(at);
    }
    let mut held_back: BTreeSet<usize> = BTreeSet::new();
    for places in sequences.into_values() {
        held_back.extend(&places[places.len() - part(places.len(), share)..]);
    }
    divide(samples, |at, _| held_back.contains(&at))
}

/// Holds back the samples for which `is_held_back` of their place and themselves is true.
fn divide(samples: Vec<Sample>, is_held_back: impl Fn(usize, &Sample) -> bool) -> Split {
    let (validation, training): (Vec<_>, Vec<_>) = samples
        .into_iter()
        .enumerate()
        .partition(|(at, sample)| is_held_back(*at, sample));
    let plain = |samples: Vec<(usize, Sample)>| samples.into_iter().map(|(_, s)| s).collect();
    Split {
        training: plain(training),
        validation: plain(validation),
    }
}

/// Refuses a sequence that is not there.
fn known(sequences: &[String], samples: &[Sample]) -> Result<(), DatasetError> {
    let there: BTreeSet<_> = samples.iter().map(|sample| &sample.sequence).collect();
    match sequences.iter().find(|sequence| !there.contains(sequence)) {
        Some(sequence) => Err(DatasetError::UnknownSequence {
            sequence: sequence.clone(),
            there: there
                .into_iter()
                .filter(|name| !name.is_empty())
                .cloned()
                .collect(),
        }),
        None => Ok(()),
    }
}

/// Places of the samples that the file `list` names, at least one: by their names, with or without the ending of
/// a picture. Other lines that are empty or begin with # are skipped.
fn listed(list: &Path, names: &[&str]) -> Result<BTreeSet<usize>, DatasetError> {
    let text = fs::read_to_string(list).map_err(|error| DatasetError::List {
        list: list.into(),
        error,
    })?;
    let mut places = BTreeSet::new();
    // Some editors begin a file with a mark that is no part of its text.
    let text = text.trim_start_matches('\u{feff}');
    for (line, written) in text.lines().enumerate() {
        let name = written.trim();
        // Spaces at the ends may be part of a name, too.
        match place(names, written).or_else(|| place(names, name)) {
            Some(place) => places.insert(place),
            None if name.is_empty() || name.starts_with('#') => continue,
            None => {
                return Err(DatasetError::UnknownImage {
                    list: list.into(),
                    name: name.into(),
                    line: line + 1,
                    first: names.first().copied().unwrap_or_default().into(),
                });
            }
        };
    }
    if places.is_empty() {
        return Err(DatasetError::EmptyList(list.into()));
    }
    Ok(places)
}

#[cfg(test)]
mod tests;
