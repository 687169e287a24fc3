//! Where the unit's threads run and how urgently: processor cores and real-time priority.
//!
//! A thread places itself at its start and tells what was asked and what it got. Rights that are missing
//! are a warning: a unit that runs as any other is better than none.

use std::fmt::Write as _;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Deserialize;
use thread_priority::{
    Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id, thread_schedule_policy_param,
};

use super::board::HealthBoard;

const FIFO: ThreadSchedulePolicy =
    ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);

/// What is asked for a thread; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreadPlan {
    /// Cores it may run on, counted from 0; all that the unit has if not given.
    pub cores: Option<Vec<usize>>,
    /// Real-time priority by `SCHED_FIFO`, 1 to 99.
    pub fifo: Option<u8>,
}

/// `[threads]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreadPlans {
    /// `ts-capture`: the camera and its decoder; of several, `ts-cap-NAME`.
    pub capture: ThreadPlan,
    /// `ts-recognise`, and `ts-model`: the detector's other threads.
    pub recognise: ThreadPlan,
    /// `ts-position`: the receiver.
    pub position: ThreadPlan,
    /// `ts-out-N`: the outputs.
    pub outputs: ThreadPlan,
}

impl ThreadPlans {
    fn all(&self) -> [(&'static str, &ThreadPlan); 4] {
        [
            ("capture", &self.capture),
            ("recognise", &self.recognise),
            ("position", &self.position),
            ("outputs", &self.outputs),
        ]
    }

    /// Keys that name cores which the calling thread does not have, with these cores, in words.
    pub fn without_cores(&self) -> Vec<String> {
        let own = sched_getaffinity(None).unwrap_or_default();
        let missing = |(name, plan): (&str, &ThreadPlan)| {
            let cores = plan.cores.iter().flatten().copied();
            let missing: Vec<usize> = cores.filter(|core| !own.is_set(*core)).collect();
            let words = cores_in_words(&missing);
            (!missing.is_empty()).then(|| format!("threads.{name}.cores: there is no {words} here"))
        };
        self.all().into_iter().filter_map(missing).collect()
    }

    /// Whether it can be asked for at all; the error names the key.
    pub fn check(&self) -> anyhow::Result<()> {
        for (name, plan) in self.all() {
            if let Some(cores) = &plan.cores {
                anyhow::ensure!(!cores.is_empty(), "threads.{name}.cores is empty");
                let most = CpuSet::MAX_CPU;
                if let Some(core) = cores.iter().find(|core| **core >= most) {
                    anyhow::bail!(
                        "threads.{name}.cores has {core}, expected 0 to {}",
                        most - 1
                    );
                }
            }
            if let Some(fifo) = plan.fifo.filter(|fifo| !(1..=99).contains(fifo)) {
                anyhow::bail!("threads.{name}.fifo is {fifo}, expected 1 to 99");
            }
        }
        Ok(())
    }
}

impl ThreadPlan {
    /// Places the calling thread, and tells what came of it where something was asked for.
    pub fn place(&self, board: &HealthBoard) {
        let (mut got, mut missed) = (Vec::new(), Vec::new());
        if let Some(cores) = &self.cores {
            match pin(cores) {
                Ok(()) => got.push(cores_in_words(cores)),
                Err(words) => missed.push(words),
            }
        }
        if let Some(fifo) = self.fifo {
            match hurry(fifo) {
                Ok(()) => got.push(format!("real-time priority {fifo}")),
                Err(words) => missed.push(words),
            }
        }
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("a thread");
        if !got.is_empty() {
            let words = format!("{thread} has {}, as asked", got.join(" and "));
            log::info!("{words}");
            board.say(words);
        }
        if !missed.is_empty() {
            let words = format!("{thread} {}", missed.join("; "));
            log::warn!("{words}");
            board.say(words);
        }
    }
}

/// Keeps the calling thread on `cores`; else what was got, in words.
fn pin(cores: &[usize]) -> Result<(), String> {
    let mut asked = CpuSet::new();
    cores.iter().for_each(|core| asked.set(*core));
    let set = sched_setaffinity(None, &asked);
    let got = sched_getaffinity(None);
    if set.is_ok() && got.as_ref().is_ok_and(|got| *got == asked) {
        return Ok(());
    }
    let mut words = format!("asked for {}", cores_in_words(cores));
    if let Ok(got) = got {
        let got: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|c| got.is_set(*c)).collect();
        let _ = write!(words, ", has {}", cores_in_words(&got));
    }
    // The kernel leaves out cores that are not there or not the unit's, and refuses a set of such alone.
    words += match set {
        Err(rustix::io::Errno::PERM) => {
            ": not permitted; allow sched_setaffinity in the unit, as realtime.conf does"
        }
        _ => ": this machine, or the unit's AllowedCPUs=, has no others of them",
    };
    Err(words)
}

