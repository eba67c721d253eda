//! The description of a package of BioImage.IO: what is accepted completes a contract and extends a graph.
#![no_main]

use gstunetsegment::bioimageio::Description;
use gstunetsegment::contract::Contract;
use libfuzzer_sys::fuzz_target;

const CONTRACT: &str = include_str!("../seeds/contract/nuclei-fluo.json");

fuzz_target!(|text: &str| {
    let Ok(description) = Description::parse(text) else {
        return;
    };
    let mut contract = Contract::from_json(CONTRACT).unwrap();
    if description.complete(&mut contract).is_ok() {
        // What others have written must not be what the project itself would refuse.
        assert_eq!(Contract::from_json(&contract.to_json()).ok(), Some(contract));
    }
});
