//! `unet-train tune` on drawn pictures, through the real program.
#![cfg(feature = "train")]

mod trainer;

use std::fs;

use gstunetsegment::onnx::Model;
use image::{GrayImage, Luma};
use prost::Message;
use serde_json::Value;
use trainer::{Bench, squares};

/// Two bright cells with a pale seam between them, and two that are as pale except for their middles. No
/// threshold finds all four.
fn draw_pale_cells(bench: &Bench) {
    let places = [(5, 5), (12, 5), (30, 30), (45, 30)];
    let truth = squares(&places, 6, |i| i as u8 + 1);
    let seen = GrayImage::from_fn(64, 48, |x, y| {
        let within = |(left, top): (u32, u32), side| {
            (left..left + side).contains(&x) && (top..top + side).contains(&y)
        };
        let sure = [
            within((5, 5), 6),
            within((12, 5), 6),
            within((32, 32), 2),
            within((47, 32), 2),
        ];
        let seam = x == 11 && (5..11).contains(&y);
        let pale = seam || places.iter().any(|place| within(*place, 6));
        // The network finds the pale ones with a probability between 0.5 and 0.6.
        Luma([match (sure.contains(&true), pale) {
            (true, _) => 200,
            (_, true) => 23,
            _ => 0,
        }])
    });
    seen.save(bench.path("images/a.png")).unwrap();
    truth.save(bench.path("masks/a.png")).unwrap();
}

#[test]
fn tuning_finds_the_cores_of_cells_and_writes_them_into_the_model() {
    let bench = Bench::new();
    bench.model(|contract| contract.min_area = Some(100));
    draw_pale_cells(&bench);
    let data = "--images images --masks masks";
    let said = bench.says(&format!(
        "tune --model model.onnx {data} --output tuned.onnx"
    ));
    assert!(
        said.contains("with cores above 0.6: F1@0.5 1.0000"),
        "{said}"
    );
    let contract = |model: &str| {
        let info: Value =
            serde_json::from_str(&bench.says(&format!("info {model} --json"))).unwrap();
        info["contract"].clone()
    };
    assert!(contract("model.onnx")["core_threshold"].is_null());
    let tuned = contract("tuned.onnx");
    assert_eq!(tuned["scores"]["F1@0.5"], 1.0);
    assert!((tuned["core_threshold"].as_f64().unwrap() - 0.6).abs() < 1e-6);
    assert!(tuned["pictures"]["bright"].is_array());

    bench.says(&format!(
        "tune --model model.onnx {data} --output known.onnx --pictures-only"
    ));
    let known = contract("known.onnx");
    assert_eq!(known["pictures"], tuned["pictures"]);
    for same in ["scores", "core_threshold", "min_area"] {
        assert_eq!(known[same], contract("model.onnx")[same], "{same}");
    }

    // Other commands find them too; the mask has a gap that nothing else would show.
    let evaluate = format!("evaluate --model tuned.onnx {data} --json scores.json");
    for (option, cells, merged) in [("", 4, 0), (" --whole", 3, 2)] {
        bench.says(&format!("{evaluate}{option}"));
        let total = &bench.json("scores.json")["total"];
        assert_eq!(total["cells"][1], cells, "{total}");
        assert_eq!(total["merged"], merged, "{total}");
    }
    bench.says("segment --model tuned.onnx --images images --output found");
    let mask = image::open(bench.path("found/a.png")).unwrap().into_luma8();
    for y in 5..11 {
        assert!((10..13).any(|x| mask.get_pixel(x, y).0[0] == 0), "row {y}");
    }

    let in_place = format!("tune --model tuned.onnx {data} --pictures-only");
    let error = bench.refuses(&in_place);
    assert!(error.contains("tuned.onnx is there already"), "{error}");
    let text = bench.says(&format!("{in_place} --overwrite"));
    assert!(text.ends_with("\ntuned.onnx\n"), "{text}");

    // A foreign model would lose fields that this program does not know.
    let mut file = Model::decode(&fs::read(bench.path("tuned.onnx")).unwrap()[..]).unwrap();
    file.producer_name = "somebody".into();
    fs::write(bench.path("theirs.onnx"), file.encode_to_vec()).unwrap();
    let error = bench.refuses(&format!("tune --model theirs.onnx {data} --overwrite"));
    assert!(
        error.contains("is no model that unet-train wrote"),
        "{error}"
    );
}
