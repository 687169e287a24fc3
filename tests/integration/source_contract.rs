//! What every frame source promises, once for all: one line an implementation.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tsedge::frame::Frame;
use tsedge::source::{FrameSource, Next, OpenOptions, open};

use crate::source_clips::{encode, fixture, fixture_bytes, fragmented, play};

/// A source that can be opened again and again.
struct Subject {
    path: PathBuf,
    options: OpenOptions,
    _files: Option<TempDir>,
}

impl Subject {
    fn of(path: PathBuf) -> Self {
        Self {
            path,
            options: OpenOptions::default(),
            _files: None,
        }
    }

    fn with_files(make: impl FnOnce(&Path) -> (PathBuf, OpenOptions)) -> Self {
        let files = tempfile::tempdir().unwrap();
        let (path, options) = make(files.path());
        Self {
            path,
            options,
            _files: Some(files),
        }
    }

    fn open(&self) -> Box<dyn FrameSource> {
        open(&self.path, &self.options).unwrap()
    }
}

fn fragments() -> Subject {
    Subject::with_files(|folder| {
        let path = folder.join("clip.mp4");
        std::fs::write(&path, fragmented(&encode(12, 4), 5)).unwrap();
        (path, OpenOptions::default())
    })
}

fn images() -> Subject {
    Subject::with_files(|folder| {
        for n in 0..11u8 {
            let picture = image::RgbImage::from_pixel(16, 9, image::Rgb([n * 20, 0, 255 - n]));
            let ending = if n % 2 == 0 { "png" } else { "JPG" };
            picture.save(folder.join(format!("{n}.{ending}"))).unwrap();
        }
        std::fs::write(folder.join("notes.txt"), "no image").unwrap();
        (folder.to_owned(), OpenOptions::default())
    })
}

fn without_index() -> Subject {
    Subject::with_files(|folder| {
        let whole = fixture_bytes("high_b_frames.mp4");
        let index = whole.windows(4).position(|w| w == b"moov").unwrap() - 4;
        let path = folder.join("cut.mp4");
        std::fs::write(&path, &whole[..index]).unwrap();
        let options = OpenOptions {
            like: Some(fixture("high_b_frames.mp4")),
            ..OpenOptions::default()
        };
        (path, options)
    })
}

fn ends_once_and_stays_ended(subject: &Subject) {
    // `play` holds a source to indices from 0, times that never go back and an end that lasts.
    assert!(!play(subject.open().as_mut()).frames.is_empty());
}

fn opening_again_gives_the_same(subject: &Subject) {
    let (first, second) = (play(subject.open().as_mut()), play(subject.open().as_mut()));
    assert_eq!(first.frames.len(), second.frames.len());
    for (a, b) in first.frames.iter().zip(&second.frames) {
        assert_eq!((a.time, a.colour, a.data()), (b.time, b.colour, b.data()));
    }
    assert_eq!(first.damage.notes, second.damage.notes);
}

fn a_used_frame_gives_the_same_as_a_new_one(subject: &Subject) {
    let mut source = subject.open();
    let mut used = Frame::default();
    used.reset(tsedge::frame::PixelFormat::Rgb8, 333, 7)
        .fill(77);
    for expected in play(subject.open().as_mut()).frames {
        assert_eq!(source.next_frame(&mut used).unwrap(), Next::Frame);
        assert_eq!(used.data(), expected.data());
        assert_eq!(
            (used.width_px(), used.format()),
            (expected.width_px(), expected.format())
        );
    }
}

fn the_size_told_is_the_size_given(subject: &Subject) {
    let mut source = subject.open();
    let told = (source.info().width_px, source.info().height_px);
    for frame in play(source.as_mut()).frames {
        assert_eq!((frame.width_px(), frame.height_px()), told);
    }
}

macro_rules! contract {
    ($($name:ident: $subject:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn ends_once_and_stays_ended() {
                super::ends_once_and_stays_ended(&$subject);
            }

            #[test]
            fn opening_again_gives_the_same() {
                super::opening_again_gives_the_same(&$subject);
            }

            #[test]
            fn a_used_frame_gives_the_same_as_a_new_one() {
                super::a_used_frame_gives_the_same_as_a_new_one(&$subject);
            }

            #[test]
            fn the_size_told_is_the_size_given() {
                super::the_size_told_is_the_size_given(&$subject);
            }
        }
    )*};
}

contract! {
    mp4: Subject::of(fixture("high_b_frames.mp4"));
    mp4_rotated: Subject::of(fixture("rotated.mp4"));
    mp4_fragmented: fragments();
    mp4_without_index: without_index();
    mov_mjpeg: Subject::of(fixture("mjpeg.mov"));
    avi: Subject::of(fixture("mjpeg.avi"));
    folder: images();
}

#[test]
fn a_folder_is_read_in_natural_order_and_at_its_rate() {
    let played = play(images().open().as_mut());
    let blues: Vec<u8> = played.frames.iter().map(|f| f.data()[2]).collect();
    for (n, (frame, blue)) in played.frames.iter().zip(blues).enumerate() {
        assert!((frame.time.seconds() - n as f64 / 10.0).abs() < 1e-9);
        assert!(
            blue.abs_diff(255 - n as u8) <= 2,
            "image {n} is in its place"
        );
    }
}

#[test]
fn an_unreadable_image_is_lost_and_keeps_its_time() {
    let subject = images();
    std::fs::write(subject.path.join("4.png"), b"not an image").unwrap();
    let mut source = subject.open();
    let played = play(source.as_mut());
    assert_eq!((played.frames.len(), played.damage.lost_frames), (10, 1));
    assert!(
        played.damage.notes[0].contains("4.png"),
        "{:?}",
        played.damage
    );
    assert!((played.frames[4].time.seconds() - 0.5).abs() < 1e-9);
}

#[test]
fn an_empty_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(folder.path(), &OpenOptions::default()).err().unwrap();
    assert!(error.to_string().contains("no .jpg"), "{error}");
}
