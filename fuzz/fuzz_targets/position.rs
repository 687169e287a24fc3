//! Any bytes from a receiver, as NMEA 0183 or from gpsd: no panic, every fix lies on the globe, and however the bytes
//! are cut the same is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsedge::position::{Reading, gpsd, nmea};

fn check(reading: &Reading) {
    if let Reading::Fix(fix) = reading {
        assert!(fix.latitude_deg.abs() <= 90.0 && fix.longitude_deg.abs() <= 180.0);
        let numbers = [fix.speed_mps, fix.heading_deg, fix.accuracy_m];
        assert!(numbers.into_iter().flatten().all(|v| v.is_finite() && v >= 0.0));
    }
}

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    nmea::Decoder::default().push(bytes, |m| whole.push(m));
    let mut decoder = nmea::Decoder::default();
    decoder.push(first, |m| parts.push(m));
    decoder.push(second, |m| parts.push(m));
    assert_eq!(whole, parts);
    whole.iter().for_each(|m| check(&m.reading));

    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    gpsd::Decoder::default().push(bytes, |r| whole.push(r));
    let mut decoder = gpsd::Decoder::default();
    decoder.push(first, |r| parts.push(r));
    decoder.push(second, |r| parts.push(r));
    assert_eq!(whole, parts);
    whole.iter().for_each(check);
});
