//! Compiles a file without running it, which is the one thing that the engine's crate does not offer for scripts.

use std::ffi::CString;

use rquickjs::{Ctx, Error, Result, Value, qjs};

/// Whether `text` can be compiled as what the engine runs at global scope, not strict. It ends where the engine's own
/// evaluation of the same text would begin to run.
pub(super) fn compile(ctx: &Ctx<'_>, name: &str, text: &str) -> Result<()> {
    let (file, code) = (CString::new(name)?, CString::new(text)?);
    let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    // SAFETY: the context lives as long as `ctx`; both texts end in a zero, which the length does not count, and live
    // through the call. The value is the caller's, who gives it back when it is dropped.
    let (compiled, is_exception) = unsafe {
        let compiled = qjs::JS_Eval(ctx.as_raw().as_ptr(), code.as_ptr(), text.len() as _, file.as_ptr(), flags as i32);
        (Value::from_raw(ctx.clone(), compiled), qjs::JS_IsException(compiled))
    };
    drop(compiled);
    if is_exception { Err(Error::Exception) } else { Ok(()) }
}
