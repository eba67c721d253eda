use std::fs;
use std::path::Path;

use super::*;

/// The options of a command line, completed.
fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
    let typed = ["unet-train", "train"].iter().chain(arguments);
    let train = Train::augment_args(Command::new("train"));
    let program = Command::new("unet-train").subcommand(train);
    let all = expanded(&program, typed.map(OsString::from).collect())?;
    Config::of(&options().try_get_matches_from(&all[2..])?)
}

fn get(config: &Config, key: &str) -> String {
    config.0[key].to_string()
}

#[test]
fn typed_counts_more_than_file_than_preset_than_default() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    let text = "preset = 'paper2015'\nimages = 'a'\noutput = 'm.onnx'\nwidth = 8\nbatch = 3\n\
                padded = true\nclasses = ['none', 'big cell']\nvalidation-sequence = []\n";
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let options = config(&["--config", file, "--batch", "5", "--padded=false"]).unwrap();
    assert_eq!(get(&options, "batch"), "5");
    assert_eq!(get(&options, "padded"), "false");
    assert_eq!(get(&options, "width"), "8");
    assert_eq!(get(&options, "depth"), "4");
    assert_eq!(get(&options, "optimizer"), "\"sgd\"");
    assert_eq!(get(&options, "border-on-cells"), "true");
    assert_eq!(get(&options, "mirror"), "false");
    assert_eq!(get(&options, "minutes"), "30.0");
    assert_eq!(get(&options, "classes"), "[\"none\", \"big cell\"]");
    // Relative to the file.
    let images = folder.path().join("a");
    assert_eq!(options.0["images"].as_str(), images.to_str());
    let options = config(&["--config", file, "--preset", "default", "--steps=7"]).unwrap();
    assert_eq!(get(&options, "optimizer"), "\"muon\"");
    assert_eq!(options.0.get("minutes"), None);
}

#[test]
fn what_excludes_a_typed_option_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    let required = "images = 'a'\noutput = 'm.onnx'\n";
    let read = |line: &str, typed: &str| {
        fs::write(&file, format!("{required}{line}")).unwrap();
        config(&["--config", file.to_str().unwrap(), typed]).unwrap()
    };
    let options = read("validation-sequence = ['02']", "--validation-list=list.txt");
    assert_eq!(get(&options, "validation-sequence"), "[]");
    let options = read("validation-list = 'list.txt'", "--validation-sequence=02");
    assert_eq!(options.0.get("validation-list"), None);
    assert_eq!(get(&options, "validation-sequence"), "[\"02\"]");
    for typed in ["--validation=0.3", "--split=time"] {
        let options = read("validation-list = 'list.txt'", typed);
        assert_eq!(options.0.get("validation-list"), None, "{typed}");
        let options = read("validation-sequence = ['02']", typed);
        assert_eq!(get(&options, "validation-sequence"), "[]", "{typed}");
    }
}

#[test]
fn what_would_change_nothing_is_refused_where_it_is_typed() {
    let typed = |more: &str| {
        let all = format!("--images=i --output=o {more}");
        config(&all.split_whitespace().collect::<Vec<_>>())
    };
    for (more, expected) in [
        (
            "--momentum=0.9",
            "--momentum has no effect without --optimizer sgd",
        ),
        (
            "--split=time --validation-list=l",
            "--split has no effect beside --validation-list",
        ),
        (
            "--validation=0.3 --validation-sequence=01",
            "--validation has no effect beside --validation-sequence",
        ),
        (
            "--truth=silver --masks=m",
            "--truth has no effect beside --masks",
        ),
        (
            "--sigma=4 --border=0",
            "--sigma has no effect with --border 0",
        ),
        (
            "--border-on-cells --border=0",
            "--border-on-cells has no effect with --border 0",
        ),
        (
            "--background-sigma=4",
            "--background-sigma has no effect without a --background below 1",
        ),
        (
            "--annotated-only --masks=m --layout=stacks",
            "--annotated-only has no effect with stacks: each page needs a mask",
        ),
    ] {
        assert_eq!(typed(more).unwrap_err().to_string(), expected);
    }
    // Wrong values come first, wherever they are.
    let error = typed("--momentum=0.9 --batch=x --optimizer=sgd").unwrap_err();
    assert!(error.to_string().contains("--batch"), "{error}");
    typed("--momentum=0.9 --optimizer=sgd").unwrap();
    typed("--sigma=4 --background-sigma=4 --background=0.5").unwrap();
    typed("--annotated-only=false --masks=m --layout=stacks").unwrap();
    typed("--truth=silver --layout=cell-tracking").unwrap();
    typed("--momentum=0.9 --preset=paper2015").unwrap();
    typed("--split=time --validation=0.3").unwrap();

    // The file of a run has all options, and a run can be started and resumed with it.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let written = typed("--masks=m --validation-list=l").unwrap();
    assert!(["momentum", "split", "truth"].map(|key| written.0.contains_key(key)) == [true; 3]);
    fs::write(&file, written.to_string()).unwrap();
    let read = config(&["--config", file.to_str().unwrap()]).unwrap();
    assert_eq!(read.differences(&written, false), []);
}

