//! Instructions of sending without a transport, in messages.
//!
//! ```text
//! cargo bench --bench count_send
//! ```

mod instructions;
mod support;

use std::process::ExitCode;

use framewright::{MessageKind, Role};
use instructions::Row;
use support::{B16, KIB1, Sending, Way};

fn main() -> ExitCode {
    let mut rows = Vec::new();
    for (role_name, role, size) in [
        ("server", Role::Server, B16),
        ("client", Role::Client, B16),
        ("client", Role::Client, KIB1),
    ] {
        let name = format!("send/{role_name}/binary/lent/64_per_flush/{}", size.name);
        let mut sending = Sending::new(role, MessageKind::Binary, Way::Lent, 64, size);
        rows.push(Row::new(name, 64, move || sending.send_batch()));
    }
    instructions::main(rows)
}
