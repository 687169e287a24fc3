//! Watches a drive and keeps what its report shows: the best picture of each track, a few scenes,
//! the way of the car, and what changed.

use std::collections::BTreeMap;

use anyhow::Context as _;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::journal::{Bounded, Journal, Picture, Route, RoutePoint, Scene, SignCard, Swap};
use crate::event::{Event, FrameView, Naming, SignEvent, TrackView};
use crate::frame::Frame;
use crate::frame::resample::crop_rgb;
use crate::units::{BoxPx, Timestamp, TrackId};

const SIGNS: usize = 1000;
const UNKNOWN_SIGNS: usize = 100;
const CHANGES: usize = 1000;
const SCENES: usize = 50;
const CROP_PX: u32 = 112;
const SCENE_PX: u32 = 640;
/// A sign is cropped again when its box has grown by this factor in area.
const GROWTH: f32 = 1.3;
/// Room left around a sign, as a share of its size, on each side.
const CROP_MARGIN: f32 = 0.12;
const CROP_QUALITY: u8 = 85;
const SCENE_QUALITY: u8 = 70;

/// A track that is still in sight.
#[derive(Default)]
struct Live {
    crop: Option<(f32, RgbImage)>,
    /// What it was first told as.
    seen: Option<SignCard>,
    naming: Option<Naming>,
    card: Option<Card>,
}

enum Card {
    Confirmed(SignCard),
    Unknown(SignCard),
}

pub struct Collector {
    start: Option<Timestamp>,
    end: Timestamp,
    frame_px: (u32, u32),
    live: BTreeMap<TrackId, Live>,
    scenes: usize,
    signs: Bounded<SignCard>,
    unknown: Bounded<SignCard>,
    advice: Bounded<crate::event::SpeedAdvice>,
    regions: Bounded<Swap>,
    route: Route,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            start: None,
            end: Timestamp::ZERO,
            frame_px: (0, 0),
            live: BTreeMap::new(),
            scenes: 0,
            signs: Bounded::new(SIGNS),
            unknown: Bounded::new(UNKNOWN_SIGNS),
            advice: Bounded::new(CHANGES),
            regions: Bounded::new(CHANGES),
            route: Route::new(),
        }
    }
}

impl Collector {
    pub fn frame(&mut self, frame: &Frame, view: &FrameView<'_>) -> anyhow::Result<()> {
        self.start.get_or_insert(frame.time);
        self.end = frame.time;
        self.frame_px = (frame.width_px(), frame.height_px());
        if let Some(position_deg) = view.position_deg {
            self.route.add(RoutePoint {
                time: frame.time,
                position_deg,
                region: view.region,
            });
        }
        for track in view.tracks {
            self.look_at(frame, track);
        }
        for event in view.events {
            match event {
                Event::SignConfirmed(e) => self.confirmed(frame, view, e)?,
                Event::SignLost(e) => self.lost(frame, view, e)?,
                Event::SpeedLimit(e) => self.advice.push(e.clone()),
                Event::Region(e) => self.regions.push(Swap {
                    event: e.clone(),
                    took: view.swap_took,
                }),
                Event::SignSeen(e) => {
                    let live = self.live.entry(e.track).or_default();
                    live.seen = Some(card(view, e, None));
                }
                Event::Health(_) | Event::Summary(_) => {}
            }
        }
        let gone: Vec<TrackId> = (self.live.keys().copied())
            .filter(|id| view.tracks.iter().all(|t| t.track != *id))
            .collect();
        gone.into_iter().try_for_each(|id| self.close(id))
    }

    /// Ends the drive at `end`; tracks still in sight are kept as they are.
    pub fn into_journal(mut self, end: Timestamp) -> Journal {
        for id in self.live.keys().copied().collect::<Vec<_>>() {
            self.end_in_sight(id, end);
            // A crop that cannot be encoded leaves its row without a picture.
            let _ = self.close(id);
        }
        self.signs
            .items
            .sort_by_key(|s| (s.event.time, s.event.track));
        self.unknown
            .items
            .sort_by_key(|s| (s.event.time, s.event.track));
        Journal {
            start: self.start.unwrap_or(Timestamp::ZERO),
            end: end.max(self.end),
            frame_px: self.frame_px,
            signs: self.signs,
            unknown: self.unknown,
            advice: self.advice,
            regions: self.regions,
            route: self.route,
        }
    }

    /// The drive is over before this track: an unknown sign is told by what was seen of it last.
    fn end_in_sight(&mut self, id: TrackId, end: Timestamp) {
        let Some(live) = self.live.get_mut(&id) else {
            return;
        };
        if live.card.is_none() && live.naming == Some(Naming::UnknownSign) {
            live.card = live.seen.take().map(|mut card| {
                card.event.time = end;
                card.event.naming = Naming::UnknownSign;
                // The best classes of the first look may not be those of the last.
                card.event.top.clear();
                Card::Unknown(card)
            });
        }
    }

