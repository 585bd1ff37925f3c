#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rill_fuzz::targets::answers::run(bytes));
