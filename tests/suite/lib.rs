//! Nothing: what the tests share is a module of theirs.
