//! The options of a training as its folder keeps them: understood, or refused with a reason.
#![no_main]

use gstunetsegment::train::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(config) = Config::parse(text)
        && let Err(error) = config.options()
    {
        assert!(!error.to_string().is_empty());
    }
});
