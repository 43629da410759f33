//! Standard error, written by a thread of its own.
//!
//! Whoever has a line for it puts it into a bounded queue and goes on: a pipe that nobody reads
//! must never stop a ring. What finds no room is counted, and so are lines about peers beyond a
//! few a second, of which strangers can cause as many as they like. Counts are printed.

use core::time::Duration;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use tracing::Level;

use crate::log_format::LogFormat;
use crate::patient::Patient;
use crate::peer_fields::PeerFields;
use crate::terms;

/// Bytes that may wait to be written: as many as a pipe holds.
const MAX_WAITING: usize = 64 * 1024;
/// Lines about peers that are printed in a second; `ringseal listen --help` names it.
const PEER_LINES: u32 = 10;
/// In which time so many are printed.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the end of the process waits for standard error to be read.
const LAST_WAIT: Duration = Duration::from_secs(1);

static LOG: Log = Log {
    state: Mutex::new(State::new()),
    changed: Condvar::new(),
};

/// Has lines written in the background, and the last of them when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Running(());

/// Starts the thread, and has panics go through it too. Without a thread lines are written by
/// whoever has them.
pub fn start() -> Running {
    let writer = thread::Builder::new().name("log".to_owned());
    let started = writer.spawn(|| LOG.write_all(&mut Patient(io::stderr())));
    LOG.lock().is_running = started.is_ok();
    std::panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("?");
        write(Level::ERROR, &format!("thread {name} {panic}"));
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            LOG.print(match LogFormat::current() {
                LogFormat::Text => backtrace.to_string().into_bytes(),
                json => json.render(Level::ERROR, &backtrace.to_string()),
            });
        }
    }));
    Running(())
}

impl Drop for Running {
    fn drop(&mut self) {
        finish();
    }
}

/// Waits until all is written, a second at most.
pub fn finish() {
    LOG.finish(LAST_WAIT);
}

/// Prints one line, whatever bytes the text has from elsewhere.
pub fn line(text: &str) {
    write(Level::WARN, text);
}

/// Prints one line about what ends the program.
pub fn error(text: &str) {
    write(Level::ERROR, text);
}

fn write(level: Level, text: &str) {
    write_about(level, text, None);
}

fn write_about(level: Level, text: &str, peer: Option<&PeerFields>) {
    let text = text.replace(char::is_control, " ");
    LOG.print(LogFormat::current().render_about(level, &text, peer));
}

/// Prints one line about a peer, unless there have been many in this second. Then it is counted,
/// and an event for those who ask for all.
pub fn line_about_peer(text: &str, peer: Option<&PeerFields>) {
    let (summary, is_admitted) = LOG.lock().peers.admit(Instant::now());
    if let Some(count) = summary {
        LOG.print(left_out(count));
    }
    if is_admitted {
        write_about(Level::WARN, text, peer);
    } else {
        LOG.changed.notify_all();
        tracing::debug!("{text}");
    }
}

/// Tells a person at a terminal that a connection is there, and a log that asks for events.
pub fn connected(text: &str, peer: Option<&PeerFields>) {
    if io::stderr().is_terminal() {
        line_about_peer(text, peer);
    } else {
        tracing::info!("{text}");
    }
}

/// Takes the events of `tracing`, one a call.
#[derive(Debug)]
pub struct EventWriter;

impl Write for EventWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        LOG.print(match core::str::from_utf8(event) {
            // Few events have words of the library's in them.
            Ok(text) if terms::has_names(text) => terms::for_users(text).into_bytes(),
            _ => event.to_vec(),
        });
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn left_out(count: u64) -> Vec<u8> {
    let text = format!(
        "{count} more lines about peers were left out, since {PEER_LINES} a second are printed; \
         RUST_LOG=debug,ringseal::wire=off prints all"
    );
    LogFormat::current().render(Level::WARN, &text)
}

fn dropped(count: u64) -> Vec<u8> {
    let text = format!(
        "{count} log lines were dropped here, because nobody read standard error fast enough"
    );
    LogFormat::current().render(Level::WARN, &text)
}

struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    is_running: bool,
    lines: VecDeque<Vec<u8>>,
    /// Bytes in `lines`.
    waiting: usize,
    /// Lines that found no room since the last count that did.
    dropped: u64,
    is_writing: bool,
    peers: Limiter,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn print(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.is_running {
            state.queue(line);
            self.changed.notify_all();
            return;
        }
        drop(state);
        // There is nobody left to tell when this fails.
        let _ = Patient(io::stderr()).write_all(&line);
    }

    /// Writes lines for as long as the process lives.
    fn write_all(&self, output: &mut impl Write) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if let Some(line) = state.next(now) {
                state.is_writing = true;
                drop(state);
                let _ = output.write_all(&line);
                state = self.lock();
                state.is_writing = false;
                self.changed.notify_all();
                continue;
            }
            state = match state.peers.time_left(now) {
                Some(left) => {
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    fn finish(&self, limit: Duration) {
        let mut state = self.lock();
        if !state.is_running {
            return;
        }
        if let Some(count) = state.peers.end() {
            state.queue(left_out(count));
            self.changed.notify_all();
        }
        let is_busy =
            |state: &mut State| state.is_writing || state.waiting > 0 || state.dropped > 0;
        let waited = self.changed.wait_timeout_while(state, limit, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    const fn new() -> Self {
        Self {
            is_running: false,
            lines: VecDeque::new(),
            waiting: 0,
            dropped: 0,
            is_writing: false,
            peers: Limiter::new(),
        }
    }

    /// Puts a line behind the others, and before it the count of those that found no room.
    fn queue(&mut self, line: Vec<u8>) {
        let has_room = self.lines.is_empty() || self.waiting + line.len() <= MAX_WAITING;
        if !has_room {
            self.dropped += 1;
            return;
        }
        if let Some(count) = self.take_dropped() {
            self.push(count);
        }
        self.push(line);
    }

    fn push(&mut self, line: Vec<u8>) {
        self.waiting += line.len();
        self.lines.push_back(line);
    }

    fn take_dropped(&mut self) -> Option<Vec<u8>> {
        let count = core::mem::take(&mut self.dropped);
        (count > 0).then(|| dropped(count))
    }

    /// What is to be written next.
    fn next(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(line) = self.lines.pop_front() {
            self.waiting -= line.len();
            return Some(line);
        }
        self.take_dropped()
            .or_else(|| self.peers.summary(now).map(left_out))
    }
}

/// Lets a few lines pass in each interval, and counts the others.
struct Limiter {
    since: Option<Instant>,
    passed: u32,
    left_out: u64,
}

impl Limiter {
    const fn new() -> Self {
        Self {
            since: None,
            passed: 0,
            left_out: 0,
        }
    }

    /// Whether a line passes, and how many did not in the interval before.
    fn admit(&mut self, now: Instant) -> (Option<u64>, bool) {
        let summary = self.summary(now);
        self.since.get_or_insert(now);
        let is_admitted = self.passed < PEER_LINES;
        if is_admitted {
            self.passed += 1;
        } else {
            self.left_out += 1;
        }
        (summary, is_admitted)
    }

    /// Ends the interval if its time is over. Gives how many lines did not pass, if any.
    fn summary(&mut self, now: Instant) -> Option<u64> {
        let since = self.since?;
        if now.saturating_duration_since(since) < INTERVAL {
            return None;
        }
        self.end()
    }

    fn end(&mut self) -> Option<u64> {
        let left_out = self.left_out;
        *self = Self::new();
        (left_out > 0).then_some(left_out)
    }

    /// How long until there is something to sum up.
    fn time_left(&self, now: Instant) -> Option<Duration> {
        let since = self.since.filter(|_| self.left_out > 0)?;
        Some((since + INTERVAL).saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_pass_in_a_second_and_the_others_are_summed_up() {
        let start = Instant::now();
        let mut limiter = Limiter::new();
        let passed = (0..100).filter(|_| limiter.admit(start).1).count();
        assert_eq!(passed, PEER_LINES as usize);
        assert_eq!(limiter.time_left(start), Some(INTERVAL));
        let later = start + INTERVAL;
        assert_eq!(limiter.admit(later), (Some(90), true));
        assert_eq!(limiter.time_left(later), None);
        assert_eq!(limiter.admit(later + INTERVAL), (None, true));
    }

    #[test]
    fn lines_without_room_are_counted_before_the_next_one_and_at_the_end() {
        let now = Instant::now();
        let mut state = State::new();
        let line = vec![b'x'; MAX_WAITING / 4];
        for _ in 0..7 {
            state.queue(line.clone());
        }
        assert_eq!(state.waiting, MAX_WAITING);
        assert_eq!(state.next(now).as_deref(), Some(&*line));
        state.queue(b"new".to_vec());
        let rest: Vec<_> = core::iter::from_fn(|| state.next(now)).collect();
        assert_eq!(rest[..3], [&*line, &*line, &*line]);
        assert_eq!(rest[3..], [dropped(3), b"new".to_vec()]);
        state.queue(vec![b'x'; MAX_WAITING]);
        state.queue(b"none".to_vec());
        let rest: Vec<_> = core::iter::from_fn(|| state.next(now)).skip(1).collect();
        assert_eq!(rest, [dropped(1)]);
    }
}