/// Gives the calling thread a real-time priority; else what was got, in words.
fn hurry(fifo: u8) -> Result<(), String> {
    let native = thread_native_id();
    let set = ThreadPriorityValue::try_from(fifo)
        .map_err(|_| Error::Priority("1 to 99 are real-time priorities"))
        .and_then(|value| {
            set_thread_priority_and_policy(native, ThreadPriority::Crossplatform(value), FIFO)
        });
    let got = thread_schedule_policy_param(native);
    let is_fifo = |(policy, params): &(ThreadSchedulePolicy, _)| {
        let params: &thread_priority::ScheduleParams = params;
        *policy == FIFO && params.sched_priority == i32::from(fifo)
    };
    match set {
        Ok(()) if got.as_ref().is_ok_and(is_fifo) => Ok(()),
        Err(Error::OS(code)) => {
            let cause = std::io::Error::from_raw_os_error(code);
            Err(format!(
                "asked for real-time priority {fifo}, has none: {cause}; give the unit \
                 LimitRTPRIO={fifo} and RestrictRealtime=no, as realtime.conf does, or CAP_SYS_NICE"
            ))
        }
        Err(e) => Err(format!(
            "asked for real-time priority {fifo}, has none: {e}"
        )),
        Ok(()) => Err(format!(
            "asked for real-time priority {fifo}, has another: {got:?}"
        )),
    }
}

/// `core 2`, `cores 0, 2, 3`.
fn cores_in_words(cores: &[usize]) -> String {
    let numbers: Vec<String> = cores.iter().map(usize::to_string).collect();
    let one = if cores.len() == 1 { "" } else { "s" };
    format!("core{one} {}", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::board::HealthReporter;
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn what_cannot_be_asked_for_is_refused_by_its_key() {
        let refused = |text: &str| {
            let plans: ThreadPlans = toml::from_str(text).unwrap();
            plans.check().unwrap_err().to_string()
        };
        assert!(refused("capture = { fifo = 0 }").starts_with("threads.capture.fifo is 0"));
        assert!(refused("outputs = { fifo = 100 }").starts_with("threads.outputs.fifo is 100"));
        assert!(refused("recognise = { cores = [] }").contains("recognise.cores is empty"));
        assert!(refused("position = { cores = [0, 5000] }").contains("5000"));
        assert!(ThreadPlans::default().check().is_ok());
    }

    #[test]
    fn cores_that_are_not_there_are_told_and_the_thread_runs_on() {
        let board = HealthBoard::default();
        let far = ThreadPlan {
            cores: Some(vec![CpuSet::MAX_CPU - 1]),
            fifo: None,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| far.place(&board));
        });
        let told = HealthReporter::default().poll(&board, Timestamp::ZERO, 0);
        let told = told.unwrap().detail.unwrap();
        assert!(
            told.starts_with("a thread asked for core 1023, has core"),
            "{told}"
        );
    }
}
