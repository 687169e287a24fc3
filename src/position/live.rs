//! A receiver that is read while it runs, and reconnected when it goes away.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::{Reading, gpsd, nmea};
use crate::clock::Clock;
use crate::retry::Retry;
use crate::units::Timestamp;

/// How long a poll may wait for bytes.
const PATIENCE: Duration = Duration::from_millis(200);
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A line that says nothing for so long is opened anew: a peer may have gone without a word.
const SILENCE_S: f64 = 30.0;

/// What a poll brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A position, or that there is none.
    Reading(Reading),
    /// Nothing new.
    Quiet,
    /// The source went away, and why; told once. It is tried again by itself.
    Down(String),
    /// The source is there, for the first time or again.
    Up,
}

/// Where live readings come from. Owned by one thread.
pub trait PositionSource: Send {
    /// For messages, e.g. `gpsd 127.0.0.1:2947`.
    fn name(&self) -> &str;

    /// The next thing to be told; waits 200 ms for it (a second while connecting). Between two tries of a
    /// source that is gone it returns at once: pause a little when it is quiet.
    fn poll(&mut self, clock: &dyn Clock) -> Told;
}

type Open = Box<dyn FnMut() -> io::Result<Box<dyn Read + Send>> + Send>;

enum Decoder {
    Nmea(nmea::Decoder),
    Gpsd(gpsd::Decoder),
}

impl Decoder {
    fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Reading)) {
        match self {
            Self::Nmea(decoder) => decoder.push(bytes, |moment| take(moment.reading)),
            Self::Gpsd(decoder) => decoder.push(bytes, take),
        }
    }

    fn clear(&mut self) {
        *self = match self {
            Self::Nmea(_) => Self::Nmea(nmea::Decoder::default()),
            Self::Gpsd(_) => Self::Gpsd(gpsd::Decoder::default()),
        };
    }
}

/// A gpsd or a receiver on a serial line.
pub struct Live {
    name: String,
    open: Open,
    line: Option<Box<dyn Read + Send>>,
    decoder: Decoder,
    waiting: VecDeque<Reading>,
    retry: Retry,
    last_bytes: Timestamp,
    /// What was told last: there, or gone.
    told_up: Option<bool>,
}

