//! What is known of one track: the sum of its embeddings, and what they amount to.

use std::sync::Arc;

use ndarray::ArrayView1;

use super::votes::Votes;
use crate::event::{ClassInfo, Family, Naming};
use crate::region::{Match, RegionBank, standard_size};
use crate::units::TrackId;

/// When a class counts as confirmed: a sequential test over the fused evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfirmPlan {
    /// Encodings in a row after which the fused evidence names the same class.
    pub agreeing: u32,
    /// The same for speed limits, which differ by one digit.
    pub agreeing_speed_limit: u32,
    /// A class confirmed already is replaced only after so many.
    pub agreeing_to_correct: u32,
    /// A named sign must be this large in the look that confirms it; longer side.
    pub min_side_px: f32,
    /// And the detector must have found it in this share of the last frames; where views are taken in turn, of
    /// a frame of each.
    pub min_detected_share: f32,
    /// What would stand further from the camera's axis, had it the usual size of its class, is no sign for this
    /// road: in metres, aside and up.
    pub max_off_axis_m: f32,
}

impl Default for ConfirmPlan {
    fn default() -> Self {
        Self {
            agreeing: 4,
            agreeing_speed_limit: 5,
            agreeing_to_correct: 5,
            min_side_px: 20.0,
            min_detected_share: 2.0 / 3.0,
            // The far side of a motorway, and as much again for bends.
            max_off_axis_m: 20.0,
        }
    }
}

impl ConfirmPlan {
    fn needed(&self, class: &ClassInfo, correcting: bool) -> u32 {
        match class.family {
            _ if correcting => self.agreeing_to_correct,
            Family::SpeedLimit => self.agreeing_speed_limit,
            _ => self.agreeing,
        }
    }
}

/// How a crop was come by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// How much it may say: [`super::quality`].
    pub weight: f32,
    /// Longer side of its box.
    pub side_px: f32,
    /// From the middle of the picture to that of the box, in longer sides of it.
    pub off_axis_sides: f32,
    /// [`crate::track::Track::detected_share`] of its track.
    pub detected_share: f32,
}

/// What a new look changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that must be told.
    Open,
    /// A class was confirmed, for the first time or in place of another.
    Confirmed,
}

/// The evidence on one track. The buffers are kept when it is given to the next track.
#[derive(Debug, Clone)]
pub struct Evidence {
    track: Option<TrackId>,
    sum: Box<[f32]>,
    unit: Box<[f32]>,
    encoded: u32,
    largest_side_px: f32,
    /// The last one: far signs that were one box, larger than each, confirm nothing later.
    last: Option<Look>,
    /// Encodings in a row after which the same class was named.
    agreeing: u32,
    best: Match,
    votes: Votes,
    confirmed: Option<Arc<ClassInfo>>,
    /// A `sign_seen` was sent.
    pub announced: bool,
}

impl Evidence {
    /// Free, for embeddings of length `dim`.
    pub fn new(dim: usize) -> Self {
        Self {
            track: None,
            sum: vec![0.0; dim].into(),
            unit: vec![0.0; dim].into(),
            encoded: 0,
            largest_side_px: 0.0,
            last: None,
            agreeing: 0,
            best: nothing(),
            votes: Votes::default(),
            confirmed: None,
            announced: false,
        }
    }

    /// The track it belongs to, if any.
    pub fn track(&self) -> Option<TrackId> {
        self.track
    }

    /// Gives it to a track, or frees it.
    pub fn assign(&mut self, track: Option<TrackId>) {
        self.track = track;
        self.sum.fill(0.0);
        self.encoded = 0;
        self.largest_side_px = 0.0;
        self.last = None;
        self.agreeing = 0;
        self.best = nothing();
        self.votes.clear();
        self.confirmed = None;
        self.announced = false;
    }

    /// Encodings so far.
    pub fn encoded(&self) -> u32 {
        self.encoded
    }

    /// Longer side of the largest box encoded.
    pub fn largest_side_px(&self) -> f32 {
        self.largest_side_px
    }

    /// The class that is confirmed.
    pub fn confirmed(&self) -> Option<&ClassInfo> {
        self.confirmed.as_deref()
    }

    /// A class is confirmed, and the fused evidence still says the same.
    pub fn is_decided(&self) -> bool {
        match (&self.confirmed, self.best.naming.class()) {
            (Some(confirmed), Some(now)) => confirmed.key == now.key,
            _ => false,
        }
    }

