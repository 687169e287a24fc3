//! Network cameras by RTSP: H.264 over the connection's own TCP, or over UDP; lost and found again.
//!
//! All waiting happens inside [`Camera::shoot`], on the thread that calls it: the client's futures are only
//! driven there. After packets were lost, pictures are left out up to the next one that starts afresh.

mod session;
mod stamps;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use retina::client::{Credentials, Demuxed};
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use url::Url;

use self::session::{Fault, connect, next_frame};
use self::stamps::Stamps;
use super::camera::{Camera, Loss, Missed, STALL, Shot};
use super::h264::H264Decoder;
use super::h264_params::AvcConfig;
use super::upright::Rotation;
use super::video::{Decode, Decoded, Packet};
use crate::clock::{Clock, Monotonic};
use crate::frame::Frame;
use crate::retry::Retry;
use crate::units::Timestamp;

/// From the first word to playing.
const CONNECT: Duration = Duration::from_secs(3);
/// Pauses before one that refuses us is tried again, which many answer with a ban when it is repeated.
const REFUSED: Retry = Retry::new(Duration::from_secs(10), Duration::from_secs(60));

/// How pictures travel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Within the connection: none is lost, some may be late.
    #[default]
    Tcp,
    /// As packets of their own, for cameras that do nothing else.
    Udp,
}

/// What is asked of a network camera.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspPlan {
    url: Url,
    login: Option<Credentials>,
    way: Way,
    /// Width and height to expect while it is not there.
    size_px: (u32, u32),
}

