//! `coroutine`.

use super::base::LibraryFunction;
use crate::heap::Function;
use crate::value::{ThreadId, Value};
use crate::vm::error::Error;
use crate::vm::task::{Call, Native, NativeResult};
use crate::vm::thread::Status;

type Result<T> = std::result::Result<T, Error>;

pub(super) static FUNCTIONS: &[(&str, Native)] = &[
    ("create", create),
    ("resume", resume),
    ("running", running),
    ("status", status),
    ("wrap", wrap),
    ("yield", give_way),
];

fn check_thread(call: &mut Call<'_>) -> Result<ThreadId> {
    match call.arg(0) {
        Value::Thread(id) => Ok(id),
        _ => Err(call.argument_error(0, "coroutine expected")),
    }
}

fn new_thread(call: &mut Call<'_>) -> Result<ThreadId> {
    let function = call.arg(0);
    let is_lua = match function {
        Value::Function(id) => matches!(call.state.heap.functions[id.index()], Function::Lua(_)),
        _ => false,
    };
    if !is_lua {
        return Err(call.argument_error(0, "Lua function expected"));
    }
    Ok(call.state.new_thread(function)?)
}

fn create(call: &mut Call<'_>) -> Result<NativeResult> {
    let id = new_thread(call)?;
    call.ret(Value::Thread(id))
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Suspended => "suspended",
        Status::Running => "running",
        Status::Normal => "normal",
        Status::Dead => "dead",
    }
}

fn resume(call: &mut Call<'_>) -> Result<NativeResult> {
    let thread = check_thread(call)?;
    let status = call.state.status(thread);
    if status != Status::Suspended {
        let text = format!("cannot resume {} coroutine", status_name(status));
        let text = call.state.heap.string(text.as_bytes())?;
        call.push(Value::Boolean(false))?;
        call.push(Value::String(text))?;
        return Ok(NativeResult::Return(2));
    }
    Ok(NativeResult::Resume {
        thread,
        first: 1,
        is_wrap: false,
    })
}

fn status(call: &mut Call<'_>) -> Result<NativeResult> {
    let thread = check_thread(call)?;
    let name = status_name(call.state.status(thread));
    call.ret_bytes(name.as_bytes())
}

fn running(call: &mut Call<'_>) -> Result<NativeResult> {
    let value = if call.state.thread_id == call.state.main {
        Value::Nil
    } else {
        Value::Thread(call.state.thread_id)
    };
    call.ret(value)
}

fn wrap(call: &mut Call<'_>) -> Result<NativeResult> {
    let thread = new_thread(call)?;
    call.ret_stateful(LibraryFunction::Wrapped, vec![Value::Thread(thread)])
}

/// What `wrap` returns.
pub(super) fn wrapped(call: &mut Call<'_>) -> Result<NativeResult> {
    let Value::Thread(thread) = call.kept(0) else {
        return Err(call.plain_error("no coroutine"));
    };
    let status = call.state.status(thread);
    if status != Status::Suspended {
        return Err(call.error(&format!("cannot resume {} coroutine", status_name(status))));
    }
    Ok(NativeResult::Resume {
        thread,
        first: 0,
        is_wrap: true,
    })
}

fn give_way(_: &mut Call<'_>) -> Result<NativeResult> {
    Ok(NativeResult::Yield)
}
