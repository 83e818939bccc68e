//! The `shipload` program; everything it does is in the library.

use std::process::ExitCode;

// Arrow's column buffers are just as large as glibc's threshold for mapping memory: with its allocator each of them costs
// a system call and page faults. Measured, this one saves 10 to 15 % where columns are built.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shipload::cli::run()
}
