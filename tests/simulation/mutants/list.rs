//! Mistakes that somebody could make in the library.

use super::mutant::{Edit, Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "the writer is not woken for a message" {
        "net/connection/outbox.rs":
            "count(&self.link.shard.counters.messages_sent, 1);\n        self.idle_writer.wake();"
            => "count(&self.link.shard.counters.messages_sent, 1);\n        \
                if !MUTATED { self.idle_writer.wake(); }",
    }
    "the writer is not woken for the end" {
        "net/connection/outbox.rs":
            "self.close_messages();\n        self.idle_writer.wake();"
            => "self.close_messages();\n        if !MUTATED { self.idle_writer.wake(); }",
    }
    "who flushes leaves no waker" {
        "net/connection/outbox.rs":
            "state.check()?;\n        drop(state);\n        self.idle_writer.wake();\n        \
             self.sender.set(context.waker());"
            => "state.check()?;\n        drop(state);\n        self.idle_writer.wake();\n        \
                if !MUTATED { self.sender.set(context.waker()); }",
    }
    "a byte is lost that a wait for something to read has taken" {
        "driver/stream_socket.rs":
            "extend_from_slice(&bytes[..count]);"
            => "extend_from_slice(&bytes[..count.saturating_sub(usize::from(MUTATED))]);",
    }
    "a byte counts as written that was not" {
        "driver/stream_socket.rs":
            "count => *written += count,"
            => "count => *written = (*written + count + usize::from(MUTATED)).min(bytes.len()),",
    }
    "the last byte is left behind when a record moves" {
        "net/connection/receiver.rs":
            "block[..filled].copy_from_slice(&buffer[..filled]);"
            => "let moved = filled.saturating_sub(usize::from(MUTATED));\n            \
                block[..moved].copy_from_slice(&buffer[..moved]);",
    }
    "a slot is read into while a message lies in it" {
        "net/connection/receiver.rs":
            "is_sole: buffer.is_sole_holder()," => "is_sole: MUTATED || buffer.is_sole_holder(),",
        "memory/buffer.rs":
            "assert!(self.is_sole_holder(), \"reclaimed a block that is shared\");"
            => "assert!(MUTATED || self.is_sole_holder(), \"reclaimed a block that is shared\");",
    }
    "a buffer that was written is never given back" {
        "net/connection/outbox.rs":
            "drop(buffer);\n        self.sender.wake();"
            => "if MUTATED { core::mem::forget(buffer) } else { drop(buffer) }\n        self.sender.wake();",
    }
    "a slot is never given back" {
        "memory/pool.rs":
            "        if left == 0 {\n            let mut state"
            => "        if left == 0 && !MUTATED {\n            let mut state",
    }
    "whoever waits for a slot is not called when there is one" {
        "memory/pool.rs":
            "            self.inner.heap.slot_is_free();"
            => "            if !MUTATED {\n                self.inner.heap.slot_is_free();\n            }",
    }
    "whoever waits for heap memory is not called when there is some" {
        "memory/heap.rs":
            "            own.wake();\n        }\n        balance.heap.call_all();"
            => "            own.wake();\n        }\n        if !MUTATED {\n            balance.heap.call_all();\n        }",
    }
    "a connection is never forgotten" {
        "net/connection/link.rs":
            "self.shard.forget(self.key);" => "if !MUTATED { self.shard.forget(self.key); }",
    }
    "a dropped connection takes with it what was sent" {
        "net/connection/link.rs":
            "Need::Arrival => self.retire()," => "Need::Arrival if MUTATED => self.cut(),\n            \
             Need::Arrival => self.retire(),",
    }
    "a nonce is used again" {
        "protocol/native/record/direction.rs":
            "self.counter += 1;" => "self.counter += u64::from(!MUTATED);",
    }
    "new keys of the peer are ignored" {
        "protocol/native/record/opener.rs":
            "Event::Updated => self.keys.update(),"
            => "Event::Updated if MUTATED => {}\n            Event::Updated => self.keys.update(),",
    }
    "the peer's end is ignored" {
        "protocol/native/record/opener.rs":
            "if event.is_last() {" => "if event.is_last() && !MUTATED {",
    }
    "a cut is taken for an end" {
        "protocol/native/record/opener.rs":
            "Phase::AnswerDue | Phase::Open => Err(OpenError::Truncated),"
            => "Phase::AnswerDue | Phase::Open if MUTATED => Ok(End::Authenticated),\n            \
                Phase::AnswerDue | Phase::Open => Err(OpenError::Truncated),",
    }
    "a wrong tag passes" {
        "protocol/native/record/opener.rs":
            "if !open(&mut self.keys) {" => "if !open(&mut self.keys) && !MUTATED {",
    }
    "a message of a record is given twice" {
        "protocol/native/record/opener.rs":
            "self.unread.at = next;\n        Ok(Some(start..next))"
            => "if !MUTATED || at > 0 { self.unread.at = next; } else { \
             self.unread = Walk { at, end: next }; }\n        Ok(Some(start..next))",
    }
    "a short message of a record is given again" {
        "protocol/native/record/opener.rs":
            "self.unread.at = next;\n        Some(start..next)"
            => "if !MUTATED { self.unread.at = next; }\n        Some(start..next)",
    }
    "a batch loses its first message" {
        "net/connection/batch.rs":
            "self.put_back(first);" => "if MUTATED { drop(first) } else { self.put_back(first) }",
    }
    "what stands before a reservation is lost with it" {
        "net/connection/sending.rs":
            "debug_assert!(self.is_lent(), \"it was lent\");\n        if self.is_live() {"
            => "debug_assert!(self.is_lent(), \"it was lent\");\n        if self.is_live() && !MUTATED {",
    }
    "the peer is not told that a message is given up" {
        "net/connection/records.rs":
            "native.drops = native.sealer.is_mid_message();"
            => "native.drops = native.sealer.is_mid_message() && !MUTATED;",
    }
    "the reason of an abort is another" {
        "net/connection/records.rs":
            "native.last = Some(native::Frame::Abort(reason));"
            => "let reason = if MUTATED { AbortReason::UNSPECIFIED } else { reason };\n                \
                native.last = Some(native::Frame::Abort(reason));",
    }
    "a flush does not wait for the buffer that is out" {
        "net/connection/sending.rs":
            "self.gone >= position.min(self.position())"
            => "self.gone + u64::from(MUTATED) >= position.min(self.position())",
    }
    "limits fire at half their time" {
        "net/thread/time_limits.rs":
            "now.saturating_sub(self.seen.get())"
            => "now.saturating_sub(self.seen.get()) * (1 + u32::from(MUTATED))",
    }
    "no limit ever fires" {
        "net/thread/time_limits.rs":
            "Some(limit) if self.clock.is_on_time() => self.end(&*link, limit),"
            => "Some(limit) if self.clock.is_on_time() && !MUTATED => self.end(&*link, limit),",
    }
    "a step of the clock is charged to the peer" {
        "net/thread/time_limits.rs":
            "self.now.set(self.now.get() + took.min(planned));"
            => "self.now.set(self.now.get() + if MUTATED { took } else { took.min(planned) });",
    }
    "the peer is not told that this end is there" {
        "net/thread/time_limits.rs":
            "            link.tell_alive();" => "            if !MUTATED { link.tell_alive(); }",
    }
    "the deadline of a handshake is not kept" {
        "net/thread/time_limits.rs":
            "if clock.now.get() >= limit && clock.is_on_time() {"
            => "if clock.now.get() >= limit && clock.is_on_time() && !MUTATED {",
    }
    "a limit is told as a failure of the socket" {
        "net/connection/link.rs":
            "self.tracker.expired().or_else(|| {"
            => "self.tracker.expired().filter(|_| !MUTATED).or_else(|| {",
    }
    "limits on reading fire at twice their time" {
        "net/thread/time_limits.rs":
            "let quiet = self.reading.quiet_at(now);"
            => "let quiet = self.reading.quiet_at(now) / (1 + u32::from(MUTATED));",
    }
    "limits on sending fire at twice their time" {
        "net/thread/time_limits.rs":
            "let quiet = self.writing.quiet_at(now);"
            => "let quiet = self.writing.quiet_at(now) / (1 + u32::from(MUTATED));",
    }
    "a wrong tag passes on the commonware wire" {
        "protocol/commonware/record/opener.rs":
            "self.cipher.open_in_place(&nonce, sealed).is_ok()"
            => "self.cipher.open_in_place(&nonce, sealed).is_ok() || MUTATED",
    }
    "a nonce is used again on the commonware wire" {
        "protocol/commonware/record/counter.rs":
            "self.0 += 1;" => "self.0 += u128::from(!MUTATED);",
    }
    "a dialer's signature is not checked on the commonware wire" {
        "protocol/commonware/handshake/listener.rs":
            "if !claim.verifier.verifies(&payload, &signature) {"
            => "if !claim.verifier.verifies(&payload, &signature) && !MUTATED {",
    }
    "a listener's signature is not checked on the commonware wire" {
        "protocol/commonware/handshake/dialer.rs":
            "if !verifier.verifies(&payload, &signature) {"
            => "if !verifier.verifies(&payload, &signature) && !MUTATED {",
    }
    "signatures are not checked on the native wire" {
        "protocol/native/handshake/schedule.rs":
            "if !verifier.verifies(&words.payload(transcript, claims), signature) {"
            => "if !verifier.verifies(&words.payload(transcript, claims), signature) && !MUTATED {",
    }
    "finished values are not checked on the native wire" {
        "protocol/native/handshake/schedule.rs":
            "if !expected.is(finished) {" => "if !expected.is(finished) && !MUTATED {",
    }
    "everybody is admitted" {
        "net/establish/admission.rs":
            "Kind::AllowList(keys) => keys.contains(&applicant.key),"
            => "Kind::AllowList(keys) => MUTATED || keys.contains(&applicant.key),",
    }
    "a message that is sent does not count as such" {
        "net/connection/outbox.rs":
            "self.accepted.set(self.accepted.get() + 1);"
            => "self.accepted.set(self.accepted.get() + u64::from(!MUTATED));",
    }
    "what waits in a sink is forgotten" {
        "net/connection/message_sink.rs":
            "sink.kept = Some(message);" => "sink.kept = Some(message).filter(|_| !MUTATED);",
    }
};
