//! The cameras of this machine: what they offer, for people who write a configuration.

use std::io;
use std::path::PathBuf;

use linuxvideo::format::FrameSizes;
use linuxvideo::{BufType, Device};

/// One camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInfo {
    /// The device's path.
    pub device: PathBuf,
    /// As its driver calls it.
    pub name: String,
    /// Each format with the sizes it comes in.
    pub formats: Vec<(String, Vec<String>)>,
    /// Controls as `name minimum..maximum (default)`.
    pub controls: Vec<String>,
}

/// All that can be opened and captured from, by path.
pub fn cameras() -> io::Result<Vec<CameraInfo>> {
    let mut found: Vec<CameraInfo> = linuxvideo::list()?
        .filter_map(Result::ok)
        .filter_map(|device| describe(&device))
        .collect();
    found.sort_by(|a, b| a.device.cmp(&b.device));
    Ok(found)
}

fn describe(device: &Device) -> Option<CameraInfo> {
    let formats: Vec<_> = device
        .formats(BufType::VIDEO_CAPTURE)
        .filter_map(Result::ok)
        .map(|format| {
            let letters = format.pixel_format().as_fourcc();
            let sizes = device.frame_sizes(format.pixel_format());
            (
                String::from_utf8_lossy(&letters).into_owned(),
                sizes.map(sizes_in_words).unwrap_or_default(),
            )
        })
        .collect();
    if formats.is_empty() {
        return None;
    }
    let controls = device
        .controls()
        .filter_map(Result::ok)
        .map(|c| {
            let key = control_key(c.name());
            let (least, most, usual) = (c.minimum(), c.maximum(), c.default_value());
            format!("{key} {least}..{most} ({usual})")
        })
        .collect();
    Some(CameraInfo {
        device: device.path().ok()?,
        name: device.capabilities().ok()?.card().to_owned(),
        formats,
        controls,
    })
}

fn sizes_in_words(sizes: FrameSizes) -> Vec<String> {
    match sizes {
        FrameSizes::Discrete(sizes) => sizes
            .iter()
            .map(|size| format!("{}x{}", size.width(), size.height()))
            .collect(),
        FrameSizes::Stepwise(s) | FrameSizes::Continuous(s) => vec![format!(
            "{}x{} to {}x{}",
            s.min_width(),
            s.min_height(),
            s.max_width(),
            s.max_height()
        )],
    }
}

/// `Exposure Time, Absolute` is `exposure_time_absolute`, as `v4l2-ctl` has it.
pub(super) fn control_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            key.push(c.to_ascii_lowercase());
        } else if !key.is_empty() && !key.ends_with('_') {
            key.push('_');
        }
    }
    key.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_named_as_v4l2_ctl_names_them() {
        for (name, key) in [
            ("Exposure Time, Absolute", "exposure_time_absolute"),
            ("Power Line Frequency", "power_line_frequency"),
            ("Gain (dB)", "gain_db"),
        ] {
            assert_eq!(control_key(name), key);
        }
    }
}
