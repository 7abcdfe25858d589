//! Instructions of receiving without a transport, in messages.
//!
//! ```text
//! cargo bench --bench count_receive
//! ```

mod instructions;
mod support;

use std::process::ExitCode;

use framewright::Role;
use instructions::Row;
use support::{B16, B125, KIB1, KIB16, KINDS, Receiving};

fn main() -> ExitCode {
    let mut rows = Vec::new();
    for (kind_name, kind) in KINDS {
        for size in [B16, B125, KIB1, KIB16] {
            let name = format!("receive/server/{kind_name}/{}", size.name);
            let mut receiving = Receiving::new(Role::Server, kind, size);
            let batch = move || receiving.receive_batch();
            rows.push(Row::new(name, size.per_read, batch));
        }
    }
    instructions::main(rows)
}
