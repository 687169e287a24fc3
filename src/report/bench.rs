//! What `tsedge bench` found: one table for people, and the same as JSON, to be compared later.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::machine::{Machine, MachineState, Memory};

/// The only format this build reads.
pub const FORMAT: &str = "tsedge-bench/1";

/// One run on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchResult {
    /// Must be `tsedge-bench/1`.
    pub format: String,
    /// Of tsedge, with its commit.
    pub version: String,
    /// Where it ran.
    pub machine: Machine,
    /// The class of board whose defaults were taken.
    pub class: String,
    /// ONNX Runtime's version.
    pub onnxruntime: String,
    /// Threads inside the detector.
    pub threads: usize,
    /// The models and what ran them.
    pub models: Vec<BenchModel>,
    /// What was looked at.
    pub drive: BenchDrive,
    /// Stages in the order of the data.
    pub stages: Vec<BenchStage>,
    /// Frames a second, one after another.
    pub frames_per_s: f64,
    /// Memory of the process at the end.
    pub memory: Memory,
    /// Temperature and clock before the first frame.
    pub before: MachineState,
    /// And after the last.
    pub after: MachineState,
}

/// A model that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchModel {
    /// `detector` or `encoder`.
    pub role: String,
    /// From its card.
    pub name: String,
    /// From its card.
    pub sha256: String,
    /// The provider that was got.
    pub provider: String,
}

/// The frames that were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchDrive {
    /// `built-in`, or the file's name.
    pub name: String,
    /// Of the video file.
    pub sha256: String,
    /// Of a frame.
    pub width_px: u32,
    /// Of a frame.
    pub height_px: u32,
    /// Frames that count.
    pub frames: u64,
    /// Frames before them, which do not.
    pub warm_up: u64,
}

/// Times of a stage, in the frames in which it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchStage {
    /// Its name.
    pub stage: String,
    /// Frames in which it ran.
    pub frames: u64,
    /// Median.
    pub p50_ms: f64,
    /// 99 of 100 were shorter.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl BenchResult {
    /// Reads what an earlier run wrote.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if found.format != FORMAT {
            return Err(format!("format is {}, expected {FORMAT}", found.format));
        }
        Ok(found)
    }

    /// The table to send; with ratios where there is an earlier result.
    pub fn table(&self, earlier: Option<&Self>) -> String {
        let mut text = self.head();
        let ratios = if earlier.is_some() {
            "   p50 x   p99 x"
        } else {
            ""
        };
        let (p50, p99, max) = ("p50", "p99", "max");
        let _ = writeln!(
            text,
            "\n{:<12} {:>7} {p50:>9} {p99:>9} {max:>9}{ratios}",
            "ms a frame", "frames"
        );
        for s in &self.stages {
            let _ = write!(
                text,
                "{:<12} {:>7} {:>9.3} {:>9.3} {:>9.3}",
                s.stage, s.frames, s.p50_ms, s.p99_ms, s.max_ms
            );
            let before = earlier.and_then(|e| e.stages.iter().find(|b| b.stage == s.stage));
            if let Some(b) = before {
                let (p50, p99) = (ratio(s.p50_ms, b.p50_ms), ratio(s.p99_ms, b.p99_ms));
                let _ = write!(text, " {p50:>7} {p99:>7}");
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "\nframes/s     {:.1}, one after another",
            self.frames_per_s
        );
        let Memory {
            resident_mib,
            peak_mib,
        } = self.memory;
        let _ = writeln!(
            text,
            "memory       {resident_mib:.1} MiB resident, {peak_mib:.1} MiB at most"
        );
        let _ = writeln!(text, "temperature  {}", self.temperature());
        let _ = writeln!(text, "clock        {}", self.clock());
        if let Some(earlier) = earlier {
            text += &self.comparison(earlier);
        }
        text
    }

    fn head(&self) -> String {
        let m = &self.machine;
        let board = m.board.as_deref().unwrap_or("no name in a device tree");
        let models: Vec<String> = (self.models.iter())
            .map(|m| format!("{} {} on {}", m.role, m.name, m.provider))
            .collect();
        let d = &self.drive;
        format!(
            "tsedge       {}\n\
             machine      {}, {}, {} cores, {} MiB, Linux {}\n\
             board        {board}; defaults of {}\n\
             models       {}; ONNX Runtime {}, {} threads\n\
             drive        {}, {}x{}, {} frames after {} to warm up\n",
            self.version,
            m.arch,
            m.cpu,
            m.cores,
            m.memory_mib,
            m.kernel,
            self.class,
            models.join(", "),
            self.onnxruntime,
            self.threads,
            d.name,
            d.width_px,
            d.height_px,
            d.frames,
            d.warm_up,
        )
    }

    fn temperature(&self) -> String {
        match (&self.before.hottest, &self.after.hottest) {
            (Some((_, before)), Some((zone, after))) => {
                format!("{before:.1} to {after:.1} degrees Celsius ({zone})")
            }
            _ => "cannot be read here".to_owned(),
        }
    }

    fn clock(&self) -> String {
        let (Some(before), Some(after)) = (self.before.clock_mhz, self.after.clock_mhz) else {
            return "cannot be read here".to_owned();
        };
        let most = (self.after.clock_most_mhz).map_or(String::new(), |m| format!(" of {m:.0}"));
        let governor = (self.after.governor.iter()).map(|g| format!(", {g}"));
        let governor: String = governor.collect();
        format!("{before:.0} to {after:.0}{most} MHz{governor}")
    }

    /// Ratios that are not in the table, and what makes them doubtful.
    fn comparison(&self, earlier: &Self) -> String {
        let mut text = format!(
            "\nagainst      {} on {}; x is this run over that one: frames/s {}, memory at most {}\n",
            earlier.version,
            earlier
                .machine
                .board
                .as_deref()
                .unwrap_or(&earlier.machine.cpu),
            ratio(self.frames_per_s, earlier.frames_per_s),
            ratio(self.memory.peak_mib, earlier.memory.peak_mib),
        );
        let same = [
            ("machine", self.machine == earlier.machine),
            ("drive", self.drive == earlier.drive),
            ("models or providers", self.models == earlier.models),
            ("ONNX Runtime", self.onnxruntime == earlier.onnxruntime),
            ("number of threads", self.threads == earlier.threads),
        ];
        for (what, _) in same.into_iter().filter(|(_, same)| !same) {
            let _ = writeln!(text, "             not the same {what}");
        }
        text
    }
}

