//! The cost and safety sheet of a pack: what it was made of, what it costs, where it is weak, what the unit does then.
//!
//! The words of the second half are those of ISO 21448 (SOTIF): a triggering condition meets a functional
//! insufficiency; the operational design domain says where it may be used. Figures are measured; what the unit does is
//! how it is built, with the health reason that tells it.

use serde::{Deserialize, Serialize};

use super::cost::Latency;
use super::crops::{Figure, Ingredient, OfPack, Range};
use super::interval::Estimate;
use crate::health::Reason;

/// The files this build writes.
pub const FORMAT: &str = "tsedge-eval-sheet/1";
/// Fewer crops of a class say nothing about it.
const LEAST_CROPS: usize = 10;
/// A range of sizes or lights belongs to the design domain where so many are named right.
const IN_DOMAIN: f64 = 0.8;
/// Fewer crops of a range say nothing about it.
const LEAST_IN_RANGE: usize = 20;

/// What running it costs on the machine that made the sheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The processor, as the system names it, and how many there are.
    pub machine: String,
    /// Processes that wanted a processor while it was measured.
    pub load_average: Option<f64>,
    /// Which provider ran the networks.
    pub provider: String,
    /// Frame size that the detector was run on.
    pub frame_px: (u32, u32),
    /// Reading models and pack.
    pub load_ms: f64,
    /// The detector on a frame, one thread.
    pub detect: Option<Latency>,
    /// A crop: cut, encoded, matched.
    pub encode: Option<Latency>,
    /// The most memory held.
    pub peak_memory_mib: Option<f64>,
    /// Which counter of energy there was; `None`: none that could be read.
    pub energy_counter: Option<String>,
    /// Of the whole machine over the detector's runs, whatever else ran.
    pub joules_a_frame: Option<f64>,
    /// The same over the encoder's runs.
    pub joules_a_crop: Option<f64>,
    /// Of the model and pack files.
    pub file_bytes: u64,
}

/// A class that is named right less often than the pack as a whole, by more than chance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weak {
    /// The class.
    pub class: String,
    /// Crops of it.
    pub crops: usize,
    /// Share named right.
    pub named_right: Estimate,
    /// Crops named wrong.
    pub named_wrong: usize,
    /// What it was most often taken for.
    pub taken_for: Option<String>,
}

/// What is known of a pack's quality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The result it comes from.
    pub source: String,
    /// Crops and tracks.
    pub crops: usize,
    /// Of signs or pictures.
    pub tracks: usize,
    /// Share named right.
    pub named_right: Option<Estimate>,
    /// Share named wrong.
    pub named_wrong: Option<Estimate>,
    /// Share of scenery named.
    pub false_acceptance: Option<Estimate>,
    /// Classes that are weak.
    pub weak: Vec<Weak>,
    /// Classes with too few crops to say.
    pub hardly_measured: Vec<String>,
    /// Classes of the pack without a crop.
    pub not_measured: usize,
    /// From this shorter side on in pixels, four of five are named right; `None`: at no size.
    pub least_side_px: Option<f32>,
    /// From this mean brightness on.
    pub least_light: Option<f32>,
    /// At this distance a usual sign of 0.6 m has that side, with this angle of view on this frame.
    pub farthest_m: Option<f64>,
}

/// A row of the safety part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// What happens (triggering condition).
    pub condition: String,
    /// What the models are not good enough at (functional insufficiency).
    pub insufficiency: String,
    /// What was measured.
    pub measured: String,
    /// What the unit does then.
    pub reaction: String,
    /// The health reason that tells it, where one does.
    pub reason: Option<String>,
}

/// The sheet, as `docs/schema/eval-sheet.schema.json` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Of this file.
    pub format: String,
    /// Which build.
    pub made_by: String,
    /// The pack.
    pub pack: Ingredient,
    /// The encoder.
    pub encoder: Ingredient,
    /// The detector.
    pub detector: Ingredient,
    /// What they were made of, as their files say it.
    pub made_of: Vec<(String, String)>,
    /// What running it costs.
    pub cost: Cost,
    /// How good it is; `None`: not given.
    pub quality: Option<Quality>,
    /// What the unit does when conditions are bad.
    pub conditions: Vec<Condition>,
}

/// What a result of crops says; `lens` gives the distance in metres of a sign of 0.6 m by its side in pixels.
pub fn quality(
    source: &str,
    of: &OfPack,
    classes: &[String],
    lens: impl Fn(f32) -> f64,
) -> Quality {
    let overall = of.figures.get(&Figure::NamedRight);
    let mut weak: Vec<Weak> = (of.classes.iter())
        .filter(|c| c.crops >= LEAST_CROPS)
        .filter_map(|c| {
            let named_right = Estimate::share(c.named_right, c.crops)?;
            let pair = of.confusion.iter().find(|pair| pair.label == c.class);
            (named_right.high < overall?.value).then(|| Weak {
                class: c.class.clone(),
                crops: c.crops,
                named_right,
                named_wrong: c.named_wrong,
                taken_for: pair.map(|pair| pair.taken_for.clone()),
            })
        })
        .collect();
    weak.sort_by(|a, b| a.named_right.value.total_cmp(&b.named_right.value));
    let few = of.classes.iter().filter(|c| c.crops < LEAST_CROPS);
    let measured = |key: &&String| of.classes.iter().any(|c| c.class == **key);
    let least_side_px = lowest(&of.by_size);
    Quality {
        source: source.to_owned(),
        crops: of.crops,
        tracks: of.tracks,
        named_right: overall.copied(),
        named_wrong: of.figures.get(&Figure::NamedWrong).copied(),
        false_acceptance: of.figures.get(&Figure::FalseAcceptance).copied(),
        weak,
        hardly_measured: few.map(|c| c.class.clone()).collect(),
        not_measured: classes.len() - classes.iter().filter(measured).count(),
        least_side_px,
        least_light: lowest(&of.by_light),
        farthest_m: least_side_px.filter(|px| *px > 0.0).map(lens),
    }
}

