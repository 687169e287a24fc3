//! The page: head, closing figures, timeline, map, signs, scenes, latency.

use std::io::{self, Write};
use std::time::Duration;

use super::journal::{Journal, SignCard};
use super::markup::{DataUrl, Text, clock};
use super::{ReportInfo, StageSamples, latency, map, swaps, timeline};
use crate::event::{StageTime, Summary};

pub struct Page<'a> {
    pub info: &'a ReportInfo,
    pub journal: &'a Journal,
    pub summary: &'a Summary,
    pub stages: &'a [StageTime],
    pub samples: &'a [StageSamples<'a>],
    pub wall_time: Duration,
}

impl Page<'_> {
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        self.head(out)?;
        self.figures(out)?;
        writeln!(out, "<section><h2>Timeline</h2>")?;
        timeline::write(out, self.journal)?;
        writeln!(out, "</section>")?;
        swaps::write(out, self.journal)?;
        writeln!(out, "<section><h2>Signs</h2>")?;
        self.signs(out)?;
        writeln!(out, "</section>")?;
        self.scenes(out)?;
        self.unknown(out)?;
        let mapped = !self.journal.route.points.is_empty();
        if mapped {
            writeln!(
                out,
                r#"<div class="pair"><section><h2>Where the car was</h2>"#
            )?;
            map::write(out, self.journal)?;
            writeln!(out, "</section>")?;
        }
        writeln!(out, "<section><h2>Time a frame takes</h2>")?;
        latency::write(out, self.stages, self.samples)?;
        writeln!(out, "</section>{}", if mapped { "</div>" } else { "" })?;
        self.made_with(out)?;
        writeln!(out, "</main></body></html>")
    }

    fn head(&self, out: &mut impl Write) -> io::Result<()> {
        let regions: Vec<String> = (self.journal.region_order().iter())
            .map(ToString::to_string)
            .collect();
        // A single region is what the position source says already.
        let crossed = match regions.len() {
            0 | 1 => String::new(),
            _ => format!("{} · ", regions.join(" → ")),
        };
        let (width, height) = self.journal.frame_px;
        writeln!(
            out,
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'"/>
<title>{0} – tsedge report</title>
<style>
{1}</style></head><body><main>
<header><p class="kicker">tsedge replay</p><h1>{0}</h1><p class="quiet">{2} min, {width} × {height} px · {3}{4}</p></header>"#,
            Text(&self.info.source),
            include_str!("report.css"),
            clock(crate::units::Timestamp::from_seconds(
                self.journal.end.seconds_since(self.journal.start)
            )),
            crossed,
            Text(&self.info.position_source),
        )
    }

    fn figures(&self, out: &mut impl Write) -> io::Result<()> {
        let s = self.summary;
        let wall_s = self.wall_time.as_secs_f64().max(1e-9);
        let fps = s.frames as f64 / wall_s;
        let pace = self.journal.duration_s() / wall_s;
        let lost = match s.lost_frames {
            0 => "none lost".to_owned(),
            n => format!("{n} lost to damage"),
        };
        writeln!(out, r#"<dl class="figures">"#)?;
        for (value, name, note) in [
            (s.signs.to_string(), "signs named", String::new()),
            (s.unknown_signs.to_string(), "unknown signs", String::new()),
            (s.region_swaps.to_string(), "region swaps", String::new()),
            (s.frames.to_string(), "frames", lost),
            (
                format!("{fps:.0}/s"),
                "frames read",
                format!("{pace:.1} × real time"),
            ),
        ] {
            writeln!(
                out,
                "<div><dt>{name}</dt><dd><b>{value}</b> <small>{note}</small></dd></div>"
            )?;
        }
        writeln!(out, "</dl>")
    }

    fn signs(&self, out: &mut impl Write) -> io::Result<()> {
        let signs = &self.journal.signs;
        if signs.items.is_empty() {
            return writeln!(out, r#"<p class="quiet">No sign was named.</p>"#);
        }
        writeln!(
            out,
            r#"<table class="signs"><thead><tr><th scope="col">Picture</th><th scope="col">Time</th><th scope="col">Sign</th><th scope="col">Code</th><th scope="col">Probability</th><th scope="col">Best three</th><th scope="col">Region</th><th scope="col">Seen → named</th></tr></thead><tbody>"#
        )?;
        for sign in &signs.items {
            row(out, sign)?;
        }
        writeln!(out, "</tbody></table>")?;
        left_out(out, signs.left_out, "signs")
    }

    fn scenes(&self, out: &mut impl Write) -> io::Result<()> {
        let signs = &self.journal.signs.items;
        let mut scenes = signs
            .iter()
            .filter_map(|s| Some((s, s.scene.as_ref()?)))
            .peekable();
        if scenes.peek().is_none() {
            return Ok(());
        }
        writeln!(
            out,
            r#"<section><h2>Scenes</h2><p class="quiet">The frame in which each sign was named.</p><div class="scenes">"#
        )?;
        for (sign, scene) in scenes {
            let [x, y, width, height] = scene.box_percent;
            let name = label(sign);
            writeln!(
                out,
                r##"<figure id="s{0}"><div class="scene"><img loading="lazy" width="{1}" height="{2}" alt="Road scene with the sign {3}" src="{4}"/><i style="left:{x:.2}%;top:{y:.2}%;width:{width:.2}%;height:{height:.2}%"></i></div><figcaption><a href="#t{0}">{5}</a> {3}</figcaption></figure>"##,
                sign.event.track.0,
                scene.picture.width_px,
                scene.picture.height_px,
                Text(name),
                DataUrl(&scene.picture),
                clock(sign.event.time),
            )?;
        }
        writeln!(out, "</div></section>")
    }

    fn unknown(&self, out: &mut impl Write) -> io::Result<()> {
        let unknown = &self.journal.unknown;
        if unknown.items.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            r#"<section><h2>Unknown signs</h2><p class="quiet">Signs that the pack does not name with enough certainty, and the closest class where it is known.</p><div class="unknown">"#
        )?;
        for card in &unknown.items {
            let best = card.event.top.first();
            writeln!(out, "<figure>")?;
            crop(out, card, "Unknown sign")?;
            writeln!(
                out,
                "<figcaption>{} <span>{} {}</span></figcaption></figure>",
                clock(card.event.time),
                Text(best.map_or("", |c| &c.class.label_en)),
                best.map_or(String::new(), |c| format!("{:.2}", c.probability)),
            )?;
        }
        writeln!(out, "</div>")?;
        left_out(out, unknown.left_out, "unknown signs")?;
        writeln!(out, "</section>")
    }

    fn made_with(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            r#"<section><h2>Made with</h2><table class="made"><tbody>"#
        )?;
        for item in &self.info.ingredients {
            writeln!(
                out,
                r#"<tr><th scope="row">{}</th><td>{}</td><td class="hash">{}</td></tr>"#,
                Text(&item.role),
                Text(&item.name),
                Text(&item.sha256)
            )?;
        }
        let mut packs: Vec<&str> = Vec::new();
        for event in self.journal.regions.items.iter().map(|swap| &swap.event) {
            if packs.contains(&&*event.pack_sha256) {
                continue;
            }
            packs.push(&event.pack_sha256);
            writeln!(
                out,
                r#"<tr><th scope="row">pack {}</th><td>version {}</td><td class="hash">{}</td></tr>"#,
                event.pack,
                Text(&event.pack_version),
                Text(&event.pack_sha256)
            )?;
        }
        writeln!(
            out,
            r#"<tr><th scope="row">tsedge</th><td>{}</td><td></td></tr></tbody></table><p class="quiet">This file shows scenes of the drive because a report was asked for; it loads nothing from anywhere.</p></section>"#,
            env!("CARGO_PKG_VERSION")
        )
    }
}

