//! What a file of figures says about the run that it comes from, so that figures of different code
//! or different machines are not mixed up later.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ringseal::protocol::cipher::{Aead as _, DefaultAead};
use ringseal::protocol::native::{Library, Suite};
use rustix::thread::sched_getaffinity;
use serde_json::{Value, json};

use crate::git::{BUILT, State, git};
use crate::log_format::timestamp;
use crate::machine;

/// The run that figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The commit that the program was built from, if that is known.
    pub commit: Option<String>,
    /// Whether it was built from something else than that commit has.
    pub is_dirty: Option<bool>,
    /// The processor's name, and what it has for ciphers.
    pub processor: String,
    /// How many processors this process may use.
    pub cores: u32,
    /// By which library each cipher is computed, by the names of both.
    pub libraries: BTreeMap<String, String>,
    /// The program and its arguments.
    pub command: String,
    /// When, in UTC, as RFC 3339 has it.
    pub date: String,
}

impl Envelope {
    /// Describes this process, on this machine, now.
    pub fn here() -> Self {
        // What the build script has found out.
        let commit = env!("BUILT_COMMIT");
        Self {
            commit: (!commit.is_empty()).then(|| commit.to_owned()),
            is_dirty: env!("BUILT_IS_CHANGED").parse().ok(),
            processor: processor(),
            cores: sched_getaffinity(None).map_or(1, |allowed| allowed.count()),
            libraries: libraries(),
            command: command(std::env::args()),
            date: timestamp(),
        }
    }

    /// Returns `figures`, a JSON object, with the fields of the envelope beside its own.
    ///
    /// # Panics
    ///
    /// If `figures` is no object.
    pub fn around(&self, mut figures: Value) -> Value {
        let fields = json!({
            "commit": self.commit,
            "is_dirty": self.is_dirty,
            "processor": self.processor,
            "cores": self.cores,
            "libraries": self.libraries,
            "command": self.command,
            "date": self.date,
        });
        let Value::Object(fields) = fields else {
            unreachable!("it was just made as one");
        };
        let figures_object = figures.as_object_mut().expect("figures are an object");
        figures_object.extend(fields);
        figures
    }

    /// Reads what [`around`](Self::around) has written. The error names the field that is missing
    /// or of the wrong type.
    pub fn of(value: &Value) -> Result<Self, &'static str> {
        let text = |name: &'static str| value[name].as_str().map(str::to_owned).ok_or(name);
        let libraries = value["libraries"].as_object().ok_or("libraries")?;
        Ok(Self {
            commit: value["commit"].as_str().map(str::to_owned),
            is_dirty: value["is_dirty"].as_bool(),
            processor: text("processor")?,
            cores: value["cores"]
                .as_u64()
                .and_then(|cores| cores.try_into().ok())
                .ok_or("cores")?,
            libraries: libraries
                .iter()
                .map(|(cipher, library)| {
                    let library = library.as_str().ok_or("libraries")?;
                    Ok((cipher.clone(), library.to_owned()))
                })
                .collect::<Result<_, &'static str>>()?,
            command: text("command")?,
            date: text("date")?,
        })
    }
}

/// Returns the commit that the sources are at which this program was built from, and whether what is
/// built differs from it: now, which is not when it was built.
pub fn checked_out() -> Option<(String, bool)> {
    let State { commit, is_changed } =
        State::of(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").as_ref())?;
    Some((commit, is_changed))
}

/// Returns whether two commits build the same programs, as far as git knows in `directory`.
pub fn is_same_build(directory: &Path, one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    if !is_hash(one) || !is_hash(other) {
        return false;
    }
    let diff = [&["diff", "--quiet", one, other, "--"], &BUILT[..]].concat();
    git(directory, &diff).is_some()
}

/// What comes from a file or a user is no option of git.
fn is_hash(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    format!("{} ({})", processor_name(&text), instructions().join(", "))
}

/// The name in the kernel's list of processors. Hypervisors hide which one it is behind a common
/// name, so family and model stand beside it.
fn processor_name(cpuinfo: &str) -> String {
    let field = |name| machine::field(cpuinfo, name);
    match (field("model name"), field("cpu family"), field("model")) {
        (Some(name), Some(family), Some(model)) => format!("{name}, family {family} model {model}"),
        (Some(name), ..) => name.to_owned(),
        _ => std::env::consts::ARCH.to_owned(),
    }
}

/// What the processor has, and has not, that ciphers depend on.
#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    let avx512 = match (
        is_x86_feature_detected!("avx512f"),
        is_x86_feature_detected!("avx512ifma"),
    ) {
        (true, true) => "AVX-512 with IFMA",
        (true, false) => "AVX-512 without IFMA",
        (false, _) => "no AVX-512",
    };
    let aes = match (
        is_x86_feature_detected!("aes"),
        is_x86_feature_detected!("vaes"),
    ) {
        (_, true) => "VAES",
        (true, false) => "AES-NI",
        (false, false) => "no AES",
    };
    vec![avx512, aes]
}

#[cfg(not(target_arch = "x86_64"))]
fn instructions() -> Vec<&'static str> {
    vec![std::env::consts::ARCH]
}

fn libraries() -> BTreeMap<String, String> {
    let native = Suite::ALL.map(|suite| {
        let library = Library::for_suite(suite).name(suite);
        (format!("native {suite}"), library.to_owned())
    });
    let commonware = ("commonware".to_owned(), DefaultAead::name().to_owned());
    native.into_iter().chain([commonware]).collect()
}

/// The program's name without its directory, and its arguments as they are.
fn command(mut arguments: impl Iterator<Item = String>) -> String {
    let program = arguments.next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or_default();
    let mut command = name.to_string_lossy().into_owned();
    for argument in arguments {
        command.push(' ');
        command.push_str(&argument);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let envelope = Envelope::here();
        let value = envelope.around(json!({ "rows": [1, 2] }));
        assert_eq!(value["rows"], json!([1, 2]));
        assert_eq!(Envelope::of(&value), Ok(envelope.clone()));
        assert!(0 < envelope.cores);
        assert!(envelope.date.starts_with("20"), "{}", envelope.date);
        for (cipher, library) in &envelope.libraries {
            assert!(!cipher.is_empty() && !library.is_empty());
        }
        for name in ["processor", "cores", "libraries", "command", "date"] {
            let mut altered = value.clone();
            altered[name] = Value::Null;
            assert_eq!(Envelope::of(&altered), Err(name));
        }
    }

    #[test]
    fn a_processor_with_a_common_name_is_told_by_its_model() {
        let cpuinfo = "cpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Some Xeon\n\nmodel\t\t: 1\n";
        assert_eq!(processor_name(cpuinfo), "Some Xeon, family 6 model 143");
        assert_eq!(processor_name(""), std::env::consts::ARCH);
    }

    #[test]
    fn the_command_is_as_it_was_typed_but_for_the_directory() {
        let line = ["/somewhere/target/release/program", "--seconds", "1"];
        let line = line.map(str::to_owned).into_iter();
        assert_eq!(command(line), "program --seconds 1");
    }
}
