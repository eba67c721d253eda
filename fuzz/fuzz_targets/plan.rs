//! Plans of tiles for any frame and network: each pixel is answered once.
#![no_main]

use gstunetsegment::contract::{Geometry, Sizes};
use gstunetsegment::tiling::{Blend, Plan, Size, TileSize};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u16, u8, u8, u8, u16, Option<u16>)| {
    let (width, height, margin, halo, log_stride, min, side) = input;
    let stride = 1 << (log_stride % 6);
    let geometry = Geometry {
        margin: margin.into(),
        halo: halo.into(),
        edge: Geometry::EDGE,
        stride,
        sizes: Sizes::Steps {
            min: min.into(),
            step: stride,
        },
    };
    let frame = Size {
        width: width.into(),
        height: height.into(),
    };
    let size = match side {
        Some(side) => TileSize::Inner(side.into()),
        None => TileSize::Planned {
            max_pixels: 1 << 20,
        },
    };
    let Ok(plan) = Plan::new(frame, &geometry, Blend::Crop, size) else {
        return;
    };
    // A tile of one pixel is somebody's wish, but takes too long to go through here.
    if plan.len() > 1 << 20 {
        return;
    }
    let answered: usize = plan
        .tiles()
        .map(|(rows, columns)| rows.target.len() * columns.target.len())
        .sum();
    assert_eq!(answered, frame.area());
});
