//! Instructions of an echo without a transport, in messages.
//!
//! ```text
//! cargo bench --bench count_echo
//! ```

mod instructions;
mod support;

use std::process::ExitCode;

use framewright::{MessageKind, Role};
use instructions::Row;
use support::{B16, Receiving};

fn main() -> ExitCode {
    let mut echoing = Receiving::new(Role::Server, MessageKind::Binary, B16);
    let name = format!("echo_core/server/binary/{}", B16.name);
    let row = Row::new(name, B16.per_read, move || echoing.echo_batch());
    instructions::main(vec![row])
}
