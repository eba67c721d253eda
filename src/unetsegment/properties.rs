//! The properties as GStreamer and `gst-inspect-1.0` describe them.

use gst::prelude::*;
use once_cell::sync::Lazy;

use super::choices::Annotations;
use super::gvalues::{MODELS_MIN_AREA, MODELS_THRESHOLD};
use super::settings::{FrameSettings, ModelSettings, Settings};

/// Every property.
pub static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
    let Settings { model, frame, .. } = Settings::default();
    let mut properties = model_properties(&model);
    properties.extend(status_properties());
    properties.extend(tile_properties(&model));
    properties.extend(live_properties(&model, &frame));
    properties.extend(frame_properties(&frame));
    properties.extend(object_properties(&frame));
    properties.extend(split_properties(&frame));
    properties.extend(extra_properties(&frame));
    properties.extend(message_properties(&frame));
    properties.extend(overlay_properties(&frame));
    properties
});

/// The model, and what it runs on.
fn model_properties(default: &ModelSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("model-file")
            .nick("Model file")
            .blurb("The U-Net, an ONNX file written by unet-train or any other that gives one score per class and pixel. May be changed while frames flow: the new model replaces the old one between two frames")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("runtime-library")
            .nick("ONNX Runtime library")
            .blurb("Shared library of ONNX Runtime. If unset, ORT_DYLIB_PATH, the plugin's folder, the folder that make setup fills and the system's library folders are searched, in this order")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("execution-provider", default.execution_provider)
            .nick("Execution provider")
            .blurb("What runs the model; a provider that is named but can't be used is an error")
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder("device")
            .nick("Device")
            .blurb("Index of the execution provider's device")
            .minimum(0)
            .default_value(default.device)
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("ep-library")
            .nick("Execution provider library")
            .blurb("Library of an execution provider that ONNX Runtime was not built with; leave execution-provider=auto")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("provider-options")
            .nick("Provider options")
            .blurb("Options for the execution provider, under its own names; they override the element's own; for example options,gpu_mem_limit=2147483648")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("cache-directory")
            .nick("Cache directory")
            .blurb("Folder where TensorRT and OpenVINO cache compiled models; created if missing")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("allow-external-data")
            .nick("Allow external data")
            .blurb("Allow the model to keep weights in files next to it. They must be regular files in the model's own folder, without further hard links")
            .default_value(default.allow_external_data)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("threads")
            .nick("Threads")
            .blurb("CPU threads for one inference (0 = one per core)")
            .maximum(1024)
            .default_value(default.threads)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("convolution", default.convolution)
            .nick("Convolution")
            .blurb("How 3 x 3 convolutions of models in 32 and 8 bits are computed on a processor with AVX2; elsewhere always direct. active-provider shows what is in use")
            .mutable_ready()
            .build(),
    ]
}

/// What the element reports about itself.
fn status_properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("active-provider")
            .nick("Active provider")
            .blurb("Execution provider in use; none before the model is loaded")
            .read_only()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Since the start: frames in, out, dropped, late, overtaken, at work and segmented; runs of the network; total seconds of inference, and percentiles per frame; mean share of a frame that was reused; age of the last mask; the model's file, hash and provider")
            .read_only()
            .build(),
    ]
}

