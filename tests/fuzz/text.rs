//! Texts that hold bytes, and what any text of an error keeps to.

/// Writes `bytes` in base64 (RFC 4648), `line` characters to a line.
pub(crate) fn base64(bytes: &[u8], line: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, three) in bytes.chunks(3).enumerate() {
        if index > 0 && index % (line / 4) == 0 {
            text.push('\n');
        }
        let mut padded = [0; 4];
        padded[1..=three.len()].copy_from_slice(three);
        let number = u32::from_be_bytes(padded);
        for digit in 0..4 {
            let value = number >> (18 - 6 * digit) & 0x3f;
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[value as usize]),
                false => '=',
            });
        }
    }
    text
}

/// Writes a public key as OpenSSH does, without the algorithm before it.
pub(crate) fn open_ssh(key: &[u8]) -> String {
    let blob = [&b"\0\0\0\x0bssh-ed25519\0\0\0\x20"[..], key].concat();
    base64(&blob, usize::MAX)
}

/// Puts `bytes` behind a label, as in a PEM file.
pub(crate) fn pem(label: &str, bytes: &[u8], line: usize) -> String {
    let text = base64(bytes, line);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// Checks that a terminal and a log can show what is said about a file that somebody else may have
/// written.
pub(crate) fn check_error(text: &str) {
    assert!(
        !text.is_empty() && !text.chars().any(char::is_control),
        "{text:?}"
    );
}
