//! Wires and suites as text: what is printed is read as the same.

use ringseal::Wire;
use ringseal::protocol::native::Suite;

pub(crate) fn wire(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    if let Ok(wire) = text.parse::<Wire>() {
        assert_eq!(wire.to_string().parse(), Ok(wire));
        assert!(text.len() <= "native:chacha20-poly1305".len());
    }
    if let Ok(suite) = text.parse::<Suite>() {
        assert_eq!(suite.to_string(), text);
        assert_eq!(format!("native:{text}").parse(), Ok(Wire::Native { suite }));
    }
}
