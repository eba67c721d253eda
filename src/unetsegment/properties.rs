//! The properties as GStreamer describes them.

use gst::prelude::*;
use once_cell::sync::Lazy;

use super::choices::Annotations;
use super::gvalues::{AUTOMATIC, MODELS_THRESHOLD};
use super::settings::{FrameSettings, ModelSettings, Settings};

/// Every property.
pub static PROPERTIES: Lazy<Vec<glib::ParamSpec>> = Lazy::new(|| {
    let Settings { model, frame, .. } = Settings::default();
    let mut properties = model_properties(&model);
    properties.extend(told_properties());
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
            .blurb("The U-Net, an ONNX file written by unet-train or any other that maps a picture to one score a class and pixel; set while frames flow it is loaded beside the one before, and takes its place between two frames")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("runtime-library")
            .nick("ONNX Runtime library")
            .blurb("ONNX Runtime's shared library; without it ORT_DYLIB_PATH, the plugin's folder, the folder that make fills and the system are searched")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("execution-provider", default.execution_provider)
            .nick("Execution provider")
            .blurb("What to compute on; one that is named and can't be used is an error")
            .mutable_ready()
            .build(),
        glib::ParamSpecInt::builder("device")
            .nick("Device")
            .blurb("Number of the device of the execution provider")
            .minimum(0)
            .default_value(default.device)
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("ep-library")
            .nick("Execution provider library")
            .blurb("Library of an execution provider that ONNX Runtime was not built with, which is used then; execution-provider stays auto")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("provider-options")
            .nick("Provider options")
            .blurb("Options of the execution provider by its own names, which overrule the element's own: options,gpu_mem_limit=2147483648")
            .mutable_ready()
            .build(),
        glib::ParamSpecString::builder("cache-directory")
            .nick("Cache directory")
            .blurb("Folder for what TensorRT and OpenVINO compile, so that the next start need not; it is made where it is missing")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("allow-external-data")
            .nick("Allow external data")
            .blurb("Whether the model may keep its weights in files beside it; they must be real files in its own folder, with one name each")
            .default_value(default.allow_external_data)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("threads")
            .nick("Threads")
            .blurb("Processor threads for one inference (0 = one for each core)")
            .maximum(1024)
            .default_value(default.threads)
            .mutable_ready()
            .build(),
    ]
}

/// What the element tells of itself.
fn told_properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("active-provider")
            .nick("Active provider")
            .blurb("The execution provider in use, none before the model is loaded")
            .read_only()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Since the start: frames in, out, dropped, overtaken, at work and segmented; runs of the network; seconds of inference in all and their percentiles; the share of frames that was reused; the age of the last mask; the model's file, hash and provider")
            .read_only()
            .build(),
    ]
}

/// How frames are cut into tiles, and which of these the network sees.
fn tile_properties(default: &ModelSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecUInt::builder("tile-size")
            .nick("Tile size")
            .blurb("Side of the part of a frame that one tile answers for, in pixels, rounded down to the network's stride (0 = planned by cost under tile-memory)")
            .maximum(65_536)
            .default_value(default.tile_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("tile-memory")
            .nick("Tile memory")
            .blurb("Memory that the network may take to run on one planned tile or batch of tiles, in MiB, about; up to a sixth of it, at most 48 MiB, is meant for ONNX Runtime itself")
            .minimum(1)
            .default_value(default.tile_memory)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("batch-size")
            .nick("Batch size")
            .blurb("Tiles that the network sees in one run (0 = 1 on a processor and where each shape is compiled, on other devices what takes the least time, tried at the start); fewer where tile-memory has no room")
            .maximum(256)
            .default_value(default.batch_size)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("blend", default.blend)
            .nick("Blend")
            .blurb("What happens where tiles meet")
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("reuse", default.reuse)
            .nick("Reuse")
            .blurb("Which parts of a frame the network sees again, while its answers for the others are kept; with blend=crop only")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("reuse-limit")
            .nick("Reuse limit")
            .blurb("Frames for which an answer is kept at most with reuse=threshold")
            .minimum(1)
            .default_value(default.reuse_limit)
            .mutable_ready()
            .build(),
    ]
}

