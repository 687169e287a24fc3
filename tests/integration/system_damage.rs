//! A network camera behind a bad link: bursts of truncated NAL units, of noise and of lost packets. Told and counted,
//! and over by itself.
//!
//! `TSEDGE_ROUNDS` says how often; three are one of each.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Value;
use tsedge::clock::{Clock as _, Monotonic};

use crate::live_damage::bursts;
use crate::running::{Line, Running, kinds};
use crate::support::{drive, rounds, spread};
use crate::system_rtsp::{Server, free_port};

const SOUND: u8 = 0;
/// Packets are cut in half.
const CUTS: u8 = 1;
/// Their end is noise.
const NOISE: u8 = 2;
/// Every tenth is lost: of each second picture one.
const LOSES: u8 = 3;

/// Passes on all that a camera sends, and damages its pictures while it is told to.
struct BadLink {
    port: u16,
    fault: Arc<AtomicU8>,
}

impl BadLink {
    fn to(camera: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = Arc::new(AtomicU8::new(SOUND));
        let link = Self {
            port,
            fault: Arc::clone(&fault),
        };
        std::thread::spawn(move || {
            for unit in listener.incoming() {
                let (unit, fault) = (unit.unwrap(), Arc::clone(&fault));
                let Ok(camera) = TcpStream::connect(("127.0.0.1", camera)) else {
                    continue;
                };
                let [mut asks, mut asked] = [&unit, &camera].map(|s| s.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = io::copy(&mut asks, &mut asked);
                    let _ = asked.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    let _ = pass(&camera, &unit, &fault);
                    let _ = unit.shutdown(Shutdown::Both);
                });
            }
        });
        link
    }
}

/// Answers as they are; packets of pictures as the link leaves them.
fn pass(camera: &TcpStream, mut unit: &TcpStream, fault: &AtomicU8) -> io::Result<()> {
    let mut from = BufReader::new(camera);
    let mut passed = 0_u32;
    loop {
        let mut head = [0; 4];
        from.read_exact(&mut head[..1])?;
        if head[0] != b'$' {
            let mut answer = vec![head[0]];
            let mut body = 0;
            while !answer.ends_with(b"\r\n\r\n") {
                let mut line = Vec::new();
                if from.read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                let text = String::from_utf8_lossy(&line).to_lowercase();
                let length = text.strip_prefix("content-length:");
                body = length.map_or(body, |length| length.trim().parse().unwrap());
                answer.extend(line);
            }
            let whole = answer.len() + body;
            answer.resize(whole, 0);
            from.read_exact(&mut answer[whole - body..])?;
            unit.write_all(&answer)?;
            continue;
        }
        from.read_exact(&mut head[1..])?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
        from.read_exact(&mut packet)?;
        // The first channel has the pictures; small packets are their headers.
        if head[1] == 0 && packet.len() > 100 {
            passed += 1;
            match fault.load(Ordering::SeqCst) {
                CUTS => packet.truncate(packet.len() / 2),
                NOISE => packet[50..].fill(0xa5),
                LOSES if passed.is_multiple_of(10) => continue,
                _ => {}
            }
            let length = u16::try_from(packet.len()).unwrap();
            head[2..].copy_from_slice(&length.to_be_bytes());
        }
        unit.write_all(&[&head[..], &packet].concat())?;
    }
}

#[test]
#[ignore = "against real counterparts: make test-system"]
fn system_damage_of_a_network_cameras_pictures_is_told_and_over_by_itself() {
    let port = free_port();
    let _server = Server::start(&drive("test_de_fr").video, port, &[]);
    let link = BadLink::to(port);
    let line = Line::new();
    let camera = format!("[camera]\nurl = \"rtsp://127.0.0.1:{}/front\"\n", link.port);
    let running = Running::start(&[], &(camera + &line.config()), []);
    let signs = |events: &[Value]| kinds(events, "sign_confirmed").len();
    running.wait_for(|events| signs(events) > 0);
    let (rounds, mut told, mut well) = (rounds(3), Vec::new(), Vec::new());
    for fault in [CUTS, NOISE, LOSES].into_iter().cycle().take(rounds) {
        let at = |h: &Value| h["time_s"].as_f64().unwrap();
        let damaged = Monotonic.now().seconds();
        link.fault.store(fault, Ordering::SeqCst);
        running.wait_for(|events| bursts(events).0.iter().any(|h| at(h) > damaged));
        std::thread::sleep(Duration::from_secs(1));
        link.fault.store(SOUND, Ordering::SeqCst);
        let mended = Monotonic.now().seconds();
        let good = |h: &Value| {
            let reasons = h["reasons"].to_string();
            let bad = ["damaged_frames", "no_camera", "stale_frames"];
            at(h) > mended && !bad.iter().any(|bad| reasons.contains(bad))
        };
        running.wait_for(|events| kinds(events, "health").into_iter().any(good));
        let before = signs(&running.events());
        running.wait_for(|events| signs(events) > before);
        let events = running.events();
        let (begins, _) = bursts(&events);
        told.push(
            begins
                .iter()
                .map(|h| at(h) - damaged)
                .find(|s| *s > 0.0)
                .unwrap(),
        );
        let health = kinds(&events, "health");
        let over = health.iter().find(|h| good(h)).unwrap();
        well.push(at(over) - mended);
    }
    running.terminate();
    let (output, events) = running.end();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let details = crate::running::details(&events).join("\n");
    let counted = details.matches("damaged pictures were left out").count();
    assert!(counted >= rounds, "{details}");
    assert!(!details.contains("lost"), "{details}");
    println!(
        "told: {}; well: {}; sentences at most {:.2} s apart",
        spread(&mut told),
        spread(&mut well),
        line.longest_pause_s()
    );
    assert!(line.longest_pause_s() < 5.0);
}
