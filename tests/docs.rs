//! Messages that the documents quote, and files that they link to, exist.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path, ending)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

/// The pieces of `text` between two marks.
fn within<'t>(text: &'t str, [open, close]: [&str; 2]) -> Vec<&'t str> {
    let pieces = text.split(open).skip(1);
    pieces
        .filter_map(|piece| Some(piece.split_once(close)?.0))
        .collect()
}

/// Messages that GStreamer itself prints.
const OF_GSTREAMER: [&str; 4] = [
    "No such element or plugin",
    "Failed to find a usable video sink",
    "could not link",
    "reason not-negotiated",
];

#[test]
fn messages_that_are_explained_are_posted() {
    let sources = files(&root().join("src"), "rs");
    let sources: Vec<String> = sources
        .iter()
        .map(|path| fs::read_to_string(path).unwrap().to_lowercase())
        .collect();
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let headings = text.lines().filter(|line| line.starts_with("## "));
    // Quotes of one heading alternate with what stands between them.
    let quotes = headings.flat_map(|heading| heading.split('`').skip(1).step_by(2));
    let mut looked_for = 0;
    for quote in quotes.filter(|quote| !OF_GSTREAMER.iter().any(|known| quote.contains(known))) {
        let lower = quote.to_lowercase();
        // Numbers and names are put in when a message is posted.
        let fixed = lower.split(|c: char| c.is_ascii_digit() || "….,:='".contains(c));
        for part in fixed.map(str::trim).filter(|part| part.len() >= 8) {
            looked_for += 1;
            let found = sources.iter().any(|source| source.contains(part));
            assert!(found, "no source has {part:?} of the heading {quote:?}");
        }
    }
    assert!(looked_for > 20, "{looked_for}");
}

#[test]
fn links_lead_somewhere() {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(files(&root().join("models"), "md"));
    let top = ["README", "BENCHMARKS", "RELIABILITY", "CHANGELOG"];
    documents.extend(top.map(|name| root().join(name).with_extension("md")));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let root = root().canonicalize().unwrap();
    let mut followed = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let links = within(&text, ["](", ")"]).into_iter();
        for link in links.filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", document.display());
            // So does the Debian package, where documents lie as they do here.
            let target = target.canonicalize().unwrap();
            let folder = target.parent().unwrap().strip_prefix(&root).unwrap();
            let folder = Path::new("usr/share/doc/unetsegment").join(folder);
            let packaged = format!("\"{}/\"", folder.display()).replace("//", "/");
            assert!(manifest.contains(&packaged), "{packaged} for {link}");
            followed += 1;
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|heading| self::anchor(heading) == anchor);
                assert!(found, "{}: {link}", document.display());
            }
        }
    }
    assert!(followed > 50, "{followed}");
}

/// The anchor of a heading, as the usual viewers of Markdown make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}
