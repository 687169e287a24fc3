//! Any bytes as a file of areas: no panic, an error names the file, and what is accepted answers for every place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsedge::region::Areas;

fuzz_target!(|bytes: &[u8]| {
    match Areas::parse(bytes, "areas.geojson") {
        Err(error) => assert!(error.to_string().starts_with("areas.geojson")),
        Ok(areas) => {
            for place in [(0.0, 0.0), (48.1, 11.5), (90.0, 180.0), (-90.0, -180.0)] {
                let _ = areas.region_at(place);
            }
        }
    }
});
