//! Visitors of the page, served by the thread that calls: one question each, and its answer.
//!
//! Whatever they do, what they cost is bounded: [`MOST_VISITORS`] at a time, [`MOST_QUESTION_BYTES`] of a question,
//! [`PATIENCE_S`] for all of it, less while others wait. Those others wait in the system's own queue, which is
//! bounded too.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::units::Timestamp;

const MOST_VISITORS: usize = 16;
const MOST_QUESTION_BYTES: usize = 8 * 1024;
const PATIENCE_S: f64 = 2.0;
/// When all places are taken.
const HURRY_S: f64 = 0.2;

/// See the module.
pub(super) struct Visitors {
    listener: TcpListener,
    inside: Vec<Visitor>,
    numbers: u64,
}

/// A path that was asked for, and who asked.
pub(super) struct Question {
    pub visitor: u64,
    pub path: String,
}

/// What a visitor is told.
pub(super) struct Answer<'a> {
    /// Code and words.
    pub status: &'a str,
    pub kind: &'a str,
    pub body: &'a [u8],
}

struct Visitor {
    number: u64,
    stream: TcpStream,
    since: Timestamp,
    does: Does,
}

enum Does {
    /// Asks; what came so far.
    Ask(Vec<u8>),
    /// Has asked.
    Wait,
    /// Reads; what is left of its answer.
    Read(Vec<u8>),
    Leave,
}

impl Visitors {
    pub(super) fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            inside: Vec::with_capacity(MOST_VISITORS),
            numbers: 0,
        })
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Lets visitors in and out, and gets on with reading and writing; what was asked. Never waits.
    pub(super) fn look(&mut self, now: Timestamp) -> io::Result<Vec<Question>> {
        let full = self.inside.len() == MOST_VISITORS;
        let patience_s = if full { HURRY_S } else { PATIENCE_S };
        self.inside.retain_mut(|visitor| {
            visitor.read_on();
            !matches!(visitor.does, Does::Leave) && now.seconds_since(visitor.since) < patience_s
        });
        while self.inside.len() < MOST_VISITORS {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                // Has left again.
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
                Err(e) => return Err(e),
            };
            stream.set_nonblocking(true)?;
            self.numbers += 1;
            self.inside.push(Visitor {
                number: self.numbers,
                stream,
                since: now,
                does: Does::Ask(Vec::new()),
            });
        }
        Ok(self.inside.iter_mut().filter_map(Visitor::ask).collect())
    }

    /// Tells a visitor, if it is still there.
    pub(super) fn answer(&mut self, visitor: u64, answer: &Answer<'_>) {
        if let Some(visitor) = self.inside.iter_mut().find(|v| v.number == visitor) {
            visitor.tell(answer);
        }
    }
}

impl Visitor {
    /// The path it asks for, once that is whole.
    fn ask(&mut self) -> Option<Question> {
        let Does::Ask(question) = &mut self.does else {
            return None;
        };
        let limit = (MOST_QUESTION_BYTES - question.len()) as u64;
        // Also ends when nothing more is there now.
        let ended = (&self.stream).take(limit).read_to_end(question);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(question);
        match (parsed, request.method, request.path) {
            (Ok(httparse::Status::Complete(_)), Some("GET"), Some(path)) => {
                let path = path.to_owned();
                self.does = Does::Wait;
                let visitor = self.number;
                return Some(Question { visitor, path });
            }
            (Ok(httparse::Status::Partial), ..) if question.len() < MOST_QUESTION_BYTES => {
                let more = ended.is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
                if !more {
                    self.does = Does::Leave;
                }
            }
            _ => self.tell(&Answer {
                status: "400 Bad Request",
                kind: "text/plain",
                body: b"that is no GET that this page understands\n",
            }),
        }
        None
    }

    fn tell(&mut self, Answer { status, kind, body }: &Answer<'_>) {
        // A browser that shows the picture asks for the next one.
        let refresh = if *kind == "image/jpeg" {
            "Refresh: 1\r\n"
        } else {
            ""
        };
        let length = body.len();
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\n{refresh}Connection: close\r\n\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(body);
        self.does = Does::Read(answer);
        self.read_on();
    }

    fn read_on(&mut self) {
        let Does::Read(answer) = &mut self.does else {
            return;
        };
        while !answer.is_empty() {
            match self.stream.write(answer) {
                Ok(n @ 1..) => drop(answer.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // Has left, which is no fault of the page.
                _ => break,
            }
        }
        self.does = Does::Leave;
    }
}
