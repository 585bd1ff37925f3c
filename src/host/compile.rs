//! Compiles without running, and runs what was compiled, which the engine's crate does not offer for scripts.

use std::ffi::CString;
use std::slice;

use rquickjs::context::intrinsic;
use rquickjs::{Context, Ctx, Error, FromJs, Result, Runtime, Value, qjs};

/// A file of the server's own as the engine runs it. It is compiled once for all instances, in an engine of its own: what that leaves
/// behind would be between the things of an instance, and so would the text, of which each function keeps its part, and the places of
/// its steps, which nobody is told ([`SOMEWHERE`](super::report::SOMEWHERE)).
pub(super) struct Compiled(Box<[u8]>);

impl Compiled {
    /// Compiles `text`, whose places are known by `name`.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub(super) fn of(name: &str, text: &str) -> Result<Compiled> {
        let runtime = Runtime::new()?;
        let context = Context::custom::<(intrinsic::Eval, intrinsic::RegExpCompiler)>(&runtime)?;
        context.with(|ctx| {
            let compiled = compiled(&ctx, name, text)?;
            let flags = qjs::JS_WRITE_OBJ_BYTECODE | qjs::JS_WRITE_OBJ_STRIP_SOURCE | qjs::JS_WRITE_OBJ_STRIP_DEBUG;
            let engine = ctx.as_raw().as_ptr();
            let mut length = 0;
            // SAFETY: the context and the value live through the call, which writes the length. What it returns is so long,
            // and ours to give back.
            unsafe {
                let bytes = qjs::JS_WriteObject(engine, &raw mut length, compiled.as_raw(), flags as i32);
                if bytes.is_null() {
                    return Err(Error::Exception);
                }
                let code = Compiled(slice::from_raw_parts(bytes, length as usize).into());
                qjs::js_free(engine, bytes.cast());
                Ok(code)
            }
        })
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What it throws.
    pub(super) fn run<'js, V: FromJs<'js>>(&self, ctx: &Ctx<'js>) -> Result<V> {
        let engine = ctx.as_raw().as_ptr();
        let flags = qjs::JS_READ_OBJ_BYTECODE as i32;
        // SAFETY: the bytes are the engine's own and live through the call; the context lives as long as `ctx`. The function
        // that is read is taken by what runs it, an exception for one by nobody, which owns nothing.
        let value = unsafe {
            let function = qjs::JS_ReadObject(engine, self.0.as_ptr(), self.0.len() as _, flags);
            if qjs::JS_IsException(function) {
                return Err(Error::Exception);
            }
            taken(ctx, qjs::JS_EvalFunction(engine, function))?
        };
        V::from_js(ctx, value)
    }
}

/// Whether `text` can be compiled as what the engine runs at global scope, not strict. It ends where the engine's own
/// evaluation of the same text would begin to run.
pub(super) fn compile(ctx: &Ctx<'_>, name: &str, text: &str) -> Result<()> {
    compiled(ctx, name, text).map(drop)
}

fn compiled<'js>(ctx: &Ctx<'js>, name: &str, text: &str) -> Result<Value<'js>> {
    let (file, code) = (CString::new(name)?, CString::new(text)?);
    let flags = qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    // SAFETY: the context lives as long as `ctx`; both texts end in a zero, which the length does not count, and live
    // through the call.
    unsafe {
        let raw = qjs::JS_Eval(ctx.as_raw().as_ptr(), code.as_ptr(), text.len() as _, file.as_ptr(), flags as i32);
        taken(ctx, raw)
    }
}

/// What the engine has returned.
///
/// # Safety
///
/// The value is the context's, and the caller's to give back.
unsafe fn taken<'js>(ctx: &Ctx<'js>, raw: qjs::JSValue) -> Result<Value<'js>> {
    // SAFETY: the value is as the caller promises, who gives it back when it is dropped.
    unsafe {
        let is_exception = qjs::JS_IsException(raw);
        let value = Value::from_raw(ctx.clone(), raw);
        if is_exception { Err(Error::Exception) } else { Ok(value) }
    }
}
