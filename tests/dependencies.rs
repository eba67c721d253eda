//! The plugin doesn't pull in the trainer, nor the trainer GStreamer.

use std::process::Command;

/// Names of all packages that a build with `features` needs.
fn packages(features: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args([
            "--format",
            "{p}",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .args(features)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn the_plugin_needs_nothing_of_the_trainer() {
    let packages = packages(&[]);
    assert!(packages.iter().any(|name| name == "gstreamer"));
    for name in [
        "burn",
        // Which takes a newer GStreamer, and a feature.
        "gstreamer-analytics",
        "clap",
        "colorous",
        "image",
        "indicatif",
        "plotters",
        "png",
        "rand",
        "rayon",
        "signal-hook",
        "tiff",
    ] {
        assert!(!packages.iter().any(|package| package == name), "{name}");
    }
}

#[test]
fn the_trainer_needs_no_gstreamer() {
    let packages = packages(&["--no-default-features", "--features", "train"]);
    assert!(packages.iter().any(|name| name == "burn"));
    for name in ["glib", "glib-sys", "gstreamer", "gstreamer-sys"] {
        assert!(!packages.iter().any(|package| package == name), "{name}");
    }
}
