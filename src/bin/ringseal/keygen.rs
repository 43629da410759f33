//! `keygen` and `pubkey`: identities and what others have to know of them.

use std::io::{self, Write};

use ringseal::Identity;

use crate::args::{KeygenArgs, PubkeyArgs};
use crate::failure::Failure;
use crate::key_file;
use crate::patient::Patient;
use crate::stdio;

/// Makes an identity from the system's randomness.
pub(crate) fn fresh_identity() -> Identity {
    // Panics when the kernel has no randomness, before which nothing useful can be done.
    Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng))
}

pub(crate) fn generate(args: &KeygenArgs) -> Result<(), Failure> {
    let identity = fresh_identity();
    let public = identity.public_key().to_string();
    if let Some(path) = &args.out {
        key_file::create(path, &identity)?;
        return stdio::print(&public);
    }
    // Not through `stdio::print`, which would copy the secret.
    let mut output = Patient(io::stdout().lock());
    output
        .write_all(identity.to_pkcs8_pem().as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| Failure::of_output(&error))?;
    let _ = writeln!(Patient(io::stderr()), "{public}");
    Ok(())
}

pub(crate) fn show(args: &PubkeyArgs) -> Result<(), Failure> {
    stdio::print(&key_file::read(&args.file)?.public_key().to_string())
}
