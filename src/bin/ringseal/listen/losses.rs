//! What a listener has lost when it ends.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What was lost, on all threads.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Connections that were cut off while something was on its way.
    connections: AtomicU64,
    /// Connections that were cut off while they were served, those included that lost nothing.
    cut: AtomicU64,
    /// Threads that have failed, with all of their connections.
    threads: AtomicU64,
    /// Typed lines that did not reach a peer, counted for each.
    typed_lines: AtomicU64,
    /// Bytes that were typed and are no line that was given to the peers.
    typed_bytes: AtomicU64,
    /// Messages of which only a part came.
    messages_in_part: AtomicU64,
    /// Messages that came whole before those.
    messages_before: AtomicU64,
    /// Messages that came after the end of their echoes, or whose echoes got stuck.
    echoes: AtomicU64,
    /// Whether standard input could not be read to its end.
    has_input_failed: AtomicBool,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Losses {
    /// Notes a connection that was cut off while it was served.
    pub(super) fn connection_cut(&self, has_lost: bool) {
        add(&self.cut, 1);
        add(&self.connections, has_lost.into());
    }

    /// Notes how many connections were cut off in all: those that were not served any more had
    /// something on its way.
    pub(super) fn all_cut(&self, count: u64) {
        let served = self.cut.load(Ordering::Relaxed);
        add(&self.connections, count.saturating_sub(served));
    }

    pub(super) fn threads(&self, count: u64) {
        add(&self.threads, count);
    }

    pub(super) fn typed_lines(&self, count: u64) {
        add(&self.typed_lines, count);
    }

    pub(super) fn typed_bytes(&self, count: u64) {
        add(&self.typed_bytes, count);
    }

    /// Notes a message of which only a part came, after `whole` others of the same connection.
    pub(super) fn message_in_part(&self, whole: u64) {
        add(&self.messages_in_part, 1);
        add(&self.messages_before, whole);
    }

    pub(super) fn echoes(&self, count: u64) {
        add(&self.echoes, count);
    }

    pub(super) fn input_failed(&self) {
        self.has_input_failed.store(true, Ordering::Relaxed);
    }

    /// Says what was lost, if anything: when time was over, or when nobody read standard output any
    /// more.
    pub(super) fn text(&self, is_output_closed: bool) -> Option<String> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut parts = Vec::new();
        match count(&self.connections) {
            0 => {}
            1 => parts.push("1 connection was cut off".to_owned()),
            count => parts.push(format!("{count} connections were cut off")),
        }
        if let Some(cut) = parts.first_mut() {
            cut.push_str(" with something on its way, when ");
            cut.push_str(if is_output_closed {
                "nobody read standard output any more"
            } else {
                "the time of --drain-timeout was over"
            });
        }
        match count(&self.threads) {
            0 => {}
            1 => parts.push("1 thread has failed, with all of its connections".to_owned()),
            count => parts.push(format!(
                "{count} threads have failed, with all of their connections"
            )),
        }
        match count(&self.typed_lines) {
            0 => {}
            count => parts.push(format!("{count} typed lines were not sent")),
        }
        match count(&self.typed_bytes) {
            0 => {}
            count => parts.push(format!(
                "{count} bytes of standard input were read and not sent, as their line had no end or \
                 came too late"
            )),
        }
        let whole = count(&self.messages_before);
        match count(&self.messages_in_part) {
            0 => {}
            1 => parts.push(format!(
                "1 message came only in part, after {whole} whole ones of its connection"
            )),
            count => parts.push(format!(
                "{count} messages came only in part, after {whole} whole ones of their connections"
            )),
        }
        match count(&self.echoes) {
            0 => {}
            count => parts.push(format!(
                "{count} messages were not sent back, or are not known to be"
            )),
        }
        if self.has_input_failed.load(Ordering::Relaxed) {
            parts.push("standard input was not read to its end".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
