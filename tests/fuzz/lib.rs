//! What fuzzing calls: one function for each place where bytes come from somebody else.
//!
//! Each target takes any bytes and panics when something does not hold. It gets past the cryptography:
//! where bytes are sealed, signed or have a mac, the input is what is below that, and the target does
//! the rest with the right keys. Most targets compare with a model that was written from the
//! specification and shares no code with what it is a model of.
//!
//! `corpus` has the inputs that are worth keeping, and `cargo test -p ringseal-fuzz` replays them all.
//! `tests/fuzz/run` looks for more by libFuzzer; how stands at its top. A new target is a file in
//! `targets`, a line in `targets!`, and an input.
//!
//! # What the kept inputs run
//!
//! Of regions and lines, as LLVM counts them. The rest is what takes no bytes from others: `Debug` and
//! `Display`, what reads and writes files, and what the machines do for callers that give up. `floors`
//! says what each parser has to have at least.
//!
//! <!-- written by tests/fuzz/run --coverage -->
//! Of commit dac44f2:
//!
//! | | regions | lines |
//! |---|---|---|
//! | `src/protocol/commonware/handshake/dialer.rs` | 90% | 93% |
//! | `src/protocol/commonware/handshake/frame.rs` | 95% | 96% |
//! | `src/protocol/commonware/handshake/listener.rs` | 89% | 93% |
//! | `src/protocol/commonware/handshake/schedule.rs` | 100% | 100% |
//! | `src/protocol/commonware/record/opener.rs` | 86% | 86% |
//! | `src/protocol/commonware/record/sealer.rs` | 78% | 81% |
//! | `src/protocol/native/handshake/dialer.rs` | 92% | 92% |
//! | `src/protocol/native/handshake/listener.rs` | 92% | 93% |
//! | `src/protocol/native/handshake/message.rs` | 100% | 100% |
//! | `src/protocol/native/handshake/schedule.rs` | 100% | 100% |
//! | `src/protocol/native/record/bodies.rs` | 93% | 100% |
//! | `src/protocol/native/record/control.rs` | 100% | 100% |
//! | `src/protocol/native/record/direction.rs` | 94% | 93% |
//! | `src/protocol/native/record/header.rs` | 76% | 77% |
//! | `src/protocol/native/record/opener.rs` | 95% | 94% |
//! | `src/protocol/native/record/sealer.rs` | 91% | 94% |
//! | `src/protocol/native/settings.rs` | 93% | 94% |
//! | `src/protocol/native/suite.rs` | 93% | 91% |
//! | `src/protocol/identity/key_list.rs` | 88% | 85% |
//! | `src/protocol/identity/mod.rs` | 86% | 87% |
//! | `src/protocol/identity/public_key.rs` | 79% | 84% |
//! | `src/protocol/identity/verifier.rs` | 100% | 100% |
//! | `src/protocol/layout.rs` | 76% | 67% |
//! | `src/protocol/varint.rs` | 100% | 100% |
//! | `src/protocol/wire.rs` | 85% | 81% |
//! | `src/net/connection/assembling.rs` | 72% | 71% |
//! | `src/net/connection/receiving.rs` | 93% | 93% |
//! | `src/net/connection/sending.rs` | 93% | 96% |
//! | `src/net/establish/address.rs` | 48% | 44% |
//! | `src/bin/common/key_file.rs` | 35% | 36% |
//! | `src/bin/common/public_key_argument.rs` | 69% | 64% |
//! | `src/bin/common/request.rs` | 95% | 96% |
//! | `src/bin/common/snapshot.rs` | 100% | 100% |
//! | `src/bin/common/work_order.rs` | 94% | 95% |
//! <!-- until here -->

mod direction;
mod ends;
mod input;
mod record_model;
mod record_reader;
mod record_stream;
mod targets;
mod text;

/// One place where bytes come from somebody else.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its file, and of the directory of its inputs.
    pub name: &'static str,
    /// Panics if something does not hold for these bytes.
    pub run: fn(&[u8]),
}

/// Lists targets, each of which has a file of its name with a function of that name.
macro_rules! targets {
    ($($name:ident,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), run: targets::$name::$name },)*
        ];
    };
}

targets! {
    address,
    bench_control,
    cups_records,
    first_byte,
    key_list,
    machines,
    metrics_request,
    native_answer,
    native_control,
    native_hello,
    native_proof,
    native_records,
    pair,
    private_key,
    public_key,
    sake_dialer,
    sake_listener,
    settings,
    varint,
    wire,
}