impl Live {
    /// The gpsd at `host:port`.
    pub fn gpsd(address: &str) -> Self {
        let name = format!("gpsd {address}");
        let address = address.to_owned();
        let open = move || {
            let mut stream = connect(&address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(gpsd::WATCH)?;
            Ok(Box::new(stream) as Box<dyn Read + Send>)
        };
        Self::new(name, open, Decoder::Gpsd(gpsd::Decoder::default()))
    }

    /// A receiver that sends NMEA 0183 on the serial line `device`, at `baud` bits a second.
    pub fn nmea(device: &Path, baud: u32) -> Self {
        let name = format!("NMEA on {}", device.display());
        let device = device.to_owned();
        let open = move || {
            let mut port = serial2::SerialPort::open(&device, baud)?;
            port.set_read_timeout(PATIENCE)?;
            Ok(Box::new(port) as Box<dyn Read + Send>)
        };
        Self::new(name, open, Decoder::Nmea(nmea::Decoder::default()))
    }

    fn new(
        name: String,
        open: impl FnMut() -> io::Result<Box<dyn Read + Send>> + Send + 'static,
        decoder: Decoder,
    ) -> Self {
        Self {
            name,
            open: Box::new(open),
            line: None,
            decoder,
            waiting: VecDeque::new(),
            retry: Retry::new(FIRST_PAUSE, LONGEST_PAUSE),
            last_bytes: Timestamp::ZERO,
            told_up: None,
        }
    }

    fn connect(&mut self, clock: &dyn Clock) -> Told {
        let now = clock.now();
        if !self.retry.is_due(now) {
            return Told::Quiet;
        }
        match (self.open)() {
            Ok(line) => {
                self.line = Some(line);
                self.decoder.clear();
                self.last_bytes = clock.now();
                match self.told_up.replace(true) {
                    Some(true) => Told::Quiet,
                    _ => Told::Up,
                }
            }
            Err(error) => self.down(now, &error.to_string()),
        }
    }

    fn down(&mut self, now: Timestamp, why: &str) -> Told {
        self.line = None;
        self.retry.failed(now);
        if self.told_up.replace(false) == Some(false) {
            return Told::Quiet;
        }
        Told::Down(format!("{}: {why}; it is tried again", self.name))
    }
}

impl PositionSource for Live {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(&mut self, clock: &dyn Clock) -> Told {
        if let Some(reading) = self.waiting.pop_front() {
            return Told::Reading(reading);
        }
        let Some(line) = &mut self.line else {
            return self.connect(clock);
        };
        let mut bytes = [0; 4096];
        let read = line.read(&mut bytes);
        let now = clock.now();
        match read {
            Ok(0) => self.down(now, "closed the connection"),
            Ok(count) => {
                // Only bytes show that a connection is good for something.
                self.retry.succeeded();
                self.last_bytes = now;
                let waiting = &mut self.waiting;
                self.decoder
                    .push(&bytes[..count], |r| waiting.push_back(r.timed(now)));
                self.waiting.pop_front().map_or(Told::Quiet, Told::Reading)
            }
            Err(e) if is_patience(e.kind()) => {
                if now.seconds_since(self.last_bytes) > SILENCE_S {
                    self.line = None;
                }
                Told::Quiet
            }
            Err(error) => self.down(now, &error.to_string()),
        }
    }
}

fn is_patience(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Manual;

    /// Polls until `wanted`, at most for two seconds of the manual clock.
    fn until(live: &mut Live, clock: &Manual, wanted: impl Fn(&Told) -> bool) -> Told {
        for _ in 0..400 {
            let told = live.poll(clock);
            if wanted(&told) {
                return told;
            }
            clock.set(Timestamp::from_nanos(clock.now().nanos() + 50_000_000));
        }
        panic!("not told");
    }

    #[test]
    fn a_gpsd_that_goes_away_is_told_once_and_found_again() {
        use std::net::TcpListener;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clock = Manual::default();
        let mut live = Live::gpsd(&address.to_string());
        let serve = |listener: &TcpListener| {
            let (mut peer, _) = listener.accept().unwrap();
            let mut asked = [0; 64];
            let count = peer.read(&mut asked).unwrap();
            assert_eq!(&asked[..count], gpsd::WATCH);
            let tpv = b"{\"class\":\"TPV\",\"mode\":2,\"lat\":48.1,\"lon\":8.2}\n";
            peer.write_all(tpv).unwrap();
        };
        assert_eq!(live.poll(&clock), Told::Up);
        serve(&listener);
        let reading = until(&mut live, &clock, |t| matches!(t, Told::Reading(_)));
        assert!(matches!(reading, Told::Reading(Reading::Fix(f)) if f.latitude_deg == 48.1));
        drop(listener);
        let down = until(&mut live, &clock, |t| matches!(t, Told::Down(_)));
        assert!(matches!(&down, Told::Down(why) if why.contains(&address.to_string())));
        for _ in 0..20 {
            clock.set(Timestamp::from_nanos(clock.now().nanos() + 300_000_000));
            assert_eq!(live.poll(&clock), Told::Quiet);
        }
        let listener = TcpListener::bind(address).unwrap();
        until(&mut live, &clock, |t| *t == Told::Up);
        serve(&listener);
        until(&mut live, &clock, |t| matches!(t, Told::Reading(_)));
    }

    #[test]
    fn a_serial_receiver_is_read_by_its_bytes() {
        let (receiver, device) = serial2::SerialPort::pair().unwrap();
        let mut device = Some(device);
        let open = move || {
            let mut port = device.take().ok_or(ErrorKind::NotFound)?;
            port.set_read_timeout(PATIENCE)?;
            Ok(Box::new(port) as Box<dyn Read + Send>)
        };
        let decoder = Decoder::Nmea(nmea::Decoder::default());
        let (mut live, clock) = (Live::new("NMEA".into(), open, decoder), Manual::default());
        assert_eq!(live.poll(&clock), Told::Up);
        clock.set(Timestamp::from_seconds(7.0));
        receiver
            .write_all(b"$GPRMC,110520.00,V,,,,,,,070622,,,N*7B\r\n")
            .unwrap();
        let told = until(&mut live, &clock, |t| matches!(t, Told::Reading(_)));
        assert!(matches!(told, Told::Reading(Reading::NoFix(t)) if t.seconds() >= 7.0));
        drop(receiver);
        until(&mut live, &clock, |t| matches!(t, Told::Down(_)));
    }
}