/// How frames that are slower than the camera are dealt with, and failures.
fn live_properties(model: &ModelSettings, frame: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("mode", model.mode)
            .nick("Mode")
            .blurb("Whether frames wait for their masks")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("frames-in-flight")
            .nick("Frames in flight")
            .blurb("Most frames between being read and going out: while one is inferred, the one before is drawn and goes out, and the next is read (1 = one after the other, on the thread of the stream); for mode=sync")
            .minimum(1)
            .maximum(16)
            .default_value(model.frames_in_flight)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("inference-interval")
            .nick("Inference interval")
            .blurb("The network sees every N-th frame; the others carry the last mask, with its age")
            .minimum(1)
            .maximum(100_000)
            .default_value(frame.inference_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-mask-age")
            .nick("Largest age of a mask")
            .blurb("Milliseconds after which a mask counts as stale: its meta says so, and the overlay shows grey outlines in a striped frame (0 = never)")
            .default_value(frame.max_mask_age)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-latency")
            .nick("Largest latency")
            .blurb("Milliseconds from a frame's arrival to its mask. Where that takes longer, things are given up until it does not: first rate (the network sees fewer frames), then averaging where tiles meet, then their overlap; each is told by a message \"unetsegment-latency\" (0 = nothing is given up)")
            .default_value(frame.max_latency)
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("on-error", model.on_error)
            .nick("On error")
            .blurb("What happens when the network fails on a frame, and again after it was loaded anew")
            .mutable_ready()
            .build(),
    ]
}

/// What the network is given of a frame, and what goes out for it.
fn frame_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("normalization", default.normalization)
            .nick("Normalization")
            .blurb("How pixels become the network's input; statistics are those of the whole frame")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("value-range")
            .nick("Value range")
            .blurb("The counts LOW,HIGH that become 0 and 1 with normalization=fixed (auto = the model's, else all that the format can hold)")
            .default_value(Some(default.value_range.to_string().as_str()))
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("output", default.output)
            .nick("Output")
            .blurb("What goes out; the mask is on every frame as a meta in any case")
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("opacity")
            .nick("Opacity")
            .blurb("How strongly the overlay fills a class (0 = outlines only, 1 = nothing of the picture shows)")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(default.opacity)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("display-range")
            .nick("Display range")
            .blurb("The counts LOW,HIGH that the overlay shows as black and white for pictures of more than 8 bits (auto = percentiles of the frames, smoothed over time)")
            .default_value(Some(default.display_range.to_string().as_str()))
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("post-messages")
            .nick("Post messages")
            .blurb("Post an element message \"unetsegment\" for each frame with the number of objects and the coverage: the share of the frame that is not background, also where it is of no object that counts")
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
            .blurb("Probability above which a pixel is foreground, of models with two classes (-1 = as the model says)")
            .minimum(MODELS_THRESHOLD)
            .maximum(1.0)
            .default_value(MODELS_THRESHOLD)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecInt::builder("min-area")
            .nick("Smallest area")
            .blurb("Objects of fewer pixels do not count (-1 = as the model says)")
            .minimum(AUTOMATIC)
            .default_value(AUTOMATIC)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("max-area")
            .nick("Largest area")
            .blurb("Objects of more pixels do not count (0 = all do)")
            .default_value(default.max_area)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecEnum::builder_with_default("connectivity", default.connectivity)
            .nick("Connectivity")
            .blurb("Which pixels touch, so that they are of one object")
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("fill-holes")
            .nick("Fill holes")
            .blurb("Whether background that an object goes around is a part of it")
            .default_value(default.fill_holes)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("exclude-border")
            .nick("Exclude border")
            .blurb("Whether objects that touch the edge of the frame do not count")
            .default_value(default.exclude_border)
            .mutable_playing()
            .build(),
    ]
}

/// How objects that touch are told apart.
fn split_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("split", default.split)
            .nick("Split")
            .blurb("How objects that touch are told apart, by a watershed; the mask stays as it is")
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("split-depth")
            .nick("Split depth")
            .blurb("Two pieces are two objects where the neck between them is lower than the lower of both by more than this share: of half their width with split=distance, of their probability with split=probability")
            .minimum(0.0)
            .maximum(1.0)
            .default_value(default.split_depth)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("core-threshold")
            .nick("Core threshold")
            .blurb("Probability above which pixels are of the core of an object, for split=cores; a core has at least min-area pixels; -1: as the model says, else 0.75")
            .minimum(MODELS_THRESHOLD)
            .maximum(1.0)
            .default_value(MODELS_THRESHOLD)
            .controllable()
            .mutable_playing()
            .build(),
    ]
}