fn row(out: &mut impl Write, sign: &SignCard) -> io::Result<()> {
    let e = &sign.event;
    let (local, code) = match e.naming.class() {
        Some(class) => (
            class.label_local.as_str(),
            class.national_code.as_deref().unwrap_or("–"),
        ),
        None => ("", "–"),
    };
    let id = e.track.0;
    let name = label(sign);
    write!(out, r#"<tr id="t{id}"><td class="pic">"#)?;
    crop(out, sign, name)?;
    write!(out, r#"</td><td class="time">"#)?;
    match sign.scene {
        Some(_) => write!(out, r##"<a href="#s{id}">{}</a>"##, clock(e.time))?,
        None => write!(out, "{}", clock(e.time))?,
    }
    write!(out, r#"</td><th scope="row">{}"#, Text(name))?;
    if local != name {
        write!(out, "<small>{}</small>", Text(local))?;
    }
    let percent = f64::from(e.probability) * 100.0;
    write!(
        out,
        r#"</th><td class="code">{}</td><td class="prob"><span>{:.3}</span><i class="meter"><i style="width:{:.0}%"></i></i></td><td class="top">"#,
        Text(code),
        e.probability,
        percent.clamp(0.0, 100.0)
    )?;
    for candidate in &e.top {
        write!(
            out,
            "<span>{} <b>{:.2}</b></span>",
            Text(&candidate.class.label_en),
            candidate.probability
        )?;
    }
    writeln!(
        out,
        r#"</td><td class="region">{}</td><td class="life">{} → {}<small>{} views, track {id}</small></td></tr>"#,
        e.region,
        clock(e.first_seen),
        clock(e.time),
        e.observations
    )
}

fn crop(out: &mut impl Write, sign: &SignCard, name: &str) -> io::Result<()> {
    match &sign.crop {
        Some(picture) => write!(
            out,
            r#"<img class="crop" width="{}" height="{}" alt="Camera picture: {}" src="{}"/>"#,
            picture.width_px,
            picture.height_px,
            Text(name),
            DataUrl(picture)
        ),
        None => write!(out, r#"<span class="crop none">no picture</span>"#),
    }
}

fn label(sign: &SignCard) -> &str {
    sign.event
        .naming
        .class()
        .map_or("Unknown sign", |class| &class.label_en)
}

fn left_out(out: &mut impl Write, count: usize, what: &str) -> io::Result<()> {
    if count > 0 {
        writeln!(
            out,
            r#"<p class="quiet">{count} more {what} are not shown; the JSON lines hold them all.</p>"#
        )?;
    }
    Ok(())
}
