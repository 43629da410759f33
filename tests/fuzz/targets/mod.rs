//! The targets, one a file.

pub(crate) mod address;
pub(crate) mod bench_control;
pub(crate) mod cups_records;
pub(crate) mod first_byte;
pub(crate) mod key_list;
pub(crate) mod machines;
pub(crate) mod metrics_request;
pub(crate) mod native_answer;
pub(crate) mod native_control;
pub(crate) mod native_hello;
pub(crate) mod native_proof;
pub(crate) mod native_records;
pub(crate) mod pair;
pub(crate) mod private_key;
pub(crate) mod public_key;
pub(crate) mod sake_dialer;
pub(crate) mod sake_listener;
pub(crate) mod settings;
pub(crate) mod varint;
pub(crate) mod wire;
