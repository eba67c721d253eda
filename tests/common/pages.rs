//! Pages of the documents that are generated.

use std::path::Path;

/// Writes pages instead of comparing them.
const WRITE: &str = "UNETSEGMENT_WRITE_REFERENCE";

/// Compares the page `docs/NAME` with `text`, or writes it.
pub fn assert_current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    // Not assert_eq, which would print both pages.
    assert!(written == text, "docs/{name} is out of date: make docs");
}
