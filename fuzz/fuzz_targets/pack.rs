//! Any bytes as a region pack and as its signature: no panic; what is accepted gives probabilities between
//! 0 and 1, and is the same pack after it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsedge::region::Pack;
use tsedge::region::pack::RowType;
use tsedge::region::sign::{Signatures, Trust};

const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pack) = Pack::parse(bytes) {
        let written = pack.to_bytes(RowType::F32).unwrap();
        assert_eq!(Pack::parse(&written).as_ref(), Ok(&pack));
        let bank = pack.bank("").unwrap();
        let found = bank.classify(pack.text.rows.row(0));
        assert!((0.0..=1.0).contains(&found.probability));
        assert!(found.top.iter().all(|c| (0.0..=1.0).contains(&c.probability)));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let trust = Trust::new(Signatures::Required, &[KEY.to_owned()]).unwrap();
        assert!(trust.check_text(Some(text), b"a pack nobody signed").is_err());
    }
});
