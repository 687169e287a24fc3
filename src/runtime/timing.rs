//! How long each stage takes: counts in fixed buckets, so that memory does not grow with the drive.

use std::time::Duration;

use crate::event::StageTime;

/// The stages of a frame, in the order of the data. `tsedge bench` tells apart what `recognise` has in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading and decoding the video.
    Decode,
    /// From the frame to the detector's input.
    Resample,
    /// The detector's network.
    Detect,
    /// Another region's bank put in force: in frames after a border only.
    Swap,
    /// Boxes, tracks, crops, matching, events: all of recognition but the networks.
    Recognise,
    /// Boxes tied to tracks.
    Track,
    /// Crops made for the encoder.
    Crop,
    /// The encoder's network.
    Encode,
    /// Embeddings compared with the region's.
    Match,
    /// Outputs and pictures.
    Output,
    /// All of a frame, one stage after another.
    Frame,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Decode,
        Self::Resample,
        Self::Detect,
        Self::Swap,
        Self::Recognise,
        Self::Track,
        Self::Crop,
        Self::Encode,
        Self::Match,
        Self::Output,
        Self::Frame,
    ];

    /// As printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Resample => "resample",
            Self::Detect => "detect",
            Self::Swap => "swap",
            Self::Recognise => "recognise",
            Self::Track => "track",
            Self::Crop => "crop",
            Self::Encode => "encode",
            Self::Match => "match",
            Self::Output => "output",
            Self::Frame => "frame",
        }
    }
}

/// Buckets grow by this factor: percentiles are right to 2 %.
const GROWTH: f64 = 1.02;
const SHORTEST_MS: f64 = 1e-4;
const BUCKETS: usize = 1024;

#[derive(Debug, Clone)]
struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_ms: f64,
    max_ms: f64,
}

impl Histogram {
    fn add(&mut self, ms: f64) {
        let bucket = (ms / SHORTEST_MS).max(1.0).ln() / GROWTH.ln();
        self.counts[(bucket as usize).min(BUCKETS - 1)] += 1;
        self.total += 1;
        self.sum_ms += ms;
        self.max_ms = self.max_ms.max(ms);
    }

    fn percentile_ms(&self, share: f64) -> f64 {
        let rank = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return (SHORTEST_MS * GROWTH.powf(bucket as f64 + 0.5)).min(self.max_ms);
            }
        }
        0.0
    }
}

/// Times of all stages, a sample a frame.
#[derive(Debug, Clone)]
pub struct StageTimes {
    histograms: Vec<Histogram>,
}

impl Default for StageTimes {
    fn default() -> Self {
        let empty = Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
            sum_ms: 0.0,
            max_ms: 0.0,
        };
        Self {
            histograms: vec![empty; Stage::ALL.len()],
        }
    }
}

impl StageTimes {
    /// Adds the time of a frame.
    pub fn add(&mut self, stage: Stage, time: Duration) {
        self.histograms[stage as usize].add(time.as_secs_f64() * 1e3);
    }

    /// Adds all samples of another.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.histograms.iter_mut().zip(&other.histograms) {
            for (a, b) in own.counts.iter_mut().zip(&other.counts) {
                *a += b;
            }
            own.total += other.total;
            own.sum_ms += other.sum_ms;
            own.max_ms = own.max_ms.max(other.max_ms);
        }
    }

    /// Median, 99th percentile and maximum of each stage that ran.
    pub fn summary(&self) -> Vec<StageTime> {
        (Stage::ALL.iter().zip(&self.histograms))
            .filter(|(_, h)| h.total > 0)
            .map(|(stage, h)| StageTime {
                stage: stage.name(),
                p50_ms: h.percentile_ms(0.5),
                p99_ms: h.percentile_ms(0.99),
                max_ms: h.max_ms,
            })
            .collect()
    }

    /// At most `count` figures in milliseconds that stand for a stage's distribution: its quantiles.
    pub fn quantiles_ms(&self, stage: Stage, count: usize) -> Vec<f32> {
        let histogram = &self.histograms[stage as usize];
        let count = count.min(histogram.total as usize);
        (0..count)
            .map(|i| histogram.percentile_ms((i as f64 + 0.5) / count as f64) as f32)
            .collect()
    }

    /// Frames in which a stage ran.
    pub fn samples(&self, stage: Stage) -> u64 {
        self.histograms[stage as usize].total
    }

    /// Time spent in a stage in all.
    pub fn total_ms(&self, stage: Stage) -> f64 {
        self.histograms[stage as usize].sum_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_the_width_of_a_bucket() {
        let mut times = StageTimes::default();
        for ms in 1..=1000 {
            times.add(Stage::Detect, Duration::from_micros(ms * 100));
        }
        let summary = times.summary();
        assert_eq!(summary.len(), 1);
        let near = |found: f64, want: f64| assert!((found / want - 1.0).abs() < 0.02, "{found}");
        near(summary[0].p50_ms, 50.0);
        near(summary[0].p99_ms, 99.0);
        near(summary[0].max_ms, 100.0);
        near(times.total_ms(Stage::Detect), 50_050.0);
    }
}
