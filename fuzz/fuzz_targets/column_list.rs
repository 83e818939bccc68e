#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shipload::sandbox::fuzz::column_list(bytes));
