//! The console shows aligned rows for a person, and the closing figures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tsedge::event::{Event, StageTime, Summary};
use tsedge::output::Output;
use tsedge::output::table::Table;
use tsedge::report::summary_text;
use tsedge::units::Timestamp;

use crate::output_events::one_of_each;

fn rows(colour: bool) -> Vec<String> {
    let rows = Arc::new(Mutex::new(Vec::new()));
    let sink = rows.clone();
    let mut table = Table::new(
        colour,
        Box::new(move |row| {
            sink.lock().unwrap().push(row.to_owned());
            Ok(())
        }),
    );
    for event in one_of_each() {
        table.emit(&event).unwrap();
    }
    table.finish().unwrap();
    rows.lock().unwrap().clone()
}

#[test]
fn rows_are_aligned_and_plain() {
    assert_eq!(
        rows(false),
        [
            "    time  sign                                    code        prob.  region",
            "  0:00.0  > region FR, pack WORLD                                    FR",
            "  0:00.5  > region FR to DE                                          DE",
            "  0:01.2  Speed limit 60                          274-60      0.981  DE",
            "  0:02.0  = speed limit 60 km/h                               0.980  DE",
            "  0:02.0  = speed limit ended by a sign                       0.980  DE",
            "  0:02.0  = speed limit expired: new region                   0.980  DE",
            "  0:03.0  ! degraded: no_position, pack_refused: DE.safetensors: truncated",
            "  0:03.1  ! normal",
        ]
    );
}

#[test]
fn colour_is_added_only_when_asked_for() {
    let coloured = rows(true);
    assert!(coloured[2].starts_with("\x1b[36m") && coloured[2].ends_with("\x1b[0m"));
    assert!(rows(false).iter().all(|row| !row.contains('\x1b')));
}

#[test]
fn the_closing_text_tells_counts_speed_and_where_the_time_went() {
    let Some(Event::Summary(summary)) = one_of_each().pop() else {
        panic!("the last event is the summary");
    };
    let stages = [StageTime {
        stage: "detect",
        p50_ms: 11.234,
        p99_ms: 20.5,
        max_ms: 31.0,
    }];
    let media = Duration::from_millis(3500);
    let text = summary_text(&summary, &stages, media, Duration::from_millis(1750));
    assert_eq!(
        text,
        "1 sign, 1 unknown sign, 1 region swap\n\
         105 frames read, none lost; 1.8 s, 60.0 frames/s, 2.00 x real time\n\
         ms a frame         p50       p99       max\n\
         detect           11.23     20.50     31.00\n"
    );
    let lost = Summary {
        lost_frames: 3,
        time: Timestamp::ZERO,
        ..summary
    };
    let text = summary_text(&lost, &[], media, Duration::ZERO);
    assert!(text.contains("3 LOST to damage"), "{text}");
}
