//! A snapshot as a page and as Prometheus metrics.

use std::fmt::Write as _;

use super::Snapshot;
use crate::health::{HealthState, Reason, Reasons};

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:1.5em;max-width:44em;color:#222}\
h1{font-size:1.2em}table{border-collapse:collapse}td{padding:.2em 1.2em .2em 0;vertical-align:top}\
.normal{color:#176b2c}.degraded{color:#8a5a00}.fault{color:#a01010}.init{color:#555}";

pub(super) fn html(s: &Snapshot) -> String {
    let state = state_name(s.state);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=1>\
         <meta name=viewport content='width=device-width'><title>tsedge: {state}</title>\
         <style>{STYLE}</style><h1>tsedge {} <span class={state}>{state}</span></h1><table>",
        s.version
    );
    let mut row = |name: &str, text: String| {
        let _ = write!(page, "<tr><td>{name}<td>{}", escaped(&text));
    };
    let or_none = |reasons: Reasons| match reasons.is_empty() {
        true => "none".to_owned(),
        false => reasons.to_string(),
    };
    row("reasons", or_none(s.reasons));
    for (camera, reasons) in &s.cameras {
        row(&format!("camera {camera}"), or_none(*reasons));
    }
    row("last said", s.detail.clone().unwrap_or_default());
    row(
        "region",
        format!("{}, pack {} {}", s.region, s.pack.0, s.pack.1),
    );
    row(
        "speed limit",
        match &s.limit {
            Some(limit) => {
                let unit = limit.unit.map_or(String::new(), |u| u.to_string());
                format!("{} {unit}", limit.value)
            }
            None => "not known".into(),
        },
    );
    row(
        "frames",
        format!(
            "{:.1} a second, {} recognised, {} left out",
            s.frames_per_s, s.frames, s.dropped
        ),
    );
    row(
        "latency",
        format!(
            "{} ms median, {} ms p99",
            s.latency_p50_ms, s.latency_p99_ms
        ),
    );
    row("running", format!("{:.0} s", s.uptime_s));
    for sign in &s.signs {
        let code = sign.national_code.as_deref().unwrap_or("");
        let text = format!("{} {code} {:.2}", sign.label, sign.probability);
        row("sign", text);
    }
    page + "</table></html>\n"
}

pub(super) fn metrics(s: &Snapshot) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = write!(
            text,
            "# HELP tsedge_{name} {help}\n# TYPE tsedge_{name} {kind}\ntsedge_{name} {value}\n"
        );
    };
    metric(
        "frames_total",
        "counter",
        "Frames recognised.",
        s.frames as f64,
    );
    metric(
        "frames_dropped_total",
        "counter",
        "Frames left out.",
        s.dropped as f64,
    );
    metric(
        "signs_confirmed_total",
        "counter",
        "Signs confirmed.",
        s.signs_confirmed as f64,
    );
    metric(
        "region_swaps_total",
        "counter",
        "Changes of the region.",
        s.region_swaps as f64,
    );
    metric(
        "frames_per_second",
        "gauge",
        "Frames a second, lately.",
        s.frames_per_s,
    );
    metric(
        "latency_p50_seconds",
        "gauge",
        "Capture to result, median.",
        s.latency_p50_ms / 1e3,
    );
    metric(
        "latency_p99_seconds",
        "gauge",
        "Capture to result, 99th percentile.",
        s.latency_p99_ms / 1e3,
    );
    metric(
        "uptime_seconds",
        "gauge",
        "Seconds since the start.",
        s.uptime_s,
    );
    let state = f64::from(s.state as u8);
    metric(
        "state",
        "gauge",
        "0 init, 1 normal, 2 degraded, 3 fault.",
        state,
    );
    text.push_str("# HELP tsedge_reason Whether a reason for degradation stands.\n# TYPE tsedge_reason gauge\n");
    for reason in Reason::ALL {
        let stands = u8::from(s.reasons.has(reason));
        let _ = writeln!(
            text,
            "tsedge_reason{{reason=\"{}\"}} {stands}",
            reason.name()
        );
    }
    if !s.cameras.is_empty() {
        text.push_str("# HELP tsedge_camera_reason The same of each camera.\n# TYPE tsedge_camera_reason gauge\n");
    }
    for (camera, reasons) in &s.cameras {
        for reason in Reason::OF_CAMERAS {
            let (stands, reason) = (u8::from(reasons.has(reason)), reason.name());
            let _ = writeln!(
                text,
                "tsedge_camera_reason{{camera=\"{camera}\",reason=\"{reason}\"}} {stands}"
            );
        }
    }
    text
}

/// `/status.json` as one screen of text.
pub fn screen(json: &str) -> serde_json::Result<String> {
    let status: serde_json::Value = serde_json::from_str(json)?;
    let mut text = String::new();
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    for (name, value) in status.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Array(signs) if name == "signs" => {
                for sign in signs {
                    let [label, code, p] =
                        ["label", "national_code", "probability"].map(|key| plain(&sign[key]));
                    let _ = writeln!(text, "{:<18}{label}  {code}  {p}", "sign");
                }
            }
            serde_json::Value::Array(parts) => {
                let parts: Vec<String> = parts.iter().map(plain).collect();
                let _ = writeln!(text, "{name:<18}{}", parts.join(" "));
            }
            value => {
                let _ = writeln!(text, "{name:<18}{}", plain(value));
            }
        }
    }
    Ok(text)
}

fn state_name(state: HealthState) -> &'static str {
    match state {
        HealthState::Init => "init",
        HealthState::Normal => "normal",
        HealthState::Degraded => "degraded",
        HealthState::Fault => "fault",
    }
}

/// Names come from packs, details from drivers.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
