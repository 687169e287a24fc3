//! Any bytes as a region pack: no panic, and what is accepted gives probabilities between 0 and 1.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsedge::region::pack::from_bytes;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bank) = from_bytes(bytes, "abc", 2) {
        let found = bank.classify([1.0_f32, 0.0].as_slice().into(), 0.0);
        assert!((0.0..=1.0).contains(&found.probability));
        assert!(found.top.iter().all(|c| (0.0..=1.0).contains(&c.probability)));
    }
});
