//! Panics within a run, wherever they are caught: the first one is what the run fails with.

use core::cell::{Cell, RefCell};
use std::panic::PanicHookInfo;
use std::sync::Once;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static FIRST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does `work`; a panic in it is its error, even one that was caught further down.
pub(crate) fn watched<T>(work: impl FnOnce() -> std::thread::Result<T>) -> Result<T, String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_noted(info) {
                previous(info);
            }
        }));
    });
    FIRST.take();
    IS_WATCHED.set(true);
    let result = work();
    IS_WATCHED.set(false);
    match (result, FIRST.take()) {
        (Ok(output), None) => Ok(output),
        (_, Some(panic)) => Err(panic),
        (Err(_), None) => Err("it has panicked without a word".to_owned()),
    }
}

/// Whether the panic is one of a run.
fn is_noted(info: &PanicHookInfo<'_>) -> bool {
    if !IS_WATCHED.get() {
        return false;
    }
    let text = info.payload_as_str().unwrap_or("a panic that says nothing");
    let place = info.location().map(ToString::to_string);
    let text = format!("{text} ({})", place.unwrap_or_default());
    FIRST.with_borrow_mut(|first| {
        first.get_or_insert(text);
    });
    true
}