impl RtspPlan {
    /// The URL carries no user: `login` is user and password. The error says what is wrong with the URL
    /// without repeating it, for it may hold a password.
    pub fn new(
        url: &str,
        login: Option<(String, String)>,
        size_px: (u32, u32),
    ) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|e| e.to_string())?;
        if url.scheme() == "rtsps" {
            return Err(
                "RTSP over TLS is not supported: use rtsp:// in a network of the vehicle's own"
                    .to_owned(),
            );
        }
        if url.scheme() != "rtsp" || url.host_str().is_none_or(str::is_empty) {
            return Err("is not of the form rtsp://host:554/path".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "holds a user or password: give `user` and `password_file` instead".to_owned(),
            );
        }
        let login = login.map(|(username, password)| Credentials { username, password });
        Ok(Self {
            url,
            login,
            way: Way::default(),
            size_px,
        })
    }

    /// With pictures that travel so.
    pub fn over(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// Where the camera is; without the login.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl std::fmt::Debug for RtspPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.url())
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<(Demuxed, usize), Fault>> + Send>>;

enum Link {
    Down,
    Connecting(Connecting),
    Up(Box<Live>),
}

/// A network camera; see the module.
pub struct RtspCamera {
    plan: RtspPlan,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    link: Link,
    gone: Loss,
    refused: Loss,
    description: String,
    frame_px: (u32, u32),
    frames: u64,
    missed: Missed,
    last: Timestamp,
}

/// While it plays.
struct Live {
    demuxed: Demuxed,
    stream: usize,
    decoder: Option<H264Decoder>,
    stamps: Stamps,
    /// Whether all that the next picture builds on was received.
    whole: bool,
    last_picture: Timestamp,
}

impl RtspCamera {
    /// The camera need not be there yet; if it is, this waits until it plays.
    pub fn new(plan: RtspPlan, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        // So that its size is known before the detector is made; a failure is told by the first shots.
        Self::connected(plan, clock).map(|(camera, _)| camera)
    }

    /// Why a camera brings no pictures now, in words; connects to it for some seconds at most.
    pub fn obstacle(plan: RtspPlan) -> Option<String> {
        match Self::connected(plan, Arc::new(Monotonic)) {
            Ok((_, Shot::Lost(why))) => Some(why),
            Ok(_) => None,
            Err(e) => Some(e.to_string()),
        }
    }

    fn connected(plan: RtspPlan, clock: Arc<dyn Clock>) -> std::io::Result<(Self, Shot)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let mut camera = Self {
            description: plan.url.to_string(),
            frame_px: plan.size_px,
            plan,
            clock,
            runtime,
            link: Link::Down,
            gone: Loss::default(),
            refused: Loss::with(REFUSED),
            frames: 0,
            missed: Missed::default(),
            last: Timestamp::ZERO,
        };
        let shot = camera.connect(CONNECT + CONNECT);
        Ok((camera, shot))
    }

    /// Gets on with connecting for `patience`.
    fn connect(&mut self, patience: Duration) -> Shot {
        let now = self.clock.now();
        if matches!(self.link, Link::Down) {
            if let Some(lost) = self.gone.pause(now).or_else(|| self.refused.pause(now)) {
                return lost;
            }
            let (url, login) = (self.plan.url.clone(), self.plan.login.clone());
            let way = self.plan.way;
            self.link = Link::Connecting(Box::pin(async move {
                let late = |_| Fault::Gone(format!("does not answer within {CONNECT:?}"));
                timeout(CONNECT, connect(url, login, way))
                    .await
                    .map_err(late)?
            }));
        }
        let Link::Connecting(connecting) = &mut self.link else {
            return Shot::Late;
        };
        match self
            .runtime
            .block_on(async { timeout(patience, connecting).await })
        {
            Err(_) => Shot::Late,
            Ok(Err(fault)) => self.lose(fault),
            Ok(Ok((demuxed, stream))) => {
                let mut live = Box::new(Live {
                    demuxed,
                    stream,
                    decoder: None,
                    stamps: Stamps::default(),
                    whole: false,
                    last_picture: self.clock.now(),
                });
                let started = live.start_decoder(&self.plan);
                self.link = Link::Up(live);
                match started {
                    Ok(size_px) => {
                        self.know_size(size_px);
                        Shot::Late
                    }
                    Err(fault) => self.lose(fault),
                }
            }
        }
    }

    fn know_size(&mut self, size_px: Option<(u32, u32)>) {
        if let Some((width, height)) = size_px {
            self.frame_px = (width, height);
            self.description = format!("{}, {width}x{height} H.264", self.plan.url);
        }
    }

    fn lose(&mut self, fault: Fault) -> Shot {
        self.hang_up();
        let now = self.clock.now();
        let (loss, why) = match fault {
            Fault::Gone(why) => (&mut self.gone, why),
            Fault::Refused(why) => (&mut self.refused, why),
        };
        loss.begins(now, format!("{}: {why}", self.plan.url))
    }

    fn hang_up(&mut self) {
        // The client's own clean-up needs its runtime.
        let _runtime = self.runtime.enter();
        self.link = Link::Down;
    }

    fn took(&mut self, time: Timestamp, frame: &mut Frame) -> Shot {
        frame.time = time.max(self.last);
        frame.index = self.frames;
        self.frames += 1;
        self.last = frame.time;
        self.gone.ends();
        self.refused.ends();
        Shot::Frame
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Camera for RtspCamera {
    fn description(&self) -> &str {
        &self.description
    }

    fn frame_px(&self) -> (u32, u32) {
        self.frame_px
    }

    fn shoot(&mut self, frame: &mut Frame, patience: Duration) -> Shot {
        let start = self.clock.now();
        loop {
            let now = self.clock.now();
            let left_s = patience.as_secs_f64() - now.seconds_since(start);
            let Link::Up(live) = &mut self.link else {
                return self.connect(patience);
            };
            if let Some(time) = live.decoder.as_mut().and_then(|d| d.pending(frame)) {
                return self.took(time, frame);
            }
            let quiet_s = now.seconds_since(live.last_picture);
            if quiet_s > STALL.as_secs_f64() {
                return self.lose(Fault::Gone(format!("no picture for {quiet_s:.1} s")));
            }
            if left_s <= 0.0 {
                return Shot::Late;
            }
            let next = next_frame(&mut live.demuxed);
            let left = Duration::from_secs_f64(left_s);
            let coded = match self.runtime.block_on(async { timeout(left, next).await }) {
                Err(_) => continue,
                Ok(Err(fault)) => return self.lose(fault),
                Ok(Ok(coded)) => coded,
            };
            if coded.has_new_parameters() {
                match live.start_decoder(&self.plan) {
                    Ok(size_px) => self.know_size(size_px),
                    Err(fault) => return self.lose(fault),
                }
            }
            let now = self.clock.now();
            let Link::Up(live) = &mut self.link else {
                return Shot::Late;
            };
            let decoded = live.decode(&coded, now, frame);
            let lost = live.decoder.as_mut().map_or(0, Decode::take_lost);
            self.missed.damaged += lost;
            match decoded {
                Decoded::Picture(time) => {
                    live.last_picture = now;
                    return self.took(time, frame);
                }
                Decoded::Later => {}
                Decoded::Damaged => self.missed.damaged += 1,
            }
        }
    }

    fn take_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }
}

impl Live {
    /// For the parameters that the stream has now, if it told them; the size of its pictures.
    fn start_decoder(&mut self, plan: &RtspPlan) -> Result<Option<(u32, u32)>, Fault> {
        let Some(avc) = session::parameters(&self.demuxed, self.stream) else {
            return Ok(None);
        };
        let refused = |what: &str| Fault::Refused(format!("{what}; {}", session::WANTED));
        let avc = AvcConfig::parse(avc)
            .ok_or_else(|| refused("sends an H.264 header that cannot be read"))?;
        if let Some(obstacle) = avc.sps.obstacle() {
            return Err(refused(&format!("sends {obstacle}")));
        }
        let size_px = (avc.sps.width_px, avc.sps.height_px);
        let decoder = H264Decoder::new(Path::new(plan.url()), vec![Some(avc)], Rotation::None);
        self.decoder = Some(decoder.map_err(|e| Fault::Gone(e.to_string()))?);
        self.whole = false;
        Ok(Some(size_px))
    }

    fn decode(
        &mut self,
        coded: &retina::codec::VideoFrame,
        now: Timestamp,
        frame: &mut Frame,
    ) -> Decoded {
        let time = self.stamps.captured(coded.timestamp().elapsed_secs(), now);
        self.whole &= coded.loss() == 0;
        self.whole |= coded.is_random_access_point();
        let Some(decoder) = self.decoder.as_mut().filter(|_| self.whole) else {
            return Decoded::Damaged;
        };
        let packet = Packet {
            time,
            offset: 0,
            entry: 0,
        };
        decoder.decode(coded.data(), &packet, frame)
    }
}
