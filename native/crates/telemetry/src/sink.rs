//! Where access-log batches end up: a file opened for appending, or standard output.
//!
//! A batch is one `write` in the common case. If a write stops half way through a line (disk full, closed pipe), the next
//! one starts on a fresh line, so that one torn record does not spoil the one after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output of the process.
    Stdout,
    /// A file, created if missing and always appended to.
    File(PathBuf),
}

/// An open sink.
#[derive(Debug)]
pub(crate) struct Output {
    sink: Sink,
    target: Target,
    torn: bool,
}

#[derive(Debug)]
enum Target {
    Stdout(io::Stdout),
    File(File),
}

impl Output {
    pub(crate) fn open(sink: Sink) -> Result<Self, Error> {
        Ok(Self { target: Target::open(&sink)?, sink, torn: false })
    }

    /// Opens the path again, after log rotation moved the file away. On failure the old file stays in use.
    pub(crate) fn reopen(&mut self) -> Result<(), Error> {
        self.target = Target::open(&self.sink)?;
        self.torn = false;
        Ok(())
    }

    /// Writes whole lines; on an error returns how many of the bytes were written before it.
    pub(crate) fn write(&mut self, lines: &[u8]) -> Result<(), usize> {
        if self.torn {
            self.target.write_some(b"\n").map_err(|_| 0_usize)?;
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            let Ok(count) = self.target.write_some(&lines[written..]) else {
                self.torn = written > 0 && lines[written - 1] != b'\n';
                return Err(written);
            };
            written += count;
        }
        Ok(())
    }
}

impl Target {
    fn open(sink: &Sink) -> Result<Self, Error> {
        match sink {
            Sink::Stdout => Ok(Self::Stdout(io::stdout())),
            Sink::File(path) => append(path).map(Self::File),
        }
    }

    /// At least one byte, or an error; interruptions by signals are repeated.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let outcome = match self {
                Self::Stdout(out) => out.write_all(bytes).and_then(|()| out.flush()).map(|()| bytes.len()),
                Self::File(file) => file.write(bytes),
            };
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

fn append(path: &Path) -> Result<File, Error> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| Error::Open { path: path.to_owned(), source })
}