/// The lower end of the ranges, from the top down, in which enough are named right. Ranges with few crops are passed
/// over, but none of them is the last.
fn lowest(ranges: &[Range]) -> Option<f32> {
    let mut found = None;
    for range in ranges.iter().rev().filter(|r| r.crops >= LEAST_IN_RANGE) {
        if (range.named_right as f64) < IN_DOMAIN * range.crops as f64 {
            break;
        }
        found = Some(range.from);
    }
    found
}

/// What the unit does when conditions are bad.
pub fn conditions(
    quality: Option<&Quality>,
    min_probability: f32,
    min_side_px: f32,
) -> Vec<Condition> {
    let unmeasured = || "not measured here".to_owned();
    let with =
        |f: &dyn Fn(&Quality) -> Option<String>| quality.and_then(f).unwrap_or_else(unmeasured);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let row = |condition: &str,
               insufficiency: &str,
               measured: String,
               reaction: String,
               reason: Option<Reason>| Condition {
        condition: condition.to_owned(),
        insufficiency: insufficiency.to_owned(),
        measured,
        reaction,
        reason: reason.map(|r| r.name().to_owned()),
    };
    vec![
        row(
            "A sign is far away or small",
            "Too few pixels to tell classes apart",
            with(&|q| {
                let px = q.least_side_px?;
                let far = q.farthest_m.map_or(String::new(), |m| format!(", a sign of 0.6 m at {m:.0} m"));
                Some(format!("four of five named right from {px:.0} px on{far}"))
            }),
            format!("Crops below {min_side_px:.0} px are not encoded; the sign is tracked until it is larger, and told as undecided or not at all"),
            None,
        ),
        row(
            "Night, tunnels, a low sun behind the sign",
            "Colours and symbols fade",
            with(&|q| Some(format!("four of five named right from a mean brightness of {:.0} of 255 on", q.least_light?))),
            "A picture too dark to read is told; the limit in force is kept until it expires by distance or time".to_owned(),
            Some(Reason::DarkView),
        ),
        row(
            "Dirt, rain or fog on the lens; a frozen or blurred picture",
            "Signs are not seen at all",
            unmeasured(),
            "The picture is watched; what is wrong with it is told within a second or so".to_owned(),
            Some(Reason::BlockedView),
        ),
        row(
            "A sign of a class that the crops show to be weak",
            "Classes look alike",
            with(&|q| Some(match q.weak.is_empty() {
                true => format!("no class is weaker than the whole by more than chance, {} hardly measured", q.hardly_measured.len()),
                false => format!("{} weak classes, listed above", q.weak.len()),
            })),
            format!("A name needs a probability of {min_probability:.2} over several looks; else the sign is told as unknown"),
            None,
        ),
        row(
            "A sign that the pack does not have",
            "It is taken for one that it has",
            with(&|q| Some(format!("named wrong: {}", percent(q.named_wrong?.value)))),
            "Told as an unknown sign; it sets no limit".to_owned(),
            None,
        ),
        row(
            "Something that looks like a sign but is none",
            "A name is given to scenery",
            with(&|q| Some(format!("scenery named: {}", percent(q.false_acceptance?.value)))),
            "Background is a class of its own; a name needs several looks that agree".to_owned(),
            None,
        ),
        row(
            "A country without a pack of its own",
            "National signs are read by their likes of other countries",
            unmeasured(),
            "The WORLD pack is used, and told".to_owned(),
            Some(Reason::FallbackPack),
        ),
        row(
            "No position near a border",
            "The wrong country's signs are read",
            unmeasured(),
            "The last region is kept, and told when it grows old".to_owned(),
            Some(Reason::RegionStale),
        ),
        row(
            "The machine is too slow or too hot",
            "Frames are left out",
            unmeasured(),
            "Old frames are dropped and counted, then crops, rate and resolution fall".to_owned(),
            Some(Reason::Overload),
        ),
        row(
            "Signs, camera or place change over the years",
            "What was measured no longer holds",
            unmeasured(),
            "Statistics of confidence, unknown signs and sizes are kept; leaving their band is told".to_owned(),
            Some(Reason::EvaluateAgain),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_ends_where_too_few_are_named_right() {
        let range = |from: f32, crops, named_right| Range {
            from,
            to: None,
            crops,
            named_right,
            named_wrong: 0,
        };
        let ranges = [
            range(0.0, 50, 10),
            range(16.0, 3, 0),
            range(24.0, 100, 85),
            range(32.0, 100, 99),
        ];
        assert_eq!(lowest(&ranges), Some(24.0));
        assert_eq!(lowest(&ranges[..1]), None);
        let rows = conditions(None, 0.7, 12.0);
        assert!(
            rows.iter()
                .any(|r| r.reason.as_deref() == Some("dark_view"))
        );
        assert!(rows[0].measured.starts_with("not measured"));
    }
}
