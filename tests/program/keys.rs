//! Keys as others make them, and what is said of those that can't be taken.
//!
//! The files in `openssh` are for these tests only. OpenSSH 9.2p1 has made them:
//! `ssh-keygen -t ed25519`, with a passphrase for `encrypted`; `-t rsa -b 1024`, `-t ecdsa`,
//! `-t dsa`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{Pair, Program, run, stop, text};
use crate::skipped::skipped;

const ED25519: &str = include_str!("openssh/ed25519");
const ED25519_PUBLIC: &str = include_str!("openssh/ed25519.pub");
/// The same as `openssl` would show it: the last 32 bytes of what is in base64.
const ED25519_DIGITS: &str = "60a4c7b4506cd01498e33cdb8e645a51b0f32c30a74829b52e3938d18951d0a9";

fn write(directory: &TempDir, name: &str, text: &str) -> PathBuf {
    let file = directory.path().join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    file
}

#[test]
fn keys_of_openssh_are_identities() {
    let directory = TempDir::new().unwrap();
    for (name, key) in [
        ("plain", ED25519.to_owned()),
        ("dos", ED25519.replace('\n', "\r\n")),
        ("spaced", format!("\n{ED25519}\n\n")),
    ] {
        let file = write(&directory, name, &key);
        let output = run(&["pubkey", text(&file)]).expect_success();
        assert_eq!(output, [ED25519_DIGITS], "{name}");
    }
}

// HAZARDS S8, the private keys of OpenSSH.
#[test]
fn unfit_keys_of_openssh_are_refused_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let encrypted = include_str!("openssh/encrypted");
    let changed = |from: &str, to: &str| {
        let key = ED25519.replacen(from, to, 1);
        assert_ne!(key, ED25519);
        key
    };
    // The public key is there three times, the secret once.
    let other_public = changed("BgpMe0", "BgpMe1");
    let other_secret = changed("GyhGxn", "GyhGxm");
    for (name, key, parts) in [
        ("encrypted", encrypted, ["encrypted", "ssh-keygen -p"]),
        (
            "rsa",
            include_str!("openssh/rsa"),
            ["ssh-rsa", "ssh-keygen -t ed25519"],
        ),
        (
            "dsa",
            include_str!("openssh/dsa"),
            ["ssh-dss", "ssh-keygen -t ed25519"],
        ),
        (
            "ecdsa",
            include_str!("openssh/ecdsa"),
            ["ecdsa-sha2-nistp256", "ed25519"],
        ),
        ("cut", &ED25519[..200], ["damaged", "copy the whole file"]),
        (
            "other public",
            &other_public,
            ["damaged", "copy the whole file"],
        ),
        (
            "other secret",
            &other_secret,
            ["does not belong to it", "new key"],
        ),
        ("public", ED25519_PUBLIC, ["not PEM", "BEGIN PRIVATE KEY"]),
        (
            "escapes",
            "-----BEGIN \u{1b}[2JKEY-----\n",
            ["`\\u{1b}[2JKEY`", "openssl genpkey"],
        ),
    ] {
        let file = write(&directory, name, key);
        run(&["pubkey", text(&file)]).expect_failure(&[text(&file), parts[0], parts[1]]);
    }
    let open = write(&directory, "open", ED25519);
    fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
    run(&["pubkey", text(&open)]).expect_failure(&["open to others", "chmod 600"]);
}

// As systemd gives it to a service that runs as another user.
#[test]
fn a_credential_of_the_service_manager_may_be_readable_by_its_group() {
    if !rustix::process::geteuid().is_root() {
        return skipped(format_args!(
            "files of root's own, for which tests have to be root"
        ));
    }
    let directory = tempfile::tempdir().unwrap();
    let credential = write(&directory, "credential", ED25519);
    let shown = |mode, directory: &Path| {
        fs::set_permissions(&credential, PermissionsExt::from_mode(mode)).unwrap();
        let mut program = Program::start_with(&["pubkey", text(&credential)], |command| {
            command.env("CREDENTIALS_DIRECTORY", directory);
        });
        program.end_input();
        program.wait()
    };
    shown(0o440, directory.path()).expect_success();
    shown(0o444, directory.path()).expect_failure(&["open to others"]);
    shown(0o440, Path::new("/run/credentials/other")).expect_failure(&["open to others"]);
}

#[test]
fn public_keys_are_taken_in_each_form() {
    let pair = Pair::new();
    let bob = write(&pair.directory, "id_ed25519", ED25519);
    let public = write(&pair.directory, "id_ed25519.pub", ED25519_PUBLIC);
    let alice = write(
        &pair.directory,
        "alice.txt",
        &format!("# Alice\n{}\n", pair.alice.public),
    );
    for allow in [&pair.alice.public, text(&alice)] {
        let mut args = vec!["listen", "127.0.0.1:0", "--identity", text(&bob)];
        args.extend(["--namespace", "test", "--mode", "echo", "--allow", allow]);
        args.push(ED25519_PUBLIC.trim());
        let listener = Program::start(&args);
        let first = listener.next_line();
        let address = first.strip_prefix("listening on ").expect("an address");
        for peer in [ED25519_DIGITS, ED25519_PUBLIC, text(&public)] {
            let mut dialer = pair.dial_key(address, peer, &[]);
            dialer.type_line("hello");
            assert_eq!(dialer.next_line(), "hello");
            dialer.end_input();
            dialer.wait().expect_success();
        }
        stop(listener).expect_success();
    }
}

// HAZARDS S8, the public keys.
#[test]
fn unfit_public_keys_are_refused_with_what_to_do() {
    let pair = Pair::new();
    let dial = |peer: &str| pair.dial_key("127.0.0.1:1", peer, &[]).wait();
    for (peer, part) in [
        ("12", "64 hexadecimal digits"),
        ("ssh-ed25519", "in quotes"),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDp rsa",
            "algorithm ssh-rsa",
        ),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCkx7RQ", "damaged"),
        (
            &format!("{ED25519_PUBLIC}{ED25519_PUBLIC}"),
            "more than one line",
        ),
    ] {
        dial(peer).expect_usage_error(part);
    }
    let two = format!("{ED25519_PUBLIC}{ED25519_PUBLIC}");
    let damaged = ED25519_PUBLIC.replace("AAAAIGCk", "AAAAIGC");
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDp rsa";
    let long = "x".repeat(20_000);
    for (name, key, part) in [
        ("empty.pub", "", "no public key"),
        ("private.pub", ED25519, "private key"),
        ("two.pub", &two, "more than one line"),
        ("damaged.pub", &damaged, "damaged"),
        ("rsa.pub", rsa, "algorithm ssh-rsa"),
        ("noise.pub", "\u{1b}[2J noise", "algorithm \\u{1b}[2J"),
        ("long.pub", &long, "longer than 16384 bytes"),
    ] {
        let file = write(&pair.directory, name, key);
        dial(text(&file)).expect_failure(&[text(&file), part]);
    }
    dial("/nowhere/alice.pub").expect_failure(&["/nowhere/alice.pub", "No such file"]);
    dial("/dev/zero").expect_failure(&["longer than 16384 bytes"]);
    let directory = text(pair.directory.path());
    dial(directory).expect_failure(&[directory, "cannot read"]);
}
