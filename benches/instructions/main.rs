//! Did a change make a message cost more instructions than before?
//!
//! ```text
//! cargo bench --bench instructions                          # count and compare
//! cargo bench --bench instructions -- seal/                 # only what has this in its name
//! cargo bench --bench instructions -- --baseline FILE       # compare with another baseline
//! cargo bench --bench instructions -- --write-baseline      # make what is counted the baseline
//! cargo bench --bench instructions -- --test                # run each once, count nothing
//! ```
//!
//! Time on a shared machine drifts by more than what one looks for; counts do not drift. Each
//! workload runs under valgrind's callgrind for N and for 2N messages, and the difference divided
//! by N is what one message costs, start and preparations excluded. The counts are those of user
//! space: system calls, cache misses and waiting are for the other benches.
//!
//! They are compared with `benches/instructions.json`, within a tolerance that stands there, both
//! ways: a count that fell is a gain to be kept by a new baseline, or a workload that no longer
//! does its work. What they depend on, besides this source: the compilers (rustc; cc for AWS-LC),
//! the versions in `Cargo.lock`, glibc, valgrind, and the instructions that valgrind shows to
//! programs. It hides AVX-512 and all that came after AVX2 and shows the same processor on every
//! machine with AVX2, so counts agree among those. Where rustc, cc or valgrind is another version
//! than for the baseline, the tolerance is five times wider and a warning says so: a new compiler
//! must not fail a build, yet what the guard is for, a copy or an allocation that crept in, is
//! many times that to the workloads without cipher. On another target or without AVX2 nothing can
//! be compared; it says so and succeeds.

mod baseline;
#[path = "../common/native_machines.rs"]
mod native_machines;
#[path = "../common/state_machines.rs"]
mod state_machines;
mod workloads;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use baseline::{Baseline, Line, TOOLS, Verdict};
use workloads::Workload;

/// Where the baseline is, within the package.
const BASELINE: &str = "benches/instructions.json";

/// For a baseline that is written where none was.
const TOLERANCE_PERCENT: f64 = 2.0;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the command line asks for.
struct Arguments {
    /// Run this workload so many times, in this process.
    workload: Option<(String, u64)>,
    baseline: PathBuf,
    write: bool,
    test: bool,
    /// What the names of workloads must contain.
    filter: Option<String>,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut name = None;
        let mut iterations = 1;
        let mut parsed = Self {
            workload: None,
            baseline: Path::new(env!("CARGO_MANIFEST_DIR")).join(BASELINE),
            write: false,
            // Counts of code that is not optimized say nothing.
            test: cfg!(debug_assertions),
            filter: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let missing = || format!("{argument} takes a value");
                arguments.next().ok_or_else(missing)
            };
            match argument.as_str() {
                // Cargo says this to all benches.
                "--bench" => {}
                "--test" => parsed.test = true,
                "--write-baseline" => parsed.write = true,
                "--baseline" => parsed.baseline = value()?.into(),
                "--workload" => name = Some(value()?),
                "--iterations" => iterations = value()?.parse()?,
                option if option.starts_with('-') => {
                    return Err(format!("no such option: {option}").into());
                }
                _ => parsed.filter = Some(argument),
            }
        }
        parsed.workload = name.map(|name| (name, iterations));
        Ok(parsed)
    }

    fn selects(&self, name: &str) -> bool {
        let filter = self.filter.as_deref();
        filter.is_none_or(|filter| name.contains(filter))
    }
}

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is as the baseline says.
fn run(arguments: &Arguments) -> Outcome<bool> {
    let all = workloads::all();
    if let Some((name, iterations)) = &arguments.workload {
        let workload = all.iter().find(|workload| workload.name == *name);
        let workload = workload.ok_or_else(|| format!("no workload is called {name}"))?;
        workload.run(*iterations);
        return Ok(true);
    }
    let selected: Vec<&Workload> = all
        .iter()
        .filter(|workload| arguments.selects(&workload.name))
        .collect();
    if selected.is_empty() {
        return Err("no workload has this in its name".into());
    }
    if arguments.test {
        for workload in selected {
            workload.run(1);
            println!("{} runs", workload.name);
        }
        return Ok(true);
    }
    if !has_avx2() {
        println!("NOT COMPARED: this processor has no AVX2, the baseline is for one that has");
        return Ok(true);
    }
    let here = made_with()?;
    let mut measured = BTreeMap::new();
    for workload in selected {
        measured.insert(workload.name.clone(), count_per_message(workload)?);
    }
    if arguments.write {
        return write(arguments, here, measured).map(|()| true);
    }
    compare(arguments, &here, &measured)
}

