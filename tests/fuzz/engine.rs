//! The program that looks for inputs, by libFuzzer. The target is named by the environment, because
//! the command line is libFuzzer's.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ringseal_fuzz::{TARGETS, Target};

const NAME: &str = "RINGSEAL_FUZZ_TARGET";

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var(NAME).unwrap_or_default();
        let target = TARGETS.iter().find(|target| target.name == name);
        let target = target.unwrap_or_else(|| panic!("{NAME} names no target: {name:?}"));
        TARGET.set(target).expect("this is done once");
    },
    |data: &[u8]| {
        (TARGET.get().expect("it was set before").run)(data);
    }
);