#[test]
fn the_stacks_of_isbi_2012_show_membranes_unless_something_else_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train-volume.tif", "train-labels.tif"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let images = format!("--images={}", folder.path().display());
    let kind = |more: &[&str]| {
        let options = config(&[&[&images[..], "--output=o"][..], more].concat()).unwrap();
        options.options().unwrap();
        options.0.get("kind").map(Value::to_string)
    };
    assert_eq!(kind(&[]).as_deref(), Some("\"membranes\""));
    assert_eq!(kind(&["--kind=binary"]).as_deref(), Some("\"binary\""));
    assert_eq!(kind(&["--masks=m"]), None);
    assert_eq!(kind(&["--classes=a,b,c"]), None);
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    let typed = OsStr::from_bytes(b"--images=caf\xe9");
    let matches = options().get_matches_from([typed, OsStr::new("--output=o")]);
    let error = Config::of(&matches).unwrap_err().to_string();
    assert!(error.contains("is not valid UTF-8"), "{error}");
}

#[test]
fn presets_are_options() {
    for preset in Preset::value_variants() {
        let name = preset.to_possible_value().unwrap();
        let required = ["--images=i", "--output=o", "--preset", name.get_name()];
        let options = config(&required).unwrap();
        let table: Table = toml::from_str(preset.text()).unwrap();
        for (key, value) in table {
            assert_eq!(options.0[&key], value, "{key}");
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let all = [
        "--images=i",
        "--output=o",
        "--data=a \"b\", 1.50",
        "--name=1",
        "--scale=1.1",
    ];
    let written = config(&all).unwrap();
    let read = Config::parse(&written.to_string()).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.differences(&written, false), []);
    read.options().unwrap();

    let other = config(&[
        "--images=i",
        "--output=o",
        "--data=a \"b\", 1.50",
        "--seed=2",
    ])
    .unwrap();
    let differences = written.differences(&other, true);
    let lines: Vec<_> = differences.iter().map(Difference::to_string).collect();
    let expected = [
        "name was \"1\", now not given",
        "scale was 1.1, now 1.3",
        "seed was 1, now 2",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn other_places_and_missing_defaults_are_no_differences() {
    let was = config(&["--images=i", "--masks=m", "--output=o", "--steps=9"]).unwrap();
    let now = config(&["--images=j", "--output=p", "--steps=9"]).unwrap();
    assert_eq!(was.differences(&now, true), []);
    let differences = was.differences(&now, false);
    let keys: Vec<_> = differences.iter().map(|found| &found.key[..]).collect();
    assert_eq!(keys, ["images", "masks", "output"]);
    // As it would be from a version without this option.
    let without = |key: &str| {
        let mut earlier = was.clone();
        earlier.0.remove(key).unwrap();
        earlier.differences(&now, true).len()
    };
    for key in ["on-cells", "border-on-cells", "mirror"] {
        assert_eq!(without(key), 0, "{key}");
    }
    assert_eq!(without("steps"), 2, "steps, and the minutes without them");
}

#[test]
fn what_is_wrong_is_said_with_file_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    let refusal = |text: &str| {
        fs::write(&file, text).unwrap();
        let error = config(&["--config", file.to_str().unwrap()]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("run.toml"), "{error}");
        error
    };
    for (text, expected) in [
        (
            "tyle = 3",
            "there is no option tyle; there are preset, images",
        ),
        ("resume = true", "there is no option resume"),
        (
            "tile = 'big'",
            "tile = \"big\": it must be a number, 1 to 8192",
        ),
        (
            "dropout = 1.0",
            "dropout = 1.0: it must be 0.0 or more, and less than 1.0",
        ),
        (
            "width = 1.5",
            "width = 1.5: it must be a whole number, 1 to 1024",
        ),
        ("padded = 3", "padded = 3: it must be one of true, false"),
        ("optimizer = 'adam'", "it must be one of muon, adamw, sgd"),
        (
            "preset = 'best'",
            "it must be one of default, paper2015, freiburg2019",
        ),
        ("tile = [1, 2]", "it must be one value"),
        ("[tile]\nsize = 3", "it must be a plain value"),
        ("classes = ['a,b', 'c']", "without commas"),
        ("tile = ", "is no TOML file"),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = config(&["--config", "missing.toml"]).unwrap_err();
    assert!(error.to_string().contains("can't read missing.toml"));
}

#[test]
fn the_examples_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
    let mut count = 0;
    for file in files {
        config(&["--config", file.to_str().unwrap()]).unwrap();
        count += 1;
    }
    assert_eq!(count, 3);
}

/// Files of options with random faults are refused or read.
#[test]
fn files_with_faults_are_refused_or_read() {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    let good = include_bytes!("../../../examples/nuclei.toml");
    let mut random = StdRng::seed_from_u64(3);
    let mut refused = 0;
    for _ in 0..1000 {
        let mut text = good.to_vec();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..text.len());
            match random.random_range(0..3) {
                0 => text[at] = random.random(),
                1 => drop(text.drain(at..(at + 9).min(text.len()))),
                _ => text.splice(at..at, *b"-9e99[").for_each(drop),
            }
        }
        fs::write(&file, text).unwrap();
        refused += usize::from(config(&["--config", file.to_str().unwrap()]).is_err());
    }
    assert!((1..1000).contains(&refused), "{refused} were refused");
}
