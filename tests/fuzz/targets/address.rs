//! Addresses as text: what is printed is read as the same, and the command line takes no other.

use ringseal::Address;
use ringseal_cli::args;

pub(crate) fn address(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let address = Address::from(text);
    let printed = address.to_string();
    let has_plain_name = match &address {
        // Bytes that a terminal would take for more than a name are shown by what stands for them.
        Address::Unix(socket) => socket
            .as_abstract_name()
            .is_none_or(|name| name.escape_ascii().eq(name.iter().copied())),
        _ => true,
    };
    if has_plain_name {
        assert_eq!(Address::from(printed.as_str()), address);
    }
    if let Some(socket) = address.socket_address() {
        assert!(!matches!(address, Address::Name(_)));
        assert_eq!(socket.to_string(), printed);
    }
    if let Ok(taken) = args::address(text) {
        assert_eq!(taken, address);
    }
}
