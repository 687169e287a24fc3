//! How warm and fast the machine is now, and how much memory this process holds.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::field;

/// Temperatures and clocks at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MachineState {
    /// The hottest zone's name and its temperature in degrees Celsius.
    pub hottest: Option<(String, f64)>,
    /// Mean clock of the cores, in MHz.
    pub clock_mhz: Option<f64>,
    /// The fastest clock that a core can have, in MHz.
    pub clock_most_mhz: Option<f64>,
    /// The policy that sets the clocks, e.g. `ondemand`.
    pub governor: Option<String>,
}

impl MachineState {
    /// Now.
    pub fn now() -> Self {
        Self::under(Path::new("/"))
    }

    /// As the files under `root` say.
    pub fn under(root: &Path) -> Self {
        let number =
            |path: PathBuf| -> Option<f64> { read_to_string(path).ok()?.trim().parse().ok() };
        let zones = folders(&root.join("sys/class/thermal"), "thermal_zone");
        let hottest = (zones.into_iter())
            .filter_map(|zone| {
                let name = read_to_string(zone.join("type")).ok()?;
                // Zones that are off say 0 or less.
                let celsius = number(zone.join("temp"))? / 1e3;
                (celsius > 0.0).then(|| (name.trim().to_owned(), celsius))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let cores = folders(&root.join("sys/devices/system/cpu"), "cpu");
        let of_cores = |file: &str| -> Vec<f64> {
            let read = |core: &PathBuf| number(core.join("cpufreq").join(file));
            cores.iter().filter_map(read).map(|khz| khz / 1e3).collect()
        };
        let clock_mhz = mean(&of_cores("scaling_cur_freq")).or_else(|| {
            // Virtual machines have no `cpufreq`.
            let text = read_to_string(root.join("proc/cpuinfo")).ok()?;
            let lines = text.lines().filter(|line| line.starts_with("cpu MHz"));
            let values = lines.filter_map(|line| line.split_once(':')?.1.trim().parse().ok());
            mean(&values.collect::<Vec<f64>>())
        });
        let governor = (cores.first())
            .and_then(|core| read_to_string(core.join("cpufreq/scaling_governor")).ok());
        Self {
            hottest,
            clock_mhz,
            clock_most_mhz: of_cores("cpuinfo_max_freq").into_iter().reduce(f64::max),
            governor: governor.map(|text| text.trim().to_owned()),
        }
    }
}

/// Folders in `parent` named `prefix` and a number, in order.
fn folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = (read_dir(parent).into_iter().flatten().flatten())
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, path)| path).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Memory of this process, in MiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Resident now.
    pub resident_mib: f64,
    /// The most that was resident.
    pub peak_mib: f64,
}

impl Memory {
    /// Now.
    pub fn now() -> Self {
        Self::of(&read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn of(status: &str) -> Self {
        let mib = |name| {
            let kib =
                field(status, name).and_then(|v| v.trim_end_matches("kB").trim().parse().ok());
            kib.unwrap_or(0.0_f64) / 1024.0
        };
        Self {
            resident_mib: mib("VmRSS"),
            peak_mib: mib("VmHWM"),
        }
    }
}

/// Lets the peak begin anew from what is resident now; where the kernel refuses, it stays what it was.
pub fn restart_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::super::tests::files;
    use super::*;

    #[test]
    fn the_hottest_zone_and_the_mean_clock_are_told() {
        let root = files(&[
            ("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone0/temp", "51250\n"),
            ("sys/class/thermal/thermal_zone1/type", "gpu-thermal\n"),
            ("sys/class/thermal/thermal_zone1/temp", "-256000\n"),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
                "1500000\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
                "2400000\n",
            ),
            (
                "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                "ondemand\n",
            ),
            (
                "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq",
                "2400000\n",
            ),
        ]);
        let state = MachineState::under(root.path());
        assert_eq!(state.hottest, Some(("cpu-thermal".to_owned(), 51.25)));
        assert_eq!(state.clock_mhz, Some(1950.0));
        assert_eq!(state.clock_most_mhz, Some(2400.0));
        assert_eq!(state.governor.as_deref(), Some("ondemand"));
        let nothing = MachineState::under(&root.path().join("none"));
        assert_eq!(nothing, MachineState::default());
    }

    #[test]
    fn memory_is_read_in_mebibytes() {
        let text = "VmHWM:\t  102400 kB\nVmRSS:\t   51200 kB\n";
        let found = Memory::of(text);
        assert_eq!((found.resident_mib, found.peak_mib), (50.0, 100.0));
        assert!(Memory::now().resident_mib > 0.0);
    }
}
