#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| shipload::pipeline::fuzz::json_relay(bytes));
