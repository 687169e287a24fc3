//! Whether a new pack does its work: the share of signs that it does not name, beside that of the pack before.

use serde::{Deserialize, Serialize};

use crate::event::{Naming, SignEvent};

/// The share with the pack before is over about so many signs.
const RECENT: u64 = 200;
/// So much more may stay unnamed: six deviations for 50 signs of which a tenth is unknown, three and a half where it
/// is half of them.
const WORSE_BY: f64 = 0.25;
/// More than this is bad where nothing is known of a pack before.
const MOST_UNKNOWN: f64 = 0.95;

/// Signs that were judged, and the share of them that the pack did not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Unknown {
    /// Signs judged.
    pub signs: u64,
    /// Share of unknown ones, over the last two hundred or so.
    pub share: f64,
}

impl Unknown {
    /// A sign left the view. False when nothing can be said of it.
    pub fn ended(&mut self, sign: &SignEvent) -> bool {
        let unknown = match sign.naming {
            Naming::Undecided | Naming::NotASign => return false,
            Naming::UnknownSign => 1.0,
            Naming::Sign(_) => 0.0,
        };
        self.signs += 1;
        self.share += (unknown - self.share) / self.signs.min(RECENT) as f64;
        true
    }
}

/// What a trial says.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Too few signs yet.
    Open,
    /// No worse than before.
    Good,
    /// Worse, in words.
    Bad(String),
}

/// Judges a pack by `signs` signs, or by fewer when these cannot save it any more.
pub fn judge(now: &Unknown, before: Option<&Unknown>, signs: u64) -> Verdict {
    let limit = before.map_or(MOST_UNKNOWN, |b| b.share + WORSE_BY);
    let unknown = now.share * now.signs.min(RECENT) as f64;
    if unknown > limit * signs.min(RECENT) as f64 {
        let before = before.map_or(String::new(), |b| format!(", {:.2} before", b.share));
        let (share, signs) = (now.share, now.signs);
        return Verdict::Bad(format!(
            "{share:.2} of {signs} signs are unknown to it{before}; at most {limit:.2} may be"
        ));
    }
    if now.signs >= signs {
        Verdict::Good
    } else {
        Verdict::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(named: u64, unknown: u64) -> Unknown {
        let signs = named + unknown;
        let share = unknown as f64 / signs as f64;
        Unknown { signs, share }
    }

    #[test]
    fn a_pack_is_bad_as_soon_as_no_more_signs_can_save_it() {
        let before = after(180, 20);
        let bad = |now: Unknown| matches!(judge(&now, Some(&before), 50), Verdict::Bad(_));
        // 0.1 before: 0.35 of 50 are 17.5.
        assert!(!bad(after(0, 17)) && bad(after(0, 18)));
        assert_eq!(judge(&after(32, 17), Some(&before), 50), Verdict::Open);
        assert_eq!(judge(&after(33, 17), Some(&before), 50), Verdict::Good);
        assert!(bad(after(32, 18)));
        let words = judge(&after(2, 18), Some(&before), 50);
        let expected = "0.90 of 20 signs are unknown to it, 0.10 before; at most 0.35 may be";
        assert_eq!(words, Verdict::Bad(expected.to_owned()));
    }

    #[test]
    fn without_a_pack_before_only_one_that_names_nothing_is_bad() {
        assert_eq!(judge(&after(5, 45), None, 50), Verdict::Good);
        assert!(matches!(judge(&after(0, 48), None, 50), Verdict::Bad(_)));
        // Nothing was named before either, perhaps for another reason.
        let before = after(0, 100);
        assert_eq!(judge(&after(0, 50), Some(&before), 50), Verdict::Good);
    }
}
