//! Programs around the element: examples, and others that run in processes of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::skips::skip;
use super::{Files, init};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder that cargo builds into, which has the plugin.
pub fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// Runs a program in an environment in which it finds the plugin that was built, and ONNX Runtime.
pub fn run(files: &Files, command: &mut Command) -> Output {
    init();
    command
        .env("GST_PLUGIN_PATH", built())
        .env("GST_REGISTRY", files.path("registry.bin"))
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The standard output of a program, which must have succeeded.
pub fn stdout(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}: {error}\n{text}",
        output.status
    );
    text.into_owned()
}

/// Whether a command succeeds, which shows that `name` is installed; otherwise the test is [skipped](skip).
fn is_installed(name: &str, command: &mut Command, otherwise: &str) -> bool {
    let is_installed = command.output().is_ok_and(|output| output.status.success());
    if !is_installed {
        skip(name, otherwise);
    }
    is_installed
}

/// Python with GStreamer's bindings, if they are installed.
pub fn python() -> Option<Command> {
    let asked = "import gi, numpy; gi.require_version('Gst', '1.0'); from gi.repository import Gst";
    is_installed(
        "python",
        Command::new("/usr/bin/python3").args(["-c", asked]),
        "python3-gst-1.0 or python3-numpy is not installed",
    )
    .then(|| Command::new("/usr/bin/python3"))
}

/// Python that has Micro-Manager's core, too, if it is installed.
pub fn micro_manager() -> Option<Command> {
    let folder = root().join(".cache/micromanager");
    let mut command = python()?;
    command.env("PYTHONPATH", &folder);
    is_installed(
        "micromanager",
        Command::new("/usr/bin/python3")
            .args(["-c", "import gi, pymmcore_plus, mm_test_adapters"])
            .env("PYTHONPATH", &folder),
        "`make setup` could not fetch Micro-Manager's core",
    )
    .then_some(command)
}

/// A command that runs `program`, if Aravis and its camera are installed. With root's right to read raw packets, Aravis
/// misses those of a camera on the same machine.
pub fn aravis(program: &str) -> Option<Command> {
    let asked = "arv-fake-gv-camera-0.8 --help && setpriv --version && gst-inspect-1.0 aravissrc";
    is_installed(
        "aravis",
        Command::new("sh").args(["-c", asked]),
        "aravis-tools or setpriv is not installed",
    )
    .then(|| {
        // SAFETY: it reads a number and can't fail.
        let root = unsafe { libc::geteuid() } == 0;
        if !root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-net_raw", "--bounding-set=-net_raw", program]);
        command
    })
}
