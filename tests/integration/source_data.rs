//! Real dashcam recordings under `$TSEDGE_DATA`.

use std::path::PathBuf;

use tsedge::source::{OpenOptions, open};

use crate::source_clips::play;
use crate::support::data;

fn recording(name: &str) -> PathBuf {
    data().join("video").join(name)
}

#[test]
#[ignore = "on recordings: make test-data"]
fn data_recordings_give_the_frames_ffprobe_counts() {
    let cases = [
        ("eu_hu_sh7.mp4", 49, 1.6),
        ("eu_hu_sh11.mp4", 82, 2.7),
        ("us_speedlimit_1440p.mp4", 95, 3.133333),
        ("us_highway_nosigns_udacity.mp4", 221, 8.8),
    ];
    for (name, frames, last_s) in cases {
        let played = play(
            open(&recording(name), &OpenOptions::default())
                .unwrap()
                .as_mut(),
        );
        assert_eq!(played.frames.len(), frames, "{name}");
        assert!(played.damage.is_none(), "{name}: {:?}", played.damage);
        let last = played.frames[frames - 1].time.seconds();
        assert!((last - last_s).abs() < 1e-4, "{name}: {last}");
    }
}
