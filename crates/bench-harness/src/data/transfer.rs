//! One request: asks for a file from an offset on and appends what comes to its part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body, Error};

use super::fetch::{FetchError, FetchOptions, OnProgress, Progress, ProxyUse, io_error};

/// Why a request did not bring the file to its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Trouble that may pass: stalled, cut, 5xx.
    Again(String),
    /// This mirror will not give the file: 403, 404, bad address.
    Final(String),
    /// The range asked for does not suit the server: ask from the start.
    Restart(String),
    /// What came is not the file.
    Wrong(String),
}

/// An HTTP client with `options`' timeouts.
pub(super) fn agent(options: &FetchOptions) -> Agent {
    let config = Agent::config_builder()
        .timeout_resolve(Some(options.connect))
        .timeout_connect(Some(options.connect))
        .timeout_recv_response(Some(options.idle))
        .timeout_per_read(Some(options.idle))
        .timeout_per_write(Some(options.idle))
        .http_status_as_error(false)
        .accept_encoding("identity")
        .user_agent(concat!("dale/", env!("CARGO_PKG_VERSION")));
    match options.proxy {
        ProxyUse::Environment => config.build().into(),
        ProxyUse::Direct => config.proxy(None).build().into(),
    }
}

/// One request and what it brought.
pub(super) struct Transfer<'a> {
    /// The client.
    pub(super) agent: &'a Agent,
    /// Name of the file, for progress.
    pub(super) name: &'a str,
    /// Where the bytes go.
    pub(super) part: &'a Path,
    /// Bytes that the part already holds.
    pub(super) offset: u64,
    /// Length of the file, where published.
    pub(super) published: Option<u64>,
    /// Most bytes accepted.
    pub(super) limit: u64,
    /// Bytes received by this request.
    pub(super) received: u64,
}

impl Transfer<'_> {
    /// Asks `url`. The outer error ends the whole download, the inner one this request.
    pub(super) fn run(
        &mut self,
        url: &str,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Result<(), Failure>, FetchError> {
        self.report(self.published, on_progress)?;
        let mut request = self.agent.get(url);
        if self.offset > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", self.offset));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Err(failure(&error))),
        };
        match self.accept(&response) {
            Ok(total) => self.receive(response, total, on_progress),
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Whether the answer's head promises what was asked for; returns the announced length of the whole file.
    fn accept(&mut self, response: &Response<Body>) -> Result<Option<u64>, Failure> {
        let status = response.status();
        let total = match status {
            StatusCode::OK => {
                self.offset = 0; // The server ignored the range: the whole file comes.
                response.body().content_length()
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = response
                    .headers()
                    .get(header::CONTENT_RANGE)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or("nothing");
                match parse_content_range(range) {
                    Some((start, total)) if start == self.offset => total,
                    _ => {
                        let asked = format!("bytes from {}", self.offset);
                        return Err(Failure::Restart(format!("asked for {asked}, got `{range}`")));
                    }
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Failure::Restart(format!("no bytes from {} ({status})", self.offset)));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::Again(format!("the server answered {status}")));
            }
            _ if status.is_server_error() => {
                return Err(Failure::Again(format!("the server answered {status}")));
            }
            _ => return Err(Failure::Final(format!("the server answered {status}"))),
        };
        match (self.published, total) {
            (Some(expected), Some(found)) if expected != found => Err(Failure::Final(format!(
                "the server has another file: expected {expected} bytes, it announces {found}"
            ))),
            _ => Ok(total.or(self.published)),
        }
    }

    fn receive(
        &mut self,
        response: Response<Body>,
        total: Option<u64>,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Result<(), Failure>, FetchError> {
        let mut part = self.open_part()?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.report(total, on_progress)?;
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let reason = format!("after {} bytes: {}", self.offset, describe(error));
                    return Ok(Err(Failure::Again(reason)));
                }
            };
            if self.offset + n as u64 > self.limit {
                let reason = format!("wrong bytes: more than the {} expected", self.limit);
                return Ok(Err(Failure::Wrong(reason)));
            }
            io::Write::write_all(&mut part, &buffer[..n]).map_err(io_error(self.part, "write"))?;
            self.offset += n as u64;
            self.received += n as u64;
        }
        match total {
            Some(total) if self.offset < total => {
                let reason = format!("cut short: expected {total} bytes, got {}", self.offset);
                Ok(Err(Failure::Again(reason)))
            }
            _ => Ok(Ok(())),
        }
    }

    fn open_part(&self) -> Result<File, FetchError> {
        let part = OpenOptions::new().create(true).append(true).open(self.part);
        let part = part.map_err(io_error(self.part, "write"))?;
        part.set_len(self.offset).map_err(io_error(self.part, "cut"))?;
        Ok(part)
    }

    fn report(&self, total: Option<u64>, on_progress: &mut OnProgress<'_>) -> Result<(), FetchError> {
        match on_progress(Progress { file: self.name, done: self.offset, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FetchError::Cancelled {
                file: self.name.to_owned(),
                part: self.part.to_owned(),
                kept: fs::metadata(self.part).map_or(0, |m| m.len()),
            }),
        }
    }
}

/// `bytes 5-9/10` as (5, Some(10)); `bytes 5-9/*` as (5, None).
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = if total.trim() == "*" { None } else { Some(total.trim().parse().ok()?) };
    Some((start.trim().parse().ok()?, total))
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::BadUri(_) | Error::Http(_) | Error::TooManyRedirects | Error::RedirectFailed => {
            Failure::Final(error.to_string())
        }
        Error::Timeout(_) => Failure::Again(format!("no answer in time ({error})")),
        _ => Failure::Again(error.to_string()),
    }
}

fn describe(error: io::Error) -> String {
    match Error::from(error) {
        Error::Timeout(reason) => format!("the server stalled ({reason})"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_content_range;

    #[test]
    fn content_range() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes */10", "lines 5-9/10", "bytes 5-9", "bytes x-9/10", "bytes 5-9/x"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }
}