fn ratio(now: f64, then: f64) -> String {
    if then > 0.0 {
        format!("{:.2}", now / then)
    } else {
        "-".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> BenchResult {
        BenchResult {
            format: FORMAT.to_owned(),
            version: "0.1.0".to_owned(),
            machine: Machine {
                board: Some("A board".to_owned()),
                ..Machine::default()
            },
            class: "generic".to_owned(),
            onnxruntime: "1.32.0".to_owned(),
            threads: 2,
            models: Vec::new(),
            drive: BenchDrive {
                name: "built-in".to_owned(),
                sha256: String::new(),
                width_px: 1280,
                height_px: 720,
                frames: 100,
                warm_up: 10,
            },
            stages: vec![BenchStage {
                stage: "detect".to_owned(),
                frames: 100,
                p50_ms: 10.0,
                p99_ms: 20.0,
                max_ms: 30.0,
            }],
            frames_per_s: 50.0,
            memory: Memory::default(),
            before: MachineState::default(),
            after: MachineState::default(),
        }
    }

    #[test]
    fn a_result_is_read_back_and_compared_as_ratios() {
        let now = result();
        let text = serde_json::to_string(&now).unwrap();
        assert_eq!(BenchResult::parse(&text), Ok(now.clone()));
        let other = text.replace(FORMAT, "tsedge-bench/2");
        assert!(BenchResult::parse(&other).unwrap_err().contains("expected"));
        let mut then = now.clone();
        then.stages[0].p50_ms = 40.0;
        then.threads = 1;
        let table = now.table(Some(&then));
        assert!(table.contains("   0.25    1.00"), "{table}");
        assert!(table.contains("not the same number of threads"), "{table}");
        assert!(!table.contains("not the same machine"), "{table}");
        assert!(now.table(None).contains("cannot be read here"));
    }
}