    /// Keeps the largest view of a track that lies wholly inside the frame.
    fn look_at(&mut self, frame: &Frame, track: &TrackView) {
        let inside = track.bbox.clipped(frame.width_px(), frame.height_px()) == track.bbox;
        let worth = track.detected
            && inside
            && track.bbox.is_usable()
            && track.naming != Naming::NotASign
            && !self.signs.is_full();
        let live = self.live.entry(track.track).or_default();
        live.naming = Some(track.naming.clone());
        let area = track.bbox.area();
        let best = live.crop.as_ref().map_or(0.0, |(area, _)| *area);
        if worth && area > best * GROWTH {
            let window = square_window(frame, &track.bbox);
            live.crop = Some((area, crop_rgb(frame, window, CROP_PX)));
        }
    }

    fn confirmed(
        &mut self,
        frame: &Frame,
        view: &FrameView<'_>,
        event: &SignEvent,
    ) -> anyhow::Result<()> {
        let scene = if self.scenes < SCENES && event.naming.class().is_some() {
            self.scenes += 1;
            Some(scene(frame, &event.bbox)?)
        } else {
            None
        };
        let live = self.live.entry(event.track).or_default();
        match &mut live.card {
            // Named again, by the pack of another region: the first time and scene stay.
            Some(Card::Confirmed(card)) => {
                let time = card.event.time;
                card.event = event.clone();
                card.event.time = time;
            }
            _ => live.card = Some(Card::Confirmed(card(view, event, scene))),
        }
        Ok(())
    }

    fn lost(
        &mut self,
        frame: &Frame,
        view: &FrameView<'_>,
        event: &SignEvent,
    ) -> anyhow::Result<()> {
        let Some(live) = self.live.get_mut(&event.track) else {
            return Ok(());
        };
        if live.card.is_none() && event.naming == Naming::UnknownSign {
            if live.crop.is_none() && event.bbox.is_usable() && frame.width_px() > 0 {
                let window = square_window(frame, &event.bbox);
                live.crop = Some((event.bbox.area(), crop_rgb(frame, window, CROP_PX)));
            }
            live.card = Some(Card::Unknown(card(view, event, None)));
        }
        self.close(event.track)
    }

    fn close(&mut self, id: TrackId) -> anyhow::Result<()> {
        let Some(live) = self.live.remove(&id) else {
            return Ok(());
        };
        let Some(card) = live.card else {
            return Ok(());
        };
        let crop = match live.crop {
            Some((_, image)) => Some(jpeg(&image, CROP_QUALITY)?),
            None => None,
        };
        match card {
            Card::Confirmed(card) => self.signs.push(SignCard { crop, ..card }),
            Card::Unknown(card) => self.unknown.push(SignCard { crop, ..card }),
        }
        Ok(())
    }
}

fn card(view: &FrameView<'_>, event: &SignEvent, scene: Option<Scene>) -> SignCard {
    SignCard {
        event: event.clone(),
        position_deg: view.position_deg,
        crop: None,
        scene,
    }
}

/// The box with a margin, as a square moved into the frame, so that signs keep their shape.
fn square_window(frame: &Frame, bbox: &BoxPx) -> BoxPx {
    let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
    let side = (bbox.longer_side() * (1.0 + 2.0 * CROP_MARGIN)).min(width.min(height));
    let (cx, cy) = bbox.centre();
    let half = side / 2.0;
    let cx = cx.max(half).min(width - half);
    let cy = cy.max(half).min(height - half);
    BoxPx::from_centre(cx, cy, side, side)
}

fn scene(frame: &Frame, bbox: &BoxPx) -> anyhow::Result<Scene> {
    let (width, height) = (frame.width_px() as f32, frame.height_px() as f32);
    let whole = BoxPx::new(0.0, 0.0, width, height);
    let bbox = bbox.grown(0.1).clipped(frame.width_px(), frame.height_px());
    Ok(Scene {
        picture: jpeg(&crop_rgb(frame, whole, SCENE_PX), SCENE_QUALITY)?,
        box_percent: [
            bbox.x0 / width,
            bbox.y0 / height,
            bbox.width() / width,
            bbox.height() / height,
        ]
        .map(|share| share * 100.0),
    })
}

fn jpeg(image: &RgbImage, quality: u8) -> anyhow::Result<Picture> {
    let mut jpeg = Vec::new();
    image
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, quality))
        .context("a picture of the report cannot be encoded")?;
    Ok(Picture {
        jpeg,
        width_px: image.width(),
        height_px: image.height(),
    })
}
