//! Private key files, in PKCS#8 and in OpenSSH's form: any text, and any bytes as such a file has them.

use std::path::Path;

use ringseal::Identity;
use ringseal_cli::failure::Failure;
use ringseal_cli::key_file::parse;

use crate::text::{check_error, pem};

pub(crate) fn private_key(data: &[u8]) {
    let Some((form, content)) = data.split_first() else {
        return;
    };
    let file = match form % 4 {
        0 => content.to_vec(),
        1 => pem("PRIVATE KEY", content, 64).into_bytes(),
        2 => pem("OPENSSH PRIVATE KEY", content, 70).into_bytes(),
        _ => pem("OPENSSH PRIVATE KEY", &openssh(content), 70).into_bytes(),
    };
    match parse(&file, Path::new("file")) {
        Ok(identity) => check_identity(&identity),
        Err(Failure::Failed(text)) => check_error(&text),
        Err(Failure::OutputClosed) => panic!("nothing was written"),
    }
}

/// What is read can be written, and read again.
fn check_identity(identity: &Identity) {
    let written = identity.to_pkcs8_pem();
    let again = Identity::from_pkcs8_pem(&written).expect("it was written here");
    assert_eq!(again.public_key(), identity.public_key());
}

/// A key without a passphrase, whose public and private parts are `content` behind the byte that says
/// where it is cut.
fn openssh(content: &[u8]) -> Vec<u8> {
    let (cut, content) = content.split_first().unwrap_or((&0, &[]));
    let (public, private) = content.split_at(content.len().min(usize::from(*cut)));
    let mut file = b"openssh-key-v1\0".to_vec();
    for field in [&b"none"[..], b"none", b""] {
        append(field, &mut file);
    }
    file.extend(1_u32.to_be_bytes());
    append(public, &mut file);
    append(private, &mut file);
    file
}

fn append(field: &[u8], file: &mut Vec<u8>) {
    let length = u32::try_from(field.len()).expect("it is short");
    file.extend(length.to_be_bytes());
    file.extend(field);
}
