//! The `keystead` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    keystead_server::main()
}
