//! Collecting while driving. The recognition thread cuts the crop; everything else is done here.
//!
//! | thread | reads | writes | waits for |
//! |---|---|---|---|
//! | `ts-collect` | its queue | the folder | the next crop |

use std::sync::Arc;

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::shared::Shared;
use crate::event::FrameView;
use crate::frame::Frame;
use crate::report::collect::{CollectPlan, CropFolder, Doubtful, Doubts};

/// Crops that wait for a slow disk; later ones are not kept.
const QUEUE: usize = 16;

/// The recognition thread's end.
pub struct Collecting {
    doubts: Doubts,
    queue: Sender<Doubtful>,
}

impl Collecting {
    /// Starts the thread. A folder that cannot be written is told as a fault, and tried again with each
    /// crop.
    pub fn start(plan: CollectPlan, context: f32, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (queue, crops) = bounded(QUEUE);
        std::thread::Builder::new()
            .name("ts-collect".to_owned())
            .spawn(move || write(&plan, &crops, &shared))?;
        let doubts = Doubts::new(context);
        Ok(Self { doubts, queue })
    }

    /// Takes a frame; never waits.
    pub fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) {
        let queue = &self.queue;
        let kept = self.doubts.frame(frame, view, |crop| {
            if queue.try_send(crop).is_err() {
                log::warn!("a crop was not kept: the folder is too slow");
            }
            Ok(())
        });
        debug_assert!(kept.is_ok(), "the closure never fails");
    }
}

fn write(plan: &CollectPlan, crops: &Receiver<Doubtful>, shared: &Shared) {
    let mut open = None;
    for crop in crops {
        let written = add(plan, &mut open, &crop).context("collect");
        if written.is_err() {
            // What is there may have changed: it is read anew.
            open = None;
        }
        shared.collecting(written.err().map(|e| format!("{e:#}")));
    }
}

fn add(plan: &CollectPlan, open: &mut Option<CropFolder>, crop: &Doubtful) -> anyhow::Result<()> {
    let folder = match open {
        Some(folder) => folder,
        None => open.insert(CropFolder::open(plan.clone())?),
    };
    folder.add(crop)?;
    // A unit is switched off without a word.
    folder.write_lists()
}
