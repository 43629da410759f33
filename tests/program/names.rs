//! Names with several addresses, as a resolver of ours gives them to the program.

use std::net::{Ipv6Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::black_hole::BlackHole;
use crate::harness::{Pair, Program, run, stop, text};
use crate::skipped::skipped;

/// The resolver as a library to be loaded first, or why there is none that helps.
fn resolver(directory: &TempDir) -> Result<PathBuf, String> {
    let library = crate::resolver::compile(directory.path())?;
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).map_err(|_| "this host has no ::1".to_owned())?;
    Ok(library)
}

// HAZARDS F11: the first address takes the connection and never answers.
#[test]
fn health_asks_the_second_address_of_a_name_while_the_first_is_silent() {
    let pair = Pair::new();
    let library = match resolver(&pair.directory) {
        Ok(library) => library,
        Err(reason) => {
            skipped(format_args!(
                "{reason}; NOBODY HAS SEEN HEALTH WITH TWO ADDRESSES"
            ));
            return;
        }
    };
    let (listener, address) = pair.listen(&[]);
    let port = address.strip_prefix("127.0.0.1:").expect("a port");
    let hole = BlackHole::at(Ipv6Addr::LOCALHOST, port.parse().expect("a number"));
    let name = format!("both.test:{port}");
    let start = Instant::now();
    let health = Program::start_with(&["health", &name, "--timeout", "20"], |command| {
        command.env("LD_PRELOAD", library);
    });
    let output = health.wait().expect_success();
    assert_eq!(output, [format!("{name} answers")]);
    assert!(start.elapsed() < Duration::from_secs(15));
    drop(hole);
    stop(listener).expect_success();
}

#[test]
fn an_address_may_name_its_interface() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        skipped(format_args!("this host has no ::1"));
        return;
    }
    let pair = Pair::new();
    // Nobody has this address, and who says so has understood it.
    let mut args = vec!["listen", "[fe80::1234%lo]:7100", "--namespace", "test"];
    args.extend(["--identity", text(&pair.bob.file), "--allow-any"]);
    run(&args).expect_failure(&[
        "cannot listen on [fe80::1234%",
        "name an address of this host",
    ]);
    args[1] = "[fe80::1234%nowhere]:7100";
    run(&args).expect_failure(&["cannot resolve [fe80::1234%nowhere]:7100"]);
}
