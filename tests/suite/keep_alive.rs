//! Peers whose host vanishes.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::child::{is_case, said, start_in_namespace};
use super::peers::{config, key, pair_with, run};
use super::skipped::skipped;
use ringseal::{Admission, Config, Connection, Listener, RecvError, TimeLimit, dial};
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Returns another descriptor of the connection's socket, which the address of its peer tells.
fn socket_of(connection: &Connection) -> OwnedFd {
    let peer = connection.peer_address().to_string();
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty()).expect("pidfd");
    std::fs::read_dir("/proc/self/fd")
        .expect("procfs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|number| pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty()).ok())
        .find(|socket| {
            let address = rustix::net::getpeername(socket).ok().flatten();
            let address = address.and_then(|it| std::net::SocketAddr::try_from(it).ok());
            address.is_some_and(|address| address.to_string() == peer)
        })
        .expect("the socket of a live connection")
}

async fn pair(settings: &Config) -> [OwnedFd; 2] {
    let (dialer, listener) = pair_with(settings, &settings.clone().allow_self(true)).await;
    [socket_of(&dialer), socket_of(&listener)]
}

fn settings() -> Config {
    config(1).allow_self(true)
}

// HAZARDS F21.
fn the_kernel_looks_after_silent_hosts_by_default() {
    run(async {
        for socket in pair(&settings()).await {
            assert!(sockopt::socket_keepalive(&socket).expect("an option"));
            let idle = sockopt::tcp_keepidle(&socket).expect("an option");
            let interval = sockopt::tcp_keepintvl(&socket).expect("an option");
            let probes = sockopt::tcp_keepcnt(&socket).expect("an option");
            assert_eq!(idle + interval * probes, Config::DEFAULT_HOST_TIMEOUT);
            let unacknowledged = sockopt::tcp_user_timeout(&socket).expect("an option");
            assert_eq!(unacknowledged, 60_000);
        }
    });
}

fn the_kernel_bears_with_a_host_for_as_long_as_the_settings_say() {
    let seconds = Duration::from_secs;
    run(async {
        // Given: host and progress. Set: idle, interval and unacknowledged.
        for (host, progress, idle, interval, unacknowledged) in [
            (seconds(12), Some(seconds(10)), 6, 2, 12_000),
            (seconds(12), Some(seconds(100)), 6, 2, 100_000),
            (seconds(12), None, 6, 2, 0),
            (Duration::from_millis(1), Some(seconds(1)), 1, 1, 1_000),
        ] {
            let settings = settings().host_timeout(host).progress_timeout(progress);
            for socket in pair(&settings).await {
                assert!(sockopt::socket_keepalive(&socket).expect("an option"));
                let set = (
                    sockopt::tcp_keepidle(&socket).expect("an option"),
                    sockopt::tcp_keepintvl(&socket).expect("an option"),
                    sockopt::tcp_user_timeout(&socket).expect("an option"),
                );
                assert_eq!(set, (seconds(idle), seconds(interval), unacknowledged));
            }
        }
        for socket in pair(&settings().host_timeout(None)).await {
            assert!(!sockopt::socket_keepalive(&socket).expect("an option"));
            assert_eq!(sockopt::tcp_user_timeout(&socket).expect("an option"), 0);
        }
    });
}

/// Two network namespaces with a cable between them, which go with this value.
struct Cable {
    near: String,
    far: String,
}

const FAR_ADDRESS: &str = "10.99.7.2";

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {arguments}: {}", error.trim()))
}

