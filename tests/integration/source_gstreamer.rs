//! Promise: what comes out of a GStreamer pipeline is read as it is, and a pipeline that fails is named.
//!
//! The elements are of software, in pipelines of the shape that boards have.

#[cfg(feature = "gstreamer")]
mod with {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use tsedge::clock::{Clock, Monotonic};
    use tsedge::frame::resample::{Chroma, Resampler, Target};
    use tsedge::frame::{Frame, PixelFormat};
    use tsedge::source::camera::{Camera, Shot};
    use tsedge::source::camera_plan::CameraPlan;
    use tsedge::source::gst::GstPlan;
    use tsedge::source::{OpenOptions, SourceError, open};
    use tsedge::units::BoxPx;

    use crate::source_clips::{Played, fixture, play};
    use crate::support::{drive, tsedge_ok};

    fn played(path: &Path) -> Played {
        let mut source = open(path, &OpenOptions::default()).unwrap();
        let px = (source.info().width_px, source.info().height_px);
        let played = play(source.as_mut());
        assert!(played.damage.is_none(), "{:?}", played.damage);
        assert!(
            (played.frames.iter()).all(|f| (f.width_px(), f.height_px()) == px),
            "the size was told"
        );
        played
    }

    fn pipeline(text: &str) -> Played {
        played(Path::new(&format!("gst:{text}")))
    }

    /// The whole picture as RGB at its own size.
    fn rgb(frame: &Frame) -> Vec<u8> {
        let (width, height) = (frame.width_px() as usize, frame.height_px() as usize);
        let mut data = vec![0; width * height * 3];
        let whole = BoxPx::new(0.0, 0.0, width as f32, height as f32);
        let mut target = Target {
            data: &mut data,
            width_px: width,
            height_px: height,
            row_stride: width,
            plane_stride: width * height,
            chroma: Chroma::Half,
        };
        Resampler::default().rgb(frame, whole, &mut target);
        data
    }

    #[test]
    fn a_decoder_of_gstreamer_gives_the_pictures_and_times_of_our_own() {
        let file = fixture("main_faststart.mp4");
        let own = played(&file);
        let theirs = pipeline(&format!(
            "filesrc location={} ! qtdemux ! h264parse ! avdec_h264",
            file.display()
        ));
        assert_eq!(own.frames.len(), theirs.frames.len());
        for (a, b) in own.frames.iter().zip(&theirs.frames) {
            assert_eq!((a.format(), a.colour), (b.format(), b.colour));
            assert!(a.data() == b.data(), "frame {}", a.index);
            assert!((a.time.seconds() - b.time.seconds()).abs() < 1e-3);
        }
    }

    #[test]
    fn an_hevc_file_is_read_on_the_desk() {
        let file = fixture("hevc.mp4");
        let whole = played(&file);
        assert!(whole.frames.len() > 5);
        let as_on_a_board = pipeline(&format!(
            "filesrc location={} ! qtdemux ! h265parse ! avdec_h265 ! videoconvert ! video/x-raw,format=NV12",
            file.display()
        ));
        assert_eq!(whole.frames.len(), as_on_a_board.frames.len());
        for (a, b) in whole.frames.iter().zip(&as_on_a_board.frames) {
            assert_eq!(b.format(), PixelFormat::Nv12);
            assert!(rgb(a) == rgb(b), "frame {}", a.index);
        }
    }

    #[test]
    fn pictures_with_and_without_padding_are_the_same_in_every_format() {
        // 320 pixels lie without padding, 322 do not.
        for (width, height) in [(320, 180), (322, 182)] {
            let of = |format: &str| {
                pipeline(&format!(
                    "videotestsrc num-buffers=2 pattern=smpte75 ! video/x-raw,format={format},width={width},height={height}"
                ))
            };
            let planar = of("I420");
            assert_eq!(planar.frames.len(), 2);
            let want = rgb(&planar.frames[1]);
            let pairs = of("NV12");
            assert_eq!(pairs.frames[1].format(), PixelFormat::Nv12);
            assert!(rgb(&pairs.frames[1]) == want, "NV12 at {width}");
            for (format, kind) in [
                ("YUY2", PixelFormat::Yuyv),
                ("UYVY", PixelFormat::Uyvy),
                ("RGB", PixelFormat::Rgb8),
                ("GRAY8", PixelFormat::Grey8),
            ] {
                let found = of(format);
                let frame = &found.frames[1];
                assert_eq!(frame.format(), kind);
                // Brightness in the middle of the first bar, which is white at three quarters.
                let luma = frame.luma();
                let at = |x: usize, y: usize| {
                    luma.data[y * luma.row_bytes + x * luma.step + luma.offset]
                };
                let (first, last) = (at(10, 2), at(width - 10, 2));
                assert!(first > 160 && last < 60, "{format}: {first} and {last}");
            }
        }
    }

