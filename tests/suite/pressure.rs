//! What the kernel counts as pressure while a thread waits.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::child::{is_case, start};
use super::peers::{builder, config, pair, patiently, run};
use super::seccomp;
use super::setting::Setting;
use super::skipped::skipped;
use super::transport::somewhere;
use ringseal::{Admission, Listener};

/// A control group that goes with this value.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes one that tells of its pressure, if this host lets us.
    fn new() -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|mount| mount.get(2) == Some(&"cgroup2"))
            .ok_or("no cgroup2 file system is mounted")?;
        let name = format!(
            "ringseal-tests-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let group = Self(Path::new(root[1]).join(name));
        std::fs::create_dir(&group.0).map_err(|error| format!("{}: {error}", group.0.display()))?;
        group
            .pressure()
            .map_err(|error| format!("io.pressure: {error}"))?;
        Ok(group)
    }

    fn add(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string()).expect("join the group");
    }

    /// Returns for how many microseconds some task of the group has waited for storage.
    fn pressure(&self) -> std::io::Result<u64> {
        let text = std::fs::read_to_string(self.0.join("io.pressure"))?;
        let some = text.lines().find(|line| line.starts_with("some"));
        some.and_then(|line| line.rsplit_once("total="))
            .and_then(|(_, total)| total.parse().ok())
            .ok_or_else(|| std::io::Error::other(format!("unknown text: {text}")))
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // It is empty only some time after its last process was waited for.
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Has a child serve one idle connection, and looks at the pressure of its control group.
fn an_idle_child_is_under_no_pressure(test: &str) {
    let group = match ControlGroup::new() {
        Ok(group) => group,
        Err(reason) => {
            skipped(format_args!(
                "{reason}; NOBODY HAS SEEN WHAT AN IDLE RING COUNTS AS"
            ));
            return;
        }
    };
    let mut process = start(module_path!(), test);
    group.add(process.child.id());
    let mut input = process.child.stdin.take().expect("piped");
    input.write_all(b"go\n").expect("write");
    let mut lines = BufReader::new(process.child.stdout.take().expect("piped")).lines();
    let idle = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line == "IDLE");
    assert!(idle, "the child came to its end");
    // A window may hold a wait for storage of another kind, but not each of them.
    let shares: Vec<f64> = (0..10)
        .map(|_| {
            let (start, before) = (Instant::now(), group.pressure().expect("pressure"));
            std::thread::sleep(Duration::from_millis(300));
            let pressure = group.pressure().expect("pressure") - before;
            Duration::from_micros(pressure).as_secs_f64() / start.elapsed().as_secs_f64()
        })
        .collect();
    drop(input);
    assert!(
        lines
            .map_while(Result::ok)
            .any(|line| line.contains("1 passed"))
    );
    assert!(process.child.wait().expect("wait").success());
    assert!(shares.iter().any(|&share| share < 0.5), "{shares:?}");
}

/// Serves one idle connection until standard input ends.
fn be_idle() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("go");
    let runtime = builder().build().expect("a ring");
    let (sender, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        sender.send(()).expect("somebody waits");
    });
    runtime.block_on(patiently(async {
        let _listener = Listener::bind(somewhere(), &config(2), Admission::any())
            .await
            .expect("bind");
        let (_dialer, mut listener) = pair().await;
        let task = ringseal::spawn(async move { listener.recv().await.map(|one| one.is_some()) });
        println!("\nIDLE");
        ended.await.expect("the end of standard input");
        task.abort();
    }));
}

// HAZARDS F9.
fn an_idle_runtime_counts_as_no_pressure() {
    const TEST: &str = "an_idle_runtime_counts_as_no_pressure";
    if is_case(TEST) {
        return be_idle();
    }
    an_idle_child_is_under_no_pressure(TEST);
}

/// Runs `work` as on a kernel before Linux 6.15, which does not know the flag that a wait is not to
/// be counted.
fn on_an_older_kernel(work: fn()) {
    const IORING_ENTER_NO_IOWAIT: u64 = 1 << 7;
    let setting = Setting::current();
    let call = libc::SYS_io_uring_enter;
    seccomp::deny_flag(call, 3, IORING_ENTER_NO_IOWAIT, libc::EINVAL, move || {
        setting.run(work);
    });
}

// HAZARDS F9: there it waits elsewhere.
fn an_idle_runtime_counts_as_no_pressure_on_older_kernels() {
    const TEST: &str = "an_idle_runtime_counts_as_no_pressure_on_older_kernels";
    if is_case(TEST) {
        return on_an_older_kernel(be_idle);
    }
    an_idle_child_is_under_no_pressure(TEST);
}

/// Messages, timers and other threads that come at any time before and behind the moment when a
/// thread goes over to waiting elsewhere.
fn wake_up_again_and_again() {
    run(async {
        let (mut dialer, mut listener) = pair().await;
        let pause = |round: u64| Duration::from_micros(round * 173 % 4000);
        let answering = ringseal::spawn(async move {
            while let Some(message) = listener.recv().await.expect("recv") {
                listener.send(&message).await.expect("send");
            }
        });
        for round in 0..150_u64 {
            ringseal::sleep(pause(round)).await;
            dialer.send(&round.to_le_bytes()).await.expect("send");
            let message = dialer.recv().await.expect("recv").expect("an echo");
            assert_eq!(&*message, &round.to_le_bytes());
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let thread = std::thread::spawn(move || {
                std::thread::sleep(pause(round + 7));
                sender.send(round).expect("somebody waits");
            });
            assert_eq!(receiver.await, Ok(round));
            thread.join().expect("the thread");
        }
        drop(dialer);
        answering.await;
    });
}

// HAZARDS F9: neither way of waiting loses a wake-up.
fn nothing_is_missed_while_idle() {
    wake_up_again_and_again();
    on_an_older_kernel(wake_up_again_and_again);
}

crate::on_every_driver! {
    an_idle_runtime_counts_as_no_pressure,
    an_idle_runtime_counts_as_no_pressure_on_older_kernels,
    nothing_is_missed_while_idle,
}