impl Cable {
    fn new() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringseal-{}-{number}", std::process::id());
        let (near, far) = (format!("{name}-near"), format!("{name}-far"));
        ip(&format!("netns add {near}"))?;
        let cable = Self { near, far };
        let (near, far) = (&cable.near, &cable.far);
        ip(&format!("netns add {far}"))?;
        ip(&format!(
            "-n {near} link add plug type veth peer name plug netns {far}"
        ))?;
        for (namespace, address) in [(near, "10.99.7.1"), (far, FAR_ADDRESS)] {
            ip(&format!("-n {namespace} address add {address}/24 dev plug"))?;
            ip(&format!("-n {namespace} link set plug up"))?;
        }
        Ok(cable)
    }

    /// Cuts the far end off. Nobody is told.
    fn cut(&self) {
        ip(&format!("-n {} link set plug down", self.far)).expect("cut the cable");
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // One that could not be made is not there.
            let _ = ip(&format!("netns delete {namespace}"));
        }
    }
}

fn say(word: &str) {
    println!("\n{word}");
    std::io::stdout().flush().expect("flush");
}

/// The far end: it accepts, and says nothing until it is killed.
fn accept_and_be_silent() {
    run(async {
        let address = format!("{FAR_ADDRESS}:0");
        let mut listener = Listener::bind(address, &config(2), Admission::any())
            .await
            .expect("bind");
        say(&format!("ADDRESS {}", listener.local_address()));
        let _idle = listener.accept().await.expect("accept");
        let _busy = listener.accept().await.expect("accept");
        std::future::pending::<()>().await;
    });
}

/// The near end: one connection waits for the peer, and one has sent something, which stays in the
/// kernel.
fn notice_that_the_peer_is_gone() {
    let mut lines = std::io::stdin().lines();
    let address = said(&mut lines, "DIAL");
    run(async {
        let settings = config(1).host_timeout(Duration::from_secs(3));
        let settings = settings.progress_timeout(Duration::from_secs(2));
        let mut idle = dial(&address, key(2), &settings).await.expect("dial");
        let mut busy = dial(&address, key(2), &settings).await.expect("dial");
        say("CONNECTED");
        said(&mut lines, "CUT");
        busy.send(b"is anybody there?").await.expect("send");
        busy.flush().await.expect("the kernel takes it");
        for connection in [&mut idle, &mut busy] {
            let error = connection.recv().await.expect_err("nobody is there");
            assert!(
                matches!(
                    error,
                    RecvError::TimedOut {
                        limit: TimeLimit::Host
                    }
                ),
                "{error:?}"
            );
            assert!(error.to_string().contains("Config::host_timeout"));
        }
    });
}

// HAZARDS F21.
fn a_host_that_vanishes_is_noticed() {
    const TEST: &str = "a_host_that_vanishes_is_noticed";
    const FAR: &str = "a_far_end_that_is_silent";
    if is_case(TEST) {
        return notice_that_the_peer_is_gone();
    }
    let cable = match Cable::new() {
        Ok(cable) => cable,
        Err(reason) => {
            skipped(format_args!("{reason}; NOBODY HAS SEEN A HOST VANISH"));
            return;
        }
    };
    let mut far = start_in_namespace(&cable.far, module_path!(), FAR);
    let mut lines = BufReader::new(far.child.stdout.take().expect("piped")).lines();
    let address = said(&mut lines, "ADDRESS");
    let mut near = start_in_namespace(&cable.near, module_path!(), TEST);
    let mut input = near.child.stdin.take().expect("piped");
    let output = BufReader::new(near.child.stdout.take().expect("piped"));
    let mut near_lines = output.lines();
    writeln!(input, "DIAL {address}").expect("write");
    said(&mut near_lines, "CONNECTED");
    cable.cut();
    writeln!(input, "CUT").expect("write");
    let rest: Vec<String> = near_lines.map_while(Result::ok).collect();
    assert!(near.child.wait().expect("wait").success(), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("1 passed")),
        "{rest:?}"
    );
}

/// What the test before has run in the other namespace. By itself it does nothing.
fn a_far_end_that_is_silent() {
    if is_case("a_far_end_that_is_silent") {
        accept_and_be_silent();
    }
}

crate::on_every_driver! {
    the_kernel_looks_after_silent_hosts_by_default,
    the_kernel_bears_with_a_host_for_as_long_as_the_settings_say,
    a_host_that_vanishes_is_noticed,
    a_far_end_that_is_silent,
}