    #[test]
    fn a_drive_decoded_by_gstreamer_gives_the_same_events() {
        let video = drive("test_de_fr").video;
        let folder = tempfile::tempdir().unwrap();
        let events = |source: &str, name: &str| {
            let file = folder.path().join(name);
            let args = [
                "replay",
                source,
                "--region",
                "DE",
                "--quiet",
                "--jsonl",
                file.to_str().unwrap(),
            ];
            tsedge_ok(args);
            std::fs::read_to_string(file).unwrap()
        };
        let video = video.to_str().unwrap();
        let own = events(video, "own.jsonl");
        let source = format!("gst:filesrc location={video} ! qtdemux ! h264parse ! avdec_h264");
        let theirs = events(&source, "theirs.jsonl");
        assert!(own.contains("sign_confirmed"));
        assert_eq!(own, theirs);
    }

    fn camera(text: &str) -> Box<dyn Camera> {
        let plan = GstPlan::new(text, (64, 64)).unwrap();
        CameraPlan::Gst(plan).open(Arc::new(Monotonic)).unwrap()
    }

    #[test]
    fn a_live_pipeline_is_a_camera() {
        let mut camera = camera(
            "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert ! video/x-raw,format=NV12",
        );
        assert_eq!(camera.frame_px(), (320, 240));
        let mut frame = Frame::default();
        let mut times = Vec::new();
        while times.len() < 10 {
            match camera.shoot(&mut frame, Duration::from_secs(1)) {
                Shot::Frame => {
                    let age_s = Monotonic.now().seconds_since(frame.time);
                    assert!((0.0..5.0).contains(&age_s), "{age_s}");
                    assert_eq!(frame.index, times.len() as u64);
                    times.push(frame.time.seconds());
                }
                Shot::Late => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(times.is_sorted());
        let mean_s = (times[9] - times[0]) / 9.0;
        assert!(
            (mean_s - 1.0 / 30.0).abs() < 0.005,
            "stamped when taken: {times:?}"
        );
    }

    #[test]
    fn a_pipeline_that_ends_is_lost_and_starts_anew() {
        let mut camera = camera(
            "videotestsrc is-live=true num-buffers=4 ! video/x-raw,format=NV12,width=320,height=240",
        );
        let mut frame = Frame::default();
        let (mut frames, mut lost) = (0, 0);
        let patience = Duration::from_millis(100);
        for _ in 0..600 {
            match camera.shoot(&mut frame, patience) {
                Shot::Frame => frames += 1,
                Shot::Lost(words) => {
                    assert!(words.contains("the pipeline has ended"), "{words}");
                    lost += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                _ => {}
            }
            if frames >= 8 {
                break;
            }
        }
        assert!(
            frames >= 8 && lost > 0,
            "{frames} frames, lost {lost} times"
        );
    }

    #[test]
    fn what_is_wrong_with_a_pipeline_is_named() {
        for (text, words) in [
            ("", "empty"),
            ("nvarguscamerasrc ! nvvidconv", "nvarguscamerasrc"),
            ("videotestsrc ! appsink", "the sink is added by tsedge"),
            ("videotestsrc ! ! videoconvert", "syntax error"),
        ] {
            let error = GstPlan::new(text, (64, 64)).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        for (text, words) in [
            (
                "gst:filesrc location=no-such-file ! decodebin",
                "no-such-file",
            ),
            // What lies in other memory than the machine's own.
            (
                "gst:videotestsrc ! video/x-raw(memory:NVMM)",
                "videotestsrc",
            ),
        ] {
            let Err(error) = open(Path::new(text), &OpenOptions::default()) else {
                panic!("{text}: opened");
            };
            assert!(matches!(error, SourceError::Unsupported { .. }));
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
        let Err(error) = open(Path::new("Cargo.toml"), &OpenOptions::default()) else {
            panic!("opened");
        };
        assert!(
            error
                .to_string()
                .contains("GStreamer cannot read it either"),
            "{error}"
        );
    }
}

#[cfg(not(feature = "gstreamer"))]
mod without {
    use crate::support::{failed_run, tsedge};

    #[test]
    fn a_pipeline_names_the_feature_that_is_missing() {
        let output = tsedge(["replay", "gst:videotestsrc"]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(
            errors.contains("build with `--features gstreamer`"),
            "{errors}"
        );
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tsedge.toml");
        std::fs::write(&config, "[camera]\npipeline = \"videotestsrc\"\n").unwrap();
        let errors = failed_run(&["--config", config.to_str().unwrap()]);
        assert!(
            errors.contains("[camera]: pipeline `videotestsrc`: this build has no GStreamer"),
            "{errors}"
        );
    }
}
