//! The `ringseal` command-line tool.

fn main() {}
