//! When something lost may be tried again: at once, then after pauses that double up to a limit.

use std::time::Duration;

use crate::units::Timestamp;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    first: Duration,
    longest: Duration,
    pause: Duration,
    due: Option<Timestamp>,
}

impl Retry {
    /// Pauses from `first` to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            pause: first,
            due: None,
        }
    }

    /// Whether a try is due.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// A try at `now` failed.
    pub fn failed(&mut self, now: Timestamp) {
        let pause = i64::try_from(self.next_pause().as_nanos()).unwrap_or(i64::MAX);
        self.due = Some(Timestamp::from_nanos(now.nanos().saturating_add(pause)));
    }

    /// A try failed, for those who wait themselves: how long.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        pause
    }

    /// A try went well.
    pub fn succeeded(&mut self) {
        self.pause = self.first;
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_success() {
        let mut retry = Retry::new(Duration::from_millis(100), Duration::from_millis(250));
        let at = |ms: i64| Timestamp::from_nanos(ms * 1_000_000);
        assert!(retry.is_due(at(0)));
        for (failed, due) in [(0, 100), (100, 300), (300, 550), (550, 800)] {
            retry.failed(at(failed));
            assert!(!retry.is_due(at(due - 1)) && retry.is_due(at(due)));
        }
        retry.succeeded();
        retry.failed(at(1000));
        assert!(retry.is_due(at(1100)));
    }
}
