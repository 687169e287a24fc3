//! Promise: after warm-up the recognition thread allocates nothing on the Rust heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tsedge::detect::Detector;
use tsedge::frame::Frame;
use tsedge::pipeline::{Pipeline, Recognition};
use tsedge::recognise::Encoder;
use tsedge::region::PackStore;
use tsedge::source::{self, Next, OpenOptions};

use crate::support::{drive, plan, runtime};

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize) {
    // A thread that is going away has nothing left to count.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    let _ = BYTES.try_with(|n| n.set(n.get() + bytes as u64));
}

/// Bytes this thread has asked for so far, given back or not.
pub fn bytes_asked_for() -> u64 {
    BYTES.get()
}

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn recognition_allocates_nothing_after_warm_up() {
    let (runtime, plan) = (runtime(), plan("DE"));
    let drive = drive("test_de_fr");
    let mut source = source::open(&drive.video, &OpenOptions::default()).unwrap();
    let frame_px = (source.info().width_px, source.info().height_px);
    let encoder = Encoder::load(&runtime, &plan.encoder, &plan.providers, 1).unwrap();
    let sha256 = &plan.encoder.spec.sha256;
    let bank = PackStore::new(&plan.packs, sha256, encoder.dim())
        .best(plan.region)
        .unwrap();
    let detector = Detector::load(
        &runtime,
        &plan.detector,
        &plan.providers,
        1,
        &plan.detect,
        frame_px,
    )
    .unwrap();
    let mut pipeline = Pipeline::new(detector, Recognition::new(plan.recognition, encoder, bank));

    // The drive is played twice: the first time through everything has its size.
    let mut frames: Vec<Frame> = Vec::new();
    loop {
        let mut frame = Frame::default();
        if source.next_frame(&mut frame).unwrap() == Next::End {
            break;
        }
        frames.push(frame);
    }
    let mut events = 0;
    let mut counted = Vec::new();
    for pass in 0..2 {
        for (n, frame) in frames.iter_mut().enumerate() {
            frame.index = (pass * 1000 + n) as u64;
            frame.time = tsedge::units::Timestamp::from_ticks((pass * 1000 + n) as i64, 10);
            let before = ALLOCATIONS.get();
            pipeline.recognition().begin();
            let found = pipeline.process(frame).unwrap().len();
            let during = ALLOCATIONS.get() - before;
            if pass == 1 {
                events += found;
                if during > 0 {
                    counted.push((n, during));
                }
            }
        }
    }
    assert!(events > 0, "a drive without events proves nothing");
    assert!(counted.is_empty(), "(frame, allocations): {counted:?}");
}
