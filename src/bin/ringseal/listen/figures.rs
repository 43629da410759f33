//! The figures of a connection, on standard output.

use ringseal::PublicKey;

use super::account::Account;
use super::client::Client;
use crate::output::Lines;

/// Prints the figures when it is dropped, behind the connection: nothing of that waits for who reads
/// standard output. So they are there as well when the server cuts the connection off.
#[derive(Debug)]
pub(super) struct PrintedAtEnd<'a> {
    account: &'a Account,
    peer: PublicKey,
    lines: &'a Lines,
}

impl<'a> PrintedAtEnd<'a> {
    pub(super) fn new(peer: PublicKey, client: &'a Client) -> Self {
        Self {
            account: &client.account,
            peer,
            lines: &client.shared.lines,
        }
    }
}

impl Drop for PrintedAtEnd<'_> {
    fn drop(&mut self) {
        let figures = self.account.figures().json_with_peer(self.peer);
        let line = self.lines.line(figures.to_string().as_bytes());
        self.lines.print_or_count(line);
    }
}
