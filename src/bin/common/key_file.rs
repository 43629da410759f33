//! Private key files: read with suspicion, written once.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ringseal::{Identity, KeyError};
use ssh_key::PrivateKey;
use ssh_key::private::KeypairData;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// No key file comes near it; what is longer is some other file.
const MAX_SIZE: usize = 64 * 1024;

/// What a private key of OpenSSH's own form begins with.
const OPENSSH_LABEL: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

/// Reads a private key that nobody else can read.
///
/// # Errors
///
/// That there is none, that it is open to others, or what is wrong with it.
pub fn read(path: &Path) -> Result<Identity, Failure> {
    let shown = path.display();
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(format!(
            "there is no private key {shown}; make one with `ringseal keygen --out {}`",
            shell_word(path)
        )),
        _ => Failure::new(format!("cannot read the private key {shown}: {error}")),
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Failure::new(format!(
            "{shown} is a directory; name the file of a private key"
        )));
    }
    // A pipe has no permissions that say anything.
    if metadata.is_file() && is_open_to_others(path, &metadata) {
        return Err(Failure::new(format!(
            "the private key {shown} is open to others (mode {:04o}); run `chmod 600 {}`",
            metadata.permissions().mode() & 0o7777,
            shell_word(path)
        )));
    }
    let too_long = || {
        Failure::new(format!(
            "{shown} is longer than {MAX_SIZE} bytes, so it is not a private key; name the right \
             file"
        ))
    };
    if metadata.len() > MAX_SIZE as u64 {
        return Err(too_long());
    }
    // Never grown, since that would leave copies of the secret behind.
    let mut text = Zeroizing::new(vec![0; MAX_SIZE + 1]);
    let length = fill(file, &mut text).map_err(cannot)?;
    if length > MAX_SIZE {
        return Err(too_long());
    }
    parse(&text[..length], path)
}

/// Whether its permissions let others read or write it. systemd lets the user of a service read a
/// credential by an access control list, which the mode shows as readable by root's group.
fn is_open_to_others(path: &Path, metadata: &Metadata) -> bool {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let is_credential = credentials
        .is_some_and(|directory| path.parent() == Some(directory.as_ref()))
        && metadata.uid() == 0
        && metadata.gid() == 0;
    let allowed = if is_credential { 0o740 } else { 0o700 };
    metadata.permissions().mode() & 0o777 & !allowed != 0
}

/// Reads what a private key file holds; `path` is for who reads the error.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(text: &[u8], path: &Path) -> Result<Identity, Failure> {
    let refused = |error: KeyError| Failure::new(format!("{}: {error}", path.display()));
    let text = core::str::from_utf8(text).map_err(|_| refused(KeyError::NotPem))?;
    // As in lists of keys: some editors mark what they save.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains(OPENSSH_LABEL) {
        return from_openssh(text, path);
    }
    Identity::from_pkcs8_pem(text).map_err(refused)
}

/// Reads what `ssh-keygen -t ed25519` makes when it is given no passphrase.
fn from_openssh(text: &str, path: &Path) -> Result<Identity, Failure> {
    let file = shell_word(path);
    let refused = |what: &str| Failure::new(format!("{}: private key {what}", path.display()));
    let key = PrivateKey::from_openssh(text.trim()).map_err(|error| {
        // It may have parts of the file in it.
        let error = error.to_string().replace(char::is_control, "?");
        refused(&format!("is damaged: {error}; copy the whole file again"))
    })?;
    if key.is_encrypted() {
        return Err(refused(&format!(
            "is encrypted; take the passphrase off a copy of it: cp -p {file} NEW && \
             ssh-keygen -p -N '' -f NEW"
        )));
    }
    let KeypairData::Ed25519(pair) = key.key_data() else {
        return Err(refused(&format!(
            "is for the algorithm {}, not ed25519; make one with `ssh-keygen -t ed25519` or \
             `ringseal keygen`",
            key.algorithm()
        )));
    };
    let identity = Identity::from_seed(pair.private.as_ref());
    // The library has compared two copies of the public key, and not whether it fits.
    if identity.public_key().as_bytes() != pair.public.as_ref() {
        return Err(refused(
            "holds a public key that does not belong to it; make a new key",
        ));
    }
    Ok(identity)
}

/// Reads until `buffer` is full or the file ends.
fn fill(mut file: File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes a private key to a file of its own that only its owner can read.
///
/// # Errors
///
/// That the file is there, or cannot be written.
pub fn create(path: &Path, identity: &Identity) -> Result<(), Failure> {
    let shown = path.display();
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let mut file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{shown} exists and is not overwritten; choose another name or move it away"
        )),
        _ => Failure::new(format!("cannot create {shown}: {error}")),
    })?;
    file.write_all(identity.to_pkcs8_pem().as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| {
            // Half a key would only be in the way of the next try.
            let _ = fs::remove_file(path);
            Failure::new(format!("cannot write {shown}: {error}"))
        })
}

/// The path as it can be pasted into a shell.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        return text;
    }
    let dashed = if text.starts_with('-') { "./" } else { "" };
    format!("'{dashed}{}'", text.replace('\'', r"'\''"))
}