/// What is found out of a frame besides its mask.
fn extra_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("find-objects")
            .nick("Find objects")
            .blurb("Whether objects are looked for in any case, so that their labels ride on every frame; they are where an output, a message or the overlay needs them")
            .default_value(default.find_objects)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("keep-probability")
            .nick("Keep probability")
            .blurb("Whether the probability of the foreground rides on every frame with its mask, for unetmask what=probability and for programs; it is that of output=probability")
            .default_value(default.keep_probability)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("measure-uncertainty")
            .nick("Measure uncertainty")
            .blurb("Whether messages tell how uncertain the network is: the mean entropy of a pixel, in bits")
            .default_value(default.measure_uncertainty)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("check-seams")
            .nick("Check seams")
            .blurb("Compare the mask of the first frame of each size with that of one run over the whole frame, which takes the memory for it, and post the difference as unetsegment-seams")
            .default_value(default.check_seams)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("check-pictures")
            .nick("Check pictures")
            .blurb("Look at the first frame and some of the later ones, and warn where they look unlike the pictures that the model learned from, as far as it says what these are like; told by unetsegment-pictures, too")
            .default_value(default.check_pictures)
            .mutable_playing()
            .build(),
    ]
}

/// What messages tell of objects, and when.
fn message_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecBoolean::builder("track")
            .nick("Track")
            .blurb("Whether objects keep their numbers from frame to frame")
            .default_value(default.track)
            .mutable_playing()
            .build(),
        glib::ParamSpecDouble::builder("pixel-size")
            .nick("Pixel size")
            .blurb("Micrometres of a pixel, for areas and the scale bar (0 = as the model says)")
            .minimum(0.0)
            .maximum(1e6)
            .default_value(default.pixel_size)
            .mutable_playing()
            .build(),
        glib::ParamSpecUInt::builder("message-interval")
            .nick("Message interval")
            .blurb("The messages of post-messages come with every N-th frame, and tell births, deaths and divisions of those between, too")
            .minimum(1)
            .maximum(100_000)
            .default_value(default.message_interval)
            .mutable_playing()
            .build(),
        glib::ParamSpecBoolean::builder("post-objects")
            .nick("Post objects")
            .blurb("Whether the messages of post-messages list the objects with their measures")
            .default_value(default.post_objects)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("trigger")
            .nick("Trigger")
            .blurb("A condition, such as \"objects >= 50 until 40\" or \"coverage > 0.8\": an element message \"unetsegment-trigger\" is posted when it begins and when it ends; objects, coverage (0 to 1), births, deaths and divisions can be compared; for the last three objects keep their numbers, as with track")
            .mutable_playing()
            .build(),
    ]
}

/// How the overlay looks.
fn overlay_properties(default: &FrameSettings) -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("color-by", default.color_by)
            .nick("Color by")
            .blurb("What the colours of the overlay mean")
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("palette")
            .nick("Palette")
            .blurb("Colours of the overlay, #RRGGBB with commas between them: with color-by=class those of the classes 1, 2 and so on, of which the others keep the model's; with color-by=object those that objects take in turn, by their number (empty = the model's, and seven that colour-blind people can tell apart)")
            .mutable_playing()
            .build(),
        glib::ParamSpecInt::builder("outline")
            .nick("Outline")
            .blurb("Thickness of outlines in pixels, twice that in frames of more than 1000 rows (0 = none, -1 = 1)")
            .minimum(AUTOMATIC)
            .maximum(16)
            .default_value(AUTOMATIC)
            .controllable()
            .mutable_playing()
            .build(),
        glib::ParamSpecFlags::builder::<Annotations>("annotations")
            .nick("Annotations")
            .blurb("What is written on the overlay; the legend with color-by=class only, since objects have no names")
            .default_value(default.annotations)
            .mutable_playing()
            .build(),
        glib::ParamSpecString::builder("show-classes")
            .nick("Show classes")
            .blurb("The classes that the overlay shows: numbers with commas between them, or all")
            .default_value(Some(default.show_classes.to_string().as_str()))
            .mutable_playing()
            .build(),
    ]
}
