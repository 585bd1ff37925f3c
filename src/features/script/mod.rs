//! Server-side code, as the server knows it: processes that run it ([`hosts`]), to which it is told what happens.

pub mod hosts;