/// How frames are cut into tiles, and which tiles the network sees.
fn tile_properties(default: &ModelSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecUInt::builder("tile-size")
            .nick("Tile size")
            .blurb("Side of the area that one tile segments, in pixels, rounded down to a multiple of the network's stride (0 = planned by cost within tile-memory)")
            .maximum(65_536)
            .default_value(default.tile_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("tile-memory")
            .nick("Tile memory")
            .blurb("Approximate memory limit in MiB for one planned tile or batch; up to a quarter of it (at most 48 MiB) is reserved for ONNX Runtime")
            .minimum(1)
            .default_value(default.tile_memory)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("batch-size")
            .nick("Batch size")
            .blurb("Tiles per run of the network, fewer if tile-memory is too small for them, and always 1 with reuse; more than 1 needs a model with a free batch dimension (0 = 1 on CPUs and where each shape is compiled; on other devices the fastest size, measured at the start)")
            .maximum(256)
            .default_value(default.batch_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("blend", default.blend)
            .nick("Blend")
            .blurb("How neighbouring tiles are combined")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("reuse", default.reuse)
            .nick("Reuse")
            .blurb("Which parts of a frame are inferred again, while earlier results are kept for the others; only with blend=crop")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("reuse-limit")
            .nick("Reuse limit")
            .blurb("Frames after which a kept result is computed again (reuse=threshold)")
            .minimum(1)
            .default_value(default.reuse_limit)
            .mutable_ready()
            .build(),
    ]
}

/// How to keep up with the camera, and what to do about failures.
fn live_properties(model: &ModelSettings, frame: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("mode", model.mode)
            .nick("Mode")
            .blurb("Whether frames wait for their masks")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("frames-in-flight")
            .nick("Frames in flight")
            .blurb("Maximum number of frames inside the element with mode=sync: while one is inferred, the previous one is drawn and pushed, and the next one is read (1 = one after the other, on the streaming thread)")
            .minimum(1)
            .maximum(16)
            .default_value(model.frames_in_flight)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("inference-interval")
            .nick("Inference interval")
            .blurb("The network sees every N-th frame; the others carry the latest mask, with its age")
            .minimum(1)
            .maximum(100_000)
            .default_value(frame.inference_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-mask-age")
            .nick("Maximum mask age")
            .blurb("Age in ms above which a mask is stale: its meta says so, and the overlay shows grey outlines within a striped frame (0 = never)")
            .default_value(frame.max_mask_age)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-latency")
            .nick("Maximum latency")
            .blurb("Longest time in ms from a frame's arrival to its mask. If exceeded, rate, then averaging, then overlap is reduced; each change is reported as unetsegment-latency (0 = no limit)")
            .default_value(frame.max_latency)
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("on-error", model.on_error)
            .nick("On error")
            .blurb("What to do when the network fails on a frame again after one reload")
            .mutable_ready()
            .build(),
    ]
}

/// The input of the network, and what goes out.
fn frame_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("normalization", default.normalization)
            .nick("Normalization")
            .blurb("How pixels become the network's input; statistics are taken over the whole frame")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("value-range")
            .nick("Value range")
            .blurb("Counts LOW,HIGH that become 0 and 1 with normalization=fixed (auto = the model's, else the full range of the format)")
            .default_value(Some(default.value_range.to_string().as_str()))
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("output", default.output)
            .nick("Output")
            .blurb("What goes out; every frame carries the mask as a meta in any case")
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("opacity")
            .nick("Opacity")
            .blurb("Opacity of the fill of classes (0 = outlines only, 1 = hides the picture)")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(default.opacity)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("display-range")
            .nick("Display range")
            .blurb("Counts LOW,HIGH that the overlay shows as black and white, for formats of more than 8 bits (auto = percentiles of the frames, smoothed over time)")
            .default_value(Some(default.display_range.to_string().as_str()))
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("post-messages")
            .nick("Post messages")
            .blurb("Post an element message \"unetsegment\" for each frame, with the number of objects and the coverage: the share of pixels that are not background, even if they belong to no object that counts")
            .default_value(default.post_messages)
            .mutable_playing()
            .build(),
    ]
}

/// What counts as an object.
fn object_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecDouble::builder("threshold")
            .nick("Threshold")
            .blurb("Probability above which a pixel is foreground, for models with two classes (-1 = as the model says)")
            .minimum(MODELS_THRESHOLD)
            .maximum(1.0)
            .default_value(MODELS_THRESHOLD)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecInt::builder("min-area")
            .nick("Minimum area")
            .blurb("Smallest area of an object in pixels; smaller ones do not count (-1 = as the model says)")
            .minimum(MODELS_MIN_AREA)
            .default_value(MODELS_MIN_AREA)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-area")
            .nick("Maximum area")
            .blurb("Largest area of an object in pixels; larger ones do not count (0 = no limit)")
            .default_value(default.max_area)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("connectivity", default.connectivity)
            .nick("Connectivity")
            .blurb("Which neighbouring pixels belong to one object")
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("fill-holes")
            .nick("Fill holes")
            .blurb("Fill background that an object encloses")
            .default_value(default.fill_holes)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("exclude-border")
            .nick("Exclude border")
            .blurb("Do not count objects that touch the edge of the frame")
            .default_value(default.exclude_border)
            .mutable_playing()
            .build(),
    ]
}

