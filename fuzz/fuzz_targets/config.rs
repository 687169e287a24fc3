//! Any text as a configuration file: no panic, and an error says where it is. What is accepted resolves to a plan
//! within its limits or to an error, whatever the values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tsedge::config::{ConfigFile, Plan};
use tsedge::track::Lens;

fuzz_target!(|text: &str| {
    match ConfigFile::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(config) => {
            let _ = config.threads.check();
            for (name, camera) in config.cameras().unwrap_or_default() {
                if let Ok(view) = camera.viewpoint(name, Lens::default()) {
                    assert!(view.bearing_deg.abs() <= 180.0);
                }
            }
            if let Ok(plan) = Plan::resolve(&config) {
                assert!((1..=64).contains(&plan.threads));
                assert!(!plan.providers.order.is_empty());
                assert!(!plan.detect.views.is_empty());
                assert!(plan.detect.threshold <= plan.recognition.track.start_score);
            }
        }
    }
});
