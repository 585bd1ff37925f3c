//! The `rill` binary: the library with an allocator that counts.

use std::process::ExitCode;

use rill::net::alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    rill::cli::main()
}