/// How touching objects are separated.
fn split_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("split", default.split)
            .nick("Split")
            .blurb("How touching objects are separated, by a watershed; the mask stays unchanged")
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("split-depth")
            .nick("Split depth")
            .blurb("Two parts are separate objects if the neck between them is lower than the lower of their two peaks by more than this share; height is half the width with split=distance, the probability with split=probability")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(default.split_depth)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("core-threshold")
            .nick("Core threshold")
            .blurb("Probability above which a pixel belongs to the core of an object, for split=cores; a core has at least min-area pixels (-1 = as the model says, else 0.75)")
            .minimum(MODELS_THRESHOLD)
            .maximum(1.0)
            .default_value(MODELS_THRESHOLD)
            .controllable()
            .mutable_playing()
            .build(),
    ]
}

/// Results besides the mask.
fn extra_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("find-objects")
            .nick("Find objects")
            .blurb("Find objects even if no output, message or overlay needs them, so that every frame carries their labels")
            .default_value(default.find_objects)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("keep-probability")
            .nick("Keep probability")
            .blurb("Attach the probability of the foreground, as in output=probability, to every frame with its mask, for unetmask what=probability and for applications")
            .default_value(default.keep_probability)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("measure-uncertainty")
            .nick("Measure uncertainty")
            .blurb("Report the uncertainty of the network in messages: the mean entropy per pixel, in bits")
            .default_value(default.measure_uncertainty)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("check-seams")
            .nick("Check seams")
            .blurb("Compare the mask of the first frame of each size with that of one run over the whole frame, which needs the memory for it, and post the difference as unetsegment-seams")
            .default_value(default.check_seams)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("check-pictures")
            .nick("Check pictures")
            .blurb("Check the first frame and some later ones, and warn if they look unlike the pictures that the model was trained on, as far as it describes them; also posted as unetsegment-pictures")
            .default_value(default.check_pictures)
            .mutable_playing()
            .build(),
    ]
}

/// What messages report, and when.
fn message_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("track")
            .nick("Track")
            .blurb("Keep the numbers of objects from frame to frame")
            .default_value(default.track)
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("pixel-size")
            .nick("Pixel size")
            .blurb("Size of a pixel in micrometres, for areas and the scale bar (0 = as the model says)")
            .minimum(0.0)
            .maximum(1e6)
            .default_value(default.pixel_size)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("message-interval")
            .nick("Message interval")
            .blurb("Post the messages of post-messages for every N-th frame; they include the births, deaths and divisions of the frames in between")
            .minimum(1)
            .maximum(100_000)
            .default_value(default.message_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("post-objects")
            .nick("Post objects")
            .blurb("List the objects and their measurements in the messages of post-messages")
            .default_value(default.post_objects)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("trigger")
            .nick("Trigger")
            .blurb("Condition such as \"objects >= 50 until 40\" or \"coverage > 0.8\"; an element message \"unetsegment-trigger\" is posted when it begins and when it ceases to hold. Objects, coverage (0 to 1), births, deaths and divisions can be compared; for the last three, objects keep their numbers as with track")
            .mutable_playing()
            .build(),
    ]
}

/// The look of the overlay.
fn overlay_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("color-by", default.color_by)
            .nick("Color by")
            .blurb("What the colours of the overlay show")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("palette")
            .nick("Palette")
            .blurb("Colours of the overlay, #RRGGBB separated by commas. With color-by=class, those of classes 1, 2 and so on; further classes keep the model's. With color-by=object, those that objects take in turn, by number (empty = the model's, or seven that colour-blind people can tell apart)")
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("outline")
            .nick("Outline")
            .blurb("Outline width in pixels; doubled in frames of more than 1000 rows (0 = none)")
            .maximum(16)
            .default_value(default.outline)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecFlags::builder::<Annotations>("annotations")
            .nick("Annotations")
            .blurb("What is written on the overlay; the legend only with color-by=class, since objects have no names")
            .default_value(default.annotations)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("show-classes")
            .nick("Show classes")
            .blurb("Classes that the overlay shows: numbers separated by commas, or all")
            .default_value(Some(default.show_classes.to_string().as_str()))
            .mutable_playing()
            .build(),
    ]
}
