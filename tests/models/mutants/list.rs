//! Mistakes that somebody could make in what threads share.

use super::mutant::{Edit, Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "the executor says that it waits after it has looked" {
        "driver/uring/remote.rs":
            "self.parked.swap(true, Ordering::AcqRel);\n        \
             let may = !self.pending.load(Ordering::Acquire);"
            => "if !MUTATED { self.parked.swap(true, Ordering::AcqRel); }\n        \
                let may = !self.pending.load(Ordering::Acquire);\n        \
                if MUTATED { self.parked.swap(true, Ordering::AcqRel); }",
    }
    "the doorbell is not rung" {
        "driver/uring/remote.rs":
            "if self.parked.swap(false, Ordering::AcqRel) {"
            => "if self.parked.swap(false, Ordering::AcqRel) && !MUTATED {",
    }
    "what is pending is stored and not exchanged, so that one caller hides another" {
        "driver/uring/remote.rs":
            "self.pending.swap(true, Ordering::Release);"
            => "if MUTATED { self.pending.store(true, Ordering::Release) } else { \
                self.pending.swap(true, Ordering::Release); }",
    }
    "a foreign waker is called without telling the task that calls" {
        "driver/tokio_uring/waiting.rs":
            "self.called.keys().push(self.key);" => "if MUTATED { return; }\n        self.called.keys().push(self.key);",
    }
    "who waits leaves the waker when the lock is given back" {
        "handle/locked.rs":
            "let is_over = seen.is_ready() || keep(place(state), &mut spare, context.waker());\n                \
             (seen, other, is_over)\n            });"
            => "let is_over = seen.is_ready() || !MUTATED && keep(place(state), &mut spare, context.waker());\n                \
                (seen, other, is_over)\n            });\n            \
                let is_over = is_over || MUTATED && self.with(|state| keep(place(state), &mut spare, context.waker()));",
    }
    "the task is not woken for a message" {
        "handle/outgoing.rs":
            "self.waiting.push(fragment);\n        self.idle_task.take()"
            => "self.waiting.push(fragment);\n        if MUTATED { None } else { self.idle_task.take() }",
    }
    "the peer is not told that a message is given up" {
        "handle/outgoing.rs":
            "self.accept(Fragment::GIVEN_UP)" => "if MUTATED { None } else { self.accept(Fragment::GIVEN_UP) }",
    }
    "a caller is not woken when its messages are taken over" {
        "handle/outgoing.rs":
            "return (Poll::Ready(TaskStep::Send), state.caller.take());"
            => "return (Poll::Ready(TaskStep::Send), if MUTATED { None } else { state.caller.take() });",
    }
    "a flush is told before the kernel has anything" {
        "handle/outgoing.rs":
            "if state.flushed >= state.accepted {" => "if state.flushed >= state.accepted || MUTATED && state.waiting.is_empty() {",
    }
    "the task does not hear that a half is gone" {
        "handle/outgoing.rs":
            "state.receiver_dropped = true;\n            state.task.take()"
            => "state.receiver_dropped = true;\n            if MUTATED { None } else { state.task.take() }",
    }
    "who waits is not told that the connection has failed" {
        "handle/outgoing.rs":
            "(state.caller.take(), Some(unused))\n        });\n        wake(caller);"
            => "(state.caller.take(), Some(unused))\n        });\n        if !MUTATED { wake(caller); }",
    }
    "the receiving task is not woken when the caller has made room" {
        "handle/incoming.rs":
            "Poll::Ready(Ok(())) => state.idle_task.take()," => "Poll::Ready(Ok(())) if !MUTATED => state.idle_task.take(),",
    }
    "a batch takes the place of what waits" {
        "handle/incoming.rs":
            "state.waiting.append(batch);"
            => "if MUTATED { state.waiting = core::mem::take(batch); } else { state.waiting.append(batch); }",
    }
    "a seat that is given back is lost from the count" {
        "handle/distribution.rs":
            "count.fetch_sub(1, Ordering::Relaxed);\n        self.loads.waiting.wake();"
            => "if MUTATED { count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed); } else { \
                count.fetch_sub(1, Ordering::Relaxed); }\n        self.loads.waiting.wake();",
    }
    "who accepts looks for room before it leaves its waker" {
        "handle/distribution.rs":
            "self.waiting.register(context.waker());\n        let mut open ="
            => "if !MUTATED { self.waiting.register(context.waker()); }\n        \
                let _late = MUTATED.then(|| Late(&self.waiting, context.waker()));\n        let mut open =",
        "handle/distribution.rs":
            "/// A place that has no limits."
            => "struct Late<'a>(&'a AtomicWaker, &'a core::task::Waker);\n\
                impl Drop for Late<'_> { fn drop(&mut self) { self.0.register(self.1); } }\n\
                /// A place that has no limits.",
    }
    "who accepts does not hear that a thread has ended" {
        "handle/distribution.rs":
            "self.inboxes[thread].close_channel();\n        self.loads.waiting.wake();"
            => "self.inboxes[thread].close_channel();\n        if !MUTATED { self.loads.waiting.wake(); }",
    }
    "a server looks for room and takes it in two steps" {
        "server/entrance.rs":
            "return self.refuse(limit);\n        }\n        taken.connections += 1;"
            => "return self.refuse(limit);\n        }\n        \
                if MUTATED { drop(taken); taken = self.taken(); }\n        taken.connections += 1;",
    }
    "an admission is replaced after it was said so" {
        "server/entrance.rs":
            "self.admission.set(admission);\n        self.ask_again();"
            => "if MUTATED { self.ask_again(); }\n        \
                self.admission.set(admission);\n        \
                if !MUTATED { self.ask_again(); }",
    }
};
