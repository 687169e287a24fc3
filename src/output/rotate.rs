//! A file that is appended to, and put aside when it has grown large: `events.jsonl` becomes
//! `events.1.jsonl`, that one `events.2.jsonl`, and so on.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// See the module. It is put aside between whole hand-overs only ([`Write::flush`]), so no line is cut.
pub struct RotatingFile {
    path: PathBuf,
    /// `None` while the disk refuses a new file.
    file: Option<File>,
    size: u64,
    most: u64,
    keep: u32,
}

impl RotatingFile {
    /// Appends to `path`; a file of `most` bytes or more is put aside, `keep` of them stay.
    pub fn open(path: &Path, most: u64, keep: u32) -> io::Result<Self> {
        let mut rotating = Self {
            path: path.to_owned(),
            file: None,
            size: 0,
            most: most.max(1),
            keep,
        };
        rotating.reopen()?;
        Ok(rotating)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        self.size = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// The number stands before the ending, by which other programs know the kind of file.
    fn aside(&self, n: u32) -> PathBuf {
        match self.path.extension() {
            Some(ending) => {
                let mut new = OsString::from(n.to_string());
                new.push(".");
                new.push(ending);
                self.path.with_extension(new)
            }
            None => self.path.with_extension(n.to_string()),
        }
    }

    /// Bytes in the file so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the file aside, whatever its size, and begins a new one.
    pub fn put_aside(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            fs::remove_file(&self.path)?;
        } else {
            for n in (1..self.keep).rev() {
                match fs::rename(self.aside(n), self.aside(n + 1)) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
            fs::rename(&self.path, self.aside(1))?;
        }
        self.reopen()
    }
}

impl Write for RotatingFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write(data)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.size >= self.most {
            self.put_aside()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_put_aside_and_the_oldest_goes() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("events.jsonl");
        for line in 0..10 {
            // As after a restart: what is there is appended to.
            let mut file = RotatingFile::open(&path, 16, 2).unwrap();
            writeln!(file, "line {line}").unwrap();
            file.flush().unwrap();
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("events.jsonl"), "line 9\n");
        assert_eq!(read("events.1.jsonl"), "line 6\nline 7\nline 8\n");
        assert_eq!(read("events.2.jsonl"), "line 3\nline 4\nline 5\n");
        assert!(!dir.path().join("events.3.jsonl").exists());
    }
}
