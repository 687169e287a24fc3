//! What a run costs: memory, time, and energy where the machine has a counter that can be read.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The most memory the process has held, where the system tells.
pub fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// How long something took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How often it was done.
    pub runs: usize,
    /// Half took at most this.
    pub p50_ms: f64,
    /// 99 of a hundred took at most this.
    pub p99_ms: f64,
}

impl Latency {
    /// Of single runs.
    pub fn of(mut ms: Vec<f64>) -> Option<Self> {
        ms.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let nth = (share * ms.len() as f64).ceil() as usize;
            ms.get(nth.checked_sub(1)?).copied()
        };
        Some(Self {
            runs: ms.len(),
            p50_ms: at(0.5)?,
            p99_ms: at(0.99)?,
        })
    }
}

/// A counter of energy of the whole machine or board.
#[derive(Debug)]
pub struct Meter {
    counter: Counter,
    joules: f64,
}

#[derive(Debug)]
enum Counter {
    /// Intel's and AMD's packages: microjoules that run over at a maximum.
    Rapl(Vec<Package>),
    /// Voltage and current of an INA3221's inputs, as on a Jetson: they must be asked again and again.
    Ina {
        inputs: Vec<(PathBuf, PathBuf)>,
        asked_s: Option<f64>,
    },
}

#[derive(Debug)]
struct Package {
    file: PathBuf,
    most: u64,
    last: u64,
}

impl Meter {
    /// The counter of this machine, if it has one that can be read; `sys` is `/sys`.
    pub fn find(sys: &Path) -> Option<Self> {
        let counter = rapl(sys).or_else(|| ina(sys))?;
        Some(Self {
            counter,
            joules: 0.0,
        })
    }

    /// Which one.
    pub fn name(&self) -> &'static str {
        match self.counter {
            Counter::Rapl(_) => "RAPL packages (powercap)",
            Counter::Ina { .. } => "INA3221 inputs (hwmon)",
        }
    }

    /// Looks at the counter; as often as can be where it gives power.
    pub fn look(&mut self, now_s: f64) {
        match &mut self.counter {
            Counter::Rapl(packages) => {
                for package in packages {
                    let Some(now) = number(&package.file) else {
                        continue;
                    };
                    let used = match now.checked_sub(package.last) {
                        Some(used) => used,
                        None => package.most.saturating_sub(package.last) + now,
                    };
                    self.joules += used as f64 / 1e6;
                    package.last = now;
                }
            }
            Counter::Ina { inputs, asked_s } => {
                let milli = |file: &Path| number(file).unwrap_or_default() as f64 / 1e3;
                let watts: f64 = inputs
                    .iter()
                    .map(|(volts, amperes)| milli(volts) * milli(amperes))
                    .sum();
                let passed_s = asked_s.replace(now_s).map_or(0.0, |last| now_s - last);
                self.joules += watts * passed_s;
            }
        }
    }

    /// Since the meter was found.
    pub fn joules(&self) -> f64 {
        self.joules
    }
}

fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten();
    let mut found: Vec<PathBuf> = found.flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

fn rapl(sys: &Path) -> Option<Counter> {
    let packages: Vec<Package> = (entries(&sys.join("class/powercap")).into_iter())
        // `intel-rapl:0` is a package, `intel-rapl:0:0` a part of it.
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("intel-rapl:") && name.matches(':').count() == 1
        })
        .filter_map(|p| {
            let file = p.join("energy_uj");
            Some(Package {
                last: number(&file)?,
                most: number(&p.join("max_energy_range_uj"))?,
                file,
            })
        })
        .collect();
    (!packages.is_empty()).then_some(Counter::Rapl(packages))
}

fn ina(sys: &Path) -> Option<Counter> {
    let chips = entries(&sys.join("class/hwmon")).into_iter();
    let chip = chips.filter(|p| {
        std::fs::read_to_string(p.join("name")).is_ok_and(|name| name.trim() == "ina3221")
    });
    let inputs: Vec<(PathBuf, PathBuf)> = chip
        .flat_map(|p| {
            (1..=3).map(move |n| {
                (
                    p.join(format!("in{n}_input")),
                    p.join(format!("curr{n}_input")),
                )
            })
        })
        .filter(|(volts, amperes)| number(volts).is_some() && number(amperes).is_some())
        // The first input is the whole board; the others are parts of it.
        .take(1)
        .collect();
    (!inputs.is_empty()).then_some(Counter::Ina {
        inputs,
        asked_s: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn packages_are_added_and_a_counter_may_run_over() {
        let sys = tempfile::tempdir().unwrap();
        assert!(Meter::find(sys.path()).is_none());
        let package = |n: u8, file: &str, text: &str| {
            write(
                sys.path(),
                &format!("class/powercap/intel-rapl:{n}/{file}"),
                text,
            );
        };
        for n in 0..2 {
            package(n, "energy_uj", "9000000\n");
            package(n, "max_energy_range_uj", "10000000\n");
        }
        write(sys.path(), "class/powercap/intel-rapl:0:0/energy_uj", "1\n");
        let mut meter = Meter::find(sys.path()).unwrap();
        package(0, "energy_uj", "9500000\n");
        package(1, "energy_uj", "500000\n");
        meter.look(0.0);
        assert!((meter.joules() - 2.0).abs() < 1e-9, "{}", meter.joules());
    }

    #[test]
    fn power_is_added_up_over_time() {
        let sys = tempfile::tempdir().unwrap();
        write(sys.path(), "class/hwmon/hwmon0/name", "ina3221\n");
        write(sys.path(), "class/hwmon/hwmon0/in1_input", "5000\n");
        write(sys.path(), "class/hwmon/hwmon0/curr1_input", "2000\n");
        let mut meter = Meter::find(sys.path()).unwrap();
        for second in 0..=3 {
            meter.look(f64::from(second));
        }
        assert!((meter.joules() - 30.0).abs() < 1e-9);
    }

    #[test]
    fn the_quantiles_are_those_of_single_runs() {
        let latency = Latency::of((1..=100).map(f64::from).collect()).unwrap();
        assert_eq!((latency.p50_ms, latency.p99_ms), (50.0, 99.0));
        assert_eq!(Latency::of(Vec::new()), None);
    }
}