    /// What the track is taken for: the confirmed class, else what the evidence says now.
    pub fn naming(&self) -> Naming {
        match (&self.confirmed, self.encoded) {
            (Some(class), _) => Naming::Sign(Arc::clone(class)),
            (None, 0) => Naming::Undecided,
            (None, _) => match &self.best.naming {
                // Named by the evidence, but not often enough yet.
                Naming::Sign(_) => Naming::Undecided,
                other => other.clone(),
            },
        }
    }

    /// The match of the fused embedding.
    pub fn best(&self) -> &Match {
        &self.best
    }

    /// Adds the embedding of a crop.
    pub fn add(
        &mut self,
        embedding: &[f32],
        look: Look,
        bank: &RegionBank,
        plan: &ConfirmPlan,
    ) -> Verdict {
        for (sum, value) in self.sum.iter_mut().zip(embedding) {
            *sum += look.weight * value;
        }
        self.encoded += 1;
        self.largest_side_px = self.largest_side_px.max(look.side_px);
        self.last = Some(look);
        let alone = bank.classify(ArrayView1::from(embedding));
        self.votes.add(&alone.naming, look.weight);
        let before = self.best.first().map(Arc::clone);
        self.rematch(bank);
        let now = self.best.first().map(|class| &class.key);
        let agrees = now == alone.first().map(|class| &class.key);
        self.agreeing = match self.best.naming {
            Naming::Sign(_) if now == before.as_ref().map(|class| &class.key) => self.agreeing + 1,
            Naming::Sign(_) => 1,
            _ => 0,
        };
        // The box may have gone over to another sign: then the sum is of one, the look of the other.
        if agrees {
            self.judge(bank, plan)
        } else {
            Verdict::Open
        }
    }

    /// The same evidence against another region's bank: no picture is encoded again, and nothing the old
    /// bank said remains.
    pub fn swap_bank(&mut self, bank: &RegionBank, plan: &ConfirmPlan) -> Verdict {
        if self.encoded == 0 {
            return Verdict::Open;
        }
        // They are names of the old bank.
        self.votes.clear();
        self.rematch(bank);
        // The embeddings agreed with each other before; the new bank only reads them differently. What
        // the old bank confirmed is no evidence against that.
        self.agreeing = match self.best.naming {
            Naming::Sign(_) => self.encoded,
            _ => 0,
        };
        let before = self.confirmed.take();
        let verdict = self.judge(bank, plan);
        match (&before, &self.confirmed) {
            // The same sign in another unit is another limit.
            (Some(a), Some(b)) if (&a.key, a.value, a.unit) == (&b.key, b.value, b.unit) => {
                Verdict::Open
            }
            _ => verdict,
        }
    }

    fn judge(&mut self, bank: &RegionBank, plan: &ConfirmPlan) -> Verdict {
        let Naming::Sign(class) = &self.best.naming else {
            return Verdict::Open;
        };
        if let Some(confirmed) = &self.confirmed
            && (confirmed.key == class.key || shows(confirmed, class))
        {
            return Verdict::Open;
        }
        let needed = plan.needed(class, self.confirmed.is_some());
        let side_m = standard_size(bank.region(), Some(class)).longer_side_m;
        let clear = self.last.is_some_and(|look| {
            look.side_px >= plan.min_side_px
                && look.detected_share >= plan.min_detected_share
                && look.off_axis_sides * side_m <= plan.max_off_axis_m
        });
        if self.agreeing < needed || !clear {
            return Verdict::Open;
        }
        self.confirmed = Some(Arc::clone(class));
        Verdict::Confirmed
    }

    fn rematch(&mut self, bank: &RegionBank) {
        let length = self.sum.iter().map(|v| v * v).sum::<f32>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        for (unit, sum) in self.unit.iter_mut().zip(&self.sum) {
            *unit = sum * scale;
        }
        self.best = bank.classify(ArrayView1::from(&*self.unit));
        if (self.best.naming.class()).is_some_and(|class| self.votes.dispute(class)) {
            self.best.naming = Naming::UnknownSign;
        }
    }
}

/// The board of a zone shows the disc of its limit, and near by the detector's box may be that of the disc: no correction.
fn shows(board: &ClassInfo, disc: &ClassInfo) -> bool {
    let zone = board.key.strip_prefix("zone_");
    zone.is_some() && zone == disc.key.strip_prefix("speed_limit_")
}

