//! A small HTTP/1.1 server on 127.0.0.1 that misbehaves on demand, for the tests of downloading.
//!
//! It answers one request per connection with the next reply of its script, the last one for ever, and records
//! what was asked and how many body bytes it sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// The body; a range is honoured.
    Good(Vec<u8>),
    /// The whole body, whatever range is asked for.
    IgnoreRange(Vec<u8>),
    /// The right length announced, `n` bytes sent, connection closed; a range is honoured.
    Cut(Vec<u8>, usize),
    /// No length announced, `n` bytes sent, connection closed.
    CutSilently(Vec<u8>, usize),
    /// The right length announced, `n` bytes sent, then silence until the client goes.
    Stall(Vec<u8>, usize),
    /// Not even a status line until the client goes.
    Mute,
    /// A status and a small HTML page.
    Status(u16),
    /// 206 for another range than the one asked for.
    WrongRange(Vec<u8>),
    /// More bytes than any file has, no length announced, until the client goes.
    Endless,
    /// 302 to another address.
    Redirect(String),
}

/// One request as the server saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Path asked for.
    pub(crate) path: String,
    /// First byte asked for, if a range was.
    pub(crate) from: Option<usize>,
    /// Body bytes sent.
    pub(crate) sent: usize,
}

/// The running server.
pub(crate) struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts on a free port; the thread ends with the test process.
    pub(crate) fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let reply = script[i.min(script.len() - 1)].clone();
                // A client that hangs up early is part of the tests.
                let _ = stream.and_then(|s| answer(s, &reply, &log));
            }
        });
        Self { address, seen }
    }

    /// Address of a file.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, reply: &Reply, log: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut seen = Seen { path: line.split(' ').nth(1).unwrap_or_default().to_owned(), ..Seen::default() };
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            seen.from = range.trim().trim_end_matches('-').parse().ok();
        }
    }
    let from = seen.from;
    log.lock().unwrap().push(seen);
    let mut send = |head: String, body: &[u8]| -> std::io::Result<()> {
        if let Some(last) = log.lock().unwrap().last_mut() {
            last.sent = body.len();
        }
        stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes())?;
        stream.write_all(body)?;
        stream.flush()
    };
    match reply {
        Reply::Good(body) => match head_of(body, from) {
            Some((head, start)) => send(head, &body[start..]),
            None => send("416 Range Not Satisfiable\r\nContent-Length: 0".into(), &[]),
        },
        Reply::IgnoreRange(body) => send(format!("200 OK\r\nContent-Length: {}", body.len()), body),
        Reply::Cut(body, n) => match head_of(body, from) {
            Some((head, start)) => send(head, &body[start..(start + n).min(body.len())]),
            None => send("416 Range Not Satisfiable\r\nContent-Length: 0".into(), &[]),
        },
        Reply::CutSilently(body, n) => send("200 OK".into(), &body[..*n]),
        Reply::Stall(body, n) => {
            let (head, start) = head_of(body, from).unwrap_or_default();
            send(head, &body[start..(start + n).min(body.len())])?;
            reader.read_to_end(&mut Vec::new()).map(drop)
        }
        Reply::Mute => reader.read_to_end(&mut Vec::new()).map(drop),
        Reply::Status(code) => {
            let page = b"<html>no</html>";
            send(format!("{code} Nothing\r\nContent-Length: {}", page.len()), page)
        }
        Reply::WrongRange(body) => {
            let (n, last) = (body.len(), body.len() - 1);
            send(format!("206 Partial\r\nContent-Length: {n}\r\nContent-Range: bytes 0-{last}/{n}"), body)
        }
        Reply::Endless => {
            send("200 OK".into(), &[])?;
            loop {
                stream.write_all(&[7; 4096])?;
            }
        }
        Reply::Redirect(to) => send(format!("302 Found\r\nLocation: {to}\r\nContent-Length: 0"), &[]),
    }
}

/// Status line and headers for `body` from `from` on, and where to start; `None` outside the body.
fn head_of(body: &[u8], from: Option<usize>) -> Option<(String, usize)> {
    let n = body.len();
    match from {
        None => Some((format!("200 OK\r\nContent-Length: {n}"), 0)),
        Some(start) if start < n => {
            let range = format!("Content-Range: bytes {start}-{}/{n}", n - 1);
            Some((format!("206 Partial\r\nContent-Length: {}\r\n{range}", n - start), start))
        }
        Some(_) => None,
    }
}
