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
