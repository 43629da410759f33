//! How a listener ends: first it drains, then it cuts off; and what is lost by that.

use core::cell::Cell;

use tokio::sync::watch;

/// How far the end is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Serving,
    /// Nobody new comes in; what is on its way is taken.
    Draining,
    /// The time for that is over.
    Cut,
}

/// Says to all sessions how far the end is.
#[derive(Debug, Default)]
pub(super) struct Stop(watch::Sender<Phase>);

impl Stop {
    pub(super) fn go_on_to(&self, phase: Phase) {
        self.0.send_replace(phase);
    }

    /// Is done in this phase and in the ones behind it.
    pub(super) async fn reached(&self, phase: Phase) {
        // Fails only without the sender, which is borrowed here.
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}

/// What was lost.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Connections that were cut off while something was on its way.
    pub(super) connections: Cell<u64>,
    /// Typed lines that did not reach a peer, counted for each.
    pub(super) typed_lines: Cell<u64>,
    /// Messages that came after the end of their echoes, or whose echoes got stuck.
    pub(super) echoes: Cell<u64>,
    /// Whether standard input could not be read to its end.
    pub(super) input_failed: Cell<bool>,
}

pub(super) fn add(counter: &Cell<u64>, count: u64) {
    counter.set(counter.get() + count);
}

impl Losses {
    /// What to say of it, if anything was lost: when time was over, or when nobody read standard
    /// output any more.
    pub(super) fn text(&self, is_output_closed: bool) -> Option<String> {
        let mut parts = Vec::new();
        match self.connections.get() {
            0 => {}
            1 => parts.push("1 connection was cut off".to_owned()),
            count => parts.push(format!("{count} connections were cut off")),
        }
        if !parts.is_empty() {
            parts[0].push_str(" with something on its way, when ");
            parts[0].push_str(if is_output_closed {
                "nobody read standard output any more"
            } else {
                "the time of --drain-timeout was over"
            });
        }
        if self.typed_lines.get() > 0 {
            parts.push(format!(
                "{} typed lines were not sent",
                self.typed_lines.get()
            ));
        }
        if self.echoes.get() > 0 {
            parts.push(format!(
                "{} messages were not sent back, or are not known to be",
                self.echoes.get()
            ));
        }
        if self.input_failed.get() {
            parts.push("standard input was not read to its end".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
