//! Opening files that others have made, of which some could block a program or do harm.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Why a file is not opened.
#[derive(Debug)]
pub enum OpenError {
    Io(io::Error),
    /// It is this instead of a regular file.
    NotAFile(&'static str),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        OpenError::Io(error)
    }
}

/// Opens a regular file, and nothing else: opening a pipe waits for a program to write into it, and opening a device
/// may do anything. The type of the file is checked before it is opened and, as it may have been replaced, after.
pub fn open(path: &Path, follow_links: bool) -> Result<(File, Metadata), OpenError> {
    let before = if follow_links {
        path.metadata()
    } else {
        path.symlink_metadata()
    };
    check(&before?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let link = if follow_links { 0 } else { libc::O_NOFOLLOW };
        options.custom_flags(libc::O_NONBLOCK | link);
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    check(&metadata)?;
    Ok((file, metadata))
}

fn check(metadata: &Metadata) -> Result<(), OpenError> {
    Err(OpenError::NotAFile(match metadata {
        _ if metadata.is_file() => return Ok(()),
        _ if metadata.is_dir() => "a directory",
        _ if metadata.is_symlink() => "a link",
        _ => "a pipe, socket or device",
    }))
}
