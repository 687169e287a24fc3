//! The HTML report of a replay: one file that needs no network and no script.
//!
//! It shows scenes of the drive, so it is made only when the user asks for it. Memory is bounded
//! whatever the length of the drive: pictures are small and counted, long tracks are thinned.

mod collect;
mod journal;
mod latency;
mod map;
pub(crate) mod markup;
mod page;
mod swaps;
mod timeline;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::FrameSink;
use crate::event::{FrameView, StageTime, Summary};
use crate::frame::Frame;
use collect::Collector;

/// A file that the replay was made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Ingredient {
    /// What it is for, e.g. `detector` or `pack DE`.
    pub role: String,
    /// Its name, with the version where it has one.
    pub name: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// What the report's head says.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportInfo {
    /// The video or folder that was replayed; a name, not a path.
    pub source: String,
    /// Where the region came from, e.g. `region DE, as given` or `GPX track drive.gpx`.
    pub position_source: String,
    /// Models and packs.
    pub ingredients: Vec<Ingredient>,
}

/// How long a stage took in each frame that used it.
#[derive(Debug, Clone, Copy)]
pub struct StageSamples<'a> {
    /// Stage name, as in [`StageTime`].
    pub stage: &'a str,
    /// One figure a frame, in milliseconds, in any order.
    pub ms: &'a [f32],
}

/// Collects a replay and writes it as one HTML file.
pub struct HtmlReport {
    path: PathBuf,
    info: ReportInfo,
    collector: Collector,
    /// The half-made file beside `path`; taken away when the report is not finished.
    part: PartFile,
}

impl HtmlReport {
    /// Opens the file now, so that a path that cannot be written is known before the drive is read.
    pub fn create(path: &Path, info: ReportInfo) -> anyhow::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            info,
            collector: Collector::default(),
            part: PartFile::create(path)?,
        })
    }

    /// Writes the report; the file appears whole or not at all.
    pub fn finish(
        self,
        summary: &Summary,
        stages: &[StageTime],
        samples: &[StageSamples<'_>],
        wall_time: Duration,
    ) -> anyhow::Result<()> {
        let journal = self.collector.into_journal(summary.time);
        let page = page::Page {
            info: &self.info,
            journal: &journal,
            summary,
            stages,
            samples,
            wall_time,
        };
        self.part.fill(&self.path, |file| page.write(file))
    }
}

impl FrameSink for HtmlReport {
    fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        self.collector.frame(frame, view)
    }
}

struct PartFile {
    path: PathBuf,
    file: Option<File>,
}

impl PartFile {
    fn create(target: &Path) -> anyhow::Result<Self> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        anyhow::ensure!(
            !name.is_empty() && !target.is_dir(),
            "report {}: give the name of a file",
            target.display()
        );
        name.push(".part");
        let path = target.with_file_name(name);
        let file = File::create(&path)
            .with_context(|| format!("report {}: cannot be written", path.display()))?;
        Ok(Self {
            path,
            file: Some(file),
        })
    }

    fn fill(
        mut self,
        target: &Path,
        write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let failed = || format!("report {}: cannot be written", target.display());
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mut buffered = BufWriter::new(file);
        let written = write(&mut buffered)
            .and_then(|()| buffered.flush())
            .and_then(|()| buffered.get_ref().sync_all())
            .and_then(|()| std::fs::rename(&self.path, target));
        if written.is_err() {
            let _ = std::fs::remove_file(&self.path);
        }
        written.with_context(failed)
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // Still there only when the report was given up before it was filled.
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
