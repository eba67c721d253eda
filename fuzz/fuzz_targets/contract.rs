//! The contract inside a model: what is accepted is written and read again as the same.
#![no_main]

use gstunetsegment::contract::Contract;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(contract) = Contract::from_json(text) {
        let again = Contract::from_json(&contract.to_json());
        assert_eq!(again.ok(), Some(contract));
    }
});