fn nothing() -> Match {
    Match {
        naming: Naming::Undecided,
        probability: 0.0,
        margin: 0.0,
        top: heapless::Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::region::{Pack, PackStore};
    use crate::units::RegionCode;

    const LOOK: Look = Look {
        weight: 1.0,
        side_px: 24.0,
        off_axis_sides: 1.0,
        detected_share: 1.0,
    };

    const NEAR: Look = Look {
        side_px: 60.0,
        ..LOOK
    };
    const FAR: Look = Look {
        weight: 0.2,
        side_px: 13.0,
        ..LOOK
    };

    /// A new track's evidence, and the German pack to look by.
    struct Case {
        pack: Pack,
        bank: Arc<RegionBank>,
        evidence: Evidence,
    }

    impl Case {
        fn new() -> Self {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs");
            let (pack, _) = Pack::read(&folder.join("DE.safetensors")).unwrap();
            let mut store = PackStore::new(&folder, &pack.encoder_sha256, pack.dim());
            let bank = store.best(RegionCode::parse("DE").unwrap()).unwrap();
            let mut evidence = Evidence::new(pack.dim());
            evidence.assign(Some(TrackId(1)));
            Self {
                pack,
                bank,
                evidence,
            }
        }

        /// The sentence of a class as an embedding.
        fn row(&self, key: &str) -> Vec<f32> {
            let class = self.pack.class(key).unwrap();
            let of = &self.pack.text.class_of;
            let row = of.iter().position(|c| *c == class).unwrap();
            self.pack.text.rows.row(row).to_vec()
        }

        fn look(&mut self, embedding: &[f32], look: Look) {
            let plan = ConfirmPlan::default();
            self.evidence.add(embedding, look, &self.bank, &plan);
        }

        fn confirmed(&self) -> Option<&str> {
            self.evidence.confirmed().map(|class| class.key.as_str())
        }

        fn now(&self) -> &str {
            &self.evidence.best().first().unwrap().key
        }
    }

    /// What a track is called after six looks at one class and sixty nearer ones at another.
    fn called(first: &str, near_by: &str) -> String {
        let mut case = Case::new();
        for (key, looks, look) in [(first, 6, LOOK), (near_by, 60, NEAR)] {
            let row = case.row(key);
            for _ in 0..looks {
                case.look(&row, look);
            }
            assert_eq!(case.now(), key);
        }
        case.confirmed().unwrap().to_owned()
    }

    #[test]
    fn the_disc_on_a_zone_s_board_is_no_correction_and_another_sign_is() {
        assert_eq!(called("zone_30", "speed_limit_30"), "zone_30");
        assert_eq!(called("zone_30", "speed_limit_50"), "speed_limit_50");
        assert_eq!(called("speed_limit_30", "zone_30"), "zone_30");
    }

    #[test]
    fn a_look_at_another_sign_confirms_nothing() {
        let mut case = Case::new();
        let (limit, curve) = (case.row("speed_limit_70"), case.row("curve_left"));
        for _ in 0..30 {
            case.look(&limit, FAR);
        }
        // Too small to be named; then the box goes over to the sign above.
        case.look(&curve, LOOK);
        assert_eq!((case.now(), case.confirmed()), ("speed_limit_70", None));
        for _ in 0..40 {
            case.look(&curve, NEAR);
        }
        assert_eq!(case.confirmed(), Some("curve_left"));
    }

    #[test]
    fn many_looks_name_nothing_less_probable_than_asked() {
        let mut case = Case::new();
        let (ban, other) = (case.row("no_pedestrians"), case.row("no_bicycles"));
        let unsure = |share: f32| -> Vec<f32> {
            let mixed = ban.iter().zip(&other).map(|(a, b)| a + share * b);
            let mixed: Vec<f32> = mixed.collect();
            let length = mixed.iter().map(|v| v * v).sum::<f32>().sqrt();
            mixed.iter().map(|v| v / length).collect()
        };
        let unsure = (0..1000).map(|n| unsure(n as f32 / 1000.0)).find(|look| {
            let alone = case.bank.classify(ArrayView1::from(look));
            (0.74..0.81).contains(&alone.probability)
        });
        let unsure = unsure.unwrap();
        for _ in 0..30 {
            case.look(&unsure, NEAR);
        }
        assert_eq!((case.now(), case.confirmed()), ("no_pedestrians", None));
    }
}
