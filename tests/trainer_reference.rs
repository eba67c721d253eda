//! docs/unet-train.md is the help of the commands of `unet-train`.
#![cfg(feature = "train")]

use std::fmt::Write;

#[path = "common/pages.rs"]
mod pages;
mod trainer;

use trainer::Bench;

/// The long help of a command, 100 columns wide.
fn help(bench: &Bench, command: &str) -> String {
    let mut program = bench.command(&format!("{command} --help"));
    let output = program.env("COLUMNS", "100").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

fn reference() -> String {
    let bench = Bench::new();
    let summary = help(&bench, "");
    let (_, commands) = summary.split_once("Commands:\n").unwrap();
    let lines = commands.lines().take_while(|line| !line.is_empty());
    // Lines that continue a description are indented further.
    let entries = lines.filter_map(|line| line.strip_prefix("  "));
    let names = entries.filter_map(|entry| entry.split(' ').next());
    let mut text = "# unet-train\n\nThe help of `unet-train` and of each of its commands. `make docs` writes this page.\n".to_owned();
    write!(text, "\n```text\n{summary}\n```\n").unwrap();
    for name in names.filter(|name| !["", "help"].contains(name)) {
        let help = help(&bench, name);
        write!(text, "\n## {name}\n\n```text\n{help}\n```\n").unwrap();
    }
    text
}

#[test]
fn the_page_of_the_trainer_is_current() {
    pages::assert_current("unet-train.md", &reference());
}
