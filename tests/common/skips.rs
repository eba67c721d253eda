//! Tests that are skipped because something that they need is not installed.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// Names, separated by commas, of what no test may be skipped for lack of: `data`, `python`, `aravis`, `micromanager`
/// and `webgpu`.
const REQUIRE: &str = "UNETSEGMENT_REQUIRE";

/// Says, once for each reason, why tests that need `name` are skipped, or fails where [`REQUIRE`] lists it.
pub fn skip(name: &str, reason: &str) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let required = std::env::var(REQUIRE).unwrap_or_default();
    assert!(
        !required.split(',').any(|required| required == name),
        "{REQUIRE} lists {name}, but {reason}"
    );
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.insert(reason.to_owned()) {
        let line = format!("skipped: {reason}\n");
        // libtest shows what the print macros write only where a test fails.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}