fn compare(
    arguments: &Arguments,
    here: &BTreeMap<String, String>,
    measured: &BTreeMap<String, u64>,
) -> Outcome<bool> {
    let baseline = read(&arguments.baseline)?;
    let differences = baseline.differences(here);
    let version = |of: &BTreeMap<String, String>, name: &str| {
        of.get(name).cloned().unwrap_or_else(|| "none".into())
    };
    for name in &differences {
        println!(
            "{name}: {} here, {} for the baseline",
            version(here, name),
            version(&baseline.made_with, name)
        );
    }
    let tolerance = baseline.tolerance(here);
    let lines = baseline.judge(measured, tolerance, |name| arguments.selects(name));
    println!(
        "{:<34} {:>12} {:>12} {:>9}",
        "instructions a message", "baseline", "now", "change"
    );
    for line in &lines {
        println!("{line}");
    }
    if differences.iter().any(|name| name == "target") {
        println!("NOT COMPARED: the baseline is for another target");
        return Ok(true);
    }
    if differences
        .iter()
        .any(|name| TOOLS.contains(&name.as_str()))
    {
        println!("warning: other tools than for the baseline, so {tolerance} % are allowed");
    }
    let failed: Vec<&Line> = lines
        .iter()
        .filter(|line| line.verdict != Verdict::Same)
        .collect();
    if failed.is_empty() {
        println!("all within {tolerance} % of the baseline");
        return Ok(true);
    }
    eprintln!();
    for line in failed {
        eprintln!("{}", complaint(line, tolerance));
    }
    eprintln!(
        "If that is meant, make it the baseline and commit it:\n    \
         cargo bench --bench instructions -- --write-baseline"
    );
    Ok(false)
}

/// What is wrong with a line, in words.
fn complaint(line: &Line, tolerance: f64) -> String {
    let name = &line.name;
    let percent = line.percent().unwrap_or_default().abs();
    let (expected, measured) = (
        line.expected.unwrap_or_default(),
        line.measured.unwrap_or_default(),
    );
    match line.verdict {
        Verdict::Same => format!("{name} is as it was"),
        Verdict::More => format!(
            "{name} takes {measured} instructions a message instead of {expected}: {percent:.2} % \
             more, {tolerance} % are allowed"
        ),
        Verdict::Fewer => format!(
            "{name} takes {measured} instructions a message instead of {expected}: {percent:.2} % \
             fewer, which is to be kept if it is a gain, and not if the workload lost its work"
        ),
        Verdict::New => format!("{name} is not in the baseline"),
        Verdict::Gone => format!("{name} is in the baseline but there is no such workload"),
    }
}

fn read(path: &Path) -> Outcome<Baseline> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let baseline =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(baseline)
}

/// Makes what was measured the baseline. What the filter left out stays as it is.
fn write(
    arguments: &Arguments,
    here: BTreeMap<String, String>,
    measured: BTreeMap<String, u64>,
) -> Outcome<()> {
    let path = &arguments.baseline;
    let mut baseline = if path.exists() {
        read(path)?
    } else {
        Baseline {
            tolerance_percent: TOLERANCE_PERCENT,
            made_with: here.clone(),
            workloads: BTreeMap::new(),
        }
    };
    if arguments.filter.is_none() {
        baseline.workloads.clear();
    } else if !baseline.differences(&here).is_empty() {
        return Err(
            "versions changed, so all workloads have to be counted again: no filter".into(),
        );
    }
    baseline.made_with = here;
    baseline.workloads.extend(measured);
    fs::write(path, serde_json::to_string_pretty(&baseline)? + "\n")?;
    println!("{} written", path.display());
    Ok(())
}

/// What one more message costs.
fn count_per_message(workload: &Workload) -> Outcome<u64> {
    let once = count(workload, workload.iterations)?;
    let twice = count(workload, 2 * workload.iterations)?;
    let difference = twice
        .checked_sub(once)
        .ok_or("twice the work took fewer instructions")?;
    Ok((difference + workload.iterations / 2) / workload.iterations)
}

/// All instructions of a process that runs `workload` so many times.
fn count(workload: &Workload, iterations: u64) -> Outcome<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--workload", &workload.name])
        .args(["--iterations", &iterations.to_string()])
        // What stands in the environment moves the stack and may switch valgrind's options.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    let output = command
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} under valgrind: {report}", workload.name).into());
    }
    report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, total)| total.trim().parse().ok())
        .ok_or_else(|| format!("valgrind told no count: {report}").into())
}

/// Versions of what the counts depend on.
fn made_with() -> Outcome<BTreeMap<String, String>> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let rustc = output_of(&rustc, "-vV")?;
    let of_rustc = |field: &str| {
        let value = rustc.lines().find_map(|line| line.strip_prefix(field));
        value.ok_or_else(|| format!("rustc -vV says no {field}"))
    };
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiler = output_of(&compiler, "--version")?;
    let valgrind = output_of("valgrind", "--version")
        .map_err(|error| format!("{error} (apt-get install valgrind)"))?;
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Ok(BTreeMap::from([
        ("aws-lc-sys".into(), locked("aws-lc-sys")?),
        ("cc".into(), first_line(&compiler)),
        ("rustc".into(), of_rustc("release: ")?.to_owned()),
        ("target".into(), of_rustc("host: ")?.to_owned()),
        ("valgrind".into(), first_line(&valgrind)),
    ]))
}

fn output_of(program: &str, argument: &str) -> Outcome<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The version of a package in `Cargo.lock`.
fn locked(package: &str) -> Outcome<String> {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"))?;
    let version = lock
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .ok_or_else(|| format!("Cargo.lock has no {package}"))?;
    Ok(version.0.to_owned())
}

/// Whether this processor has AVX2. Where there is no such thing, the target differs too.
fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}
