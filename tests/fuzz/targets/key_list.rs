//! Lists of the keys that a listener admits: any text.

use ringseal::KeyList;

use crate::text::check_error;

pub(crate) fn key_list(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    match KeyList::parse(text) {
        Ok(list) => check_list(&list, text),
        Err(error) => check_error(&error.to_string()),
    }
}

/// What is listed can be shown in a log, stands in the text, and is read again as it is written.
fn check_list(list: &KeyList, text: &str) {
    let mut written = String::new();
    for key in list.keys() {
        let name = list.name(&key).unwrap_or_default();
        assert!(name.chars().count() <= KeyList::MAX_NAME_CHARS);
        assert!(!name.chars().any(char::is_control) && name.trim() == name);
        assert!(text.contains(name));
        written.push_str(&format!("{key} {name}\n"));
    }
    assert!(!written.is_empty() && list.len() <= text.lines().count());
    assert_eq!(KeyList::parse(&written).as_ref(), Ok(list));
}
