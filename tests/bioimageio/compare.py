#!/usr/bin/python3
"""Makes packages of one network with each kind of step, has bioimageio.core and the element segment a picture with
each, and ends with an error unless they agree: probabilities to 1e-3, and 99.9 % of the mask's pixels.

usage: compare.py MODEL.onnx [PICTURE.png]    with a model of unet-train of one channel and two classes
"""

import sys
import tempfile
from pathlib import Path

import gi
import numpy as np
import onnx
from bioimageio.core import predict
from bioimageio.core.digest_spec import create_sample_for_model
from bioimageio.spec import save_bioimageio_package
from bioimageio.spec.common import FileDescr
from bioimageio.spec.generic.v0_3 import CiteEntry
from bioimageio.spec.model import v0_5
from onnx import TensorProto, helper, numpy_helper

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import Gst, GstApp  # noqa: E402, F401 - GstApp gives appsrc its methods

SIDE = 256
SOFTMAX = [("softmax", {"axis": "channel"})]
SIGMOID = [("sigmoid", {})]
ALL = ["channel", "y", "x"]
FLOAT = ("ensure_dtype", {"dtype": "float32"})
# What is done before the network, what it gives (one channel or two), and what is done then. The network learned from
# pictures of mean 0 and variance 1, so that the steps end somewhere near that.
PACKAGES = {
    "zero_mean_unit_variance": ([FLOAT, ("zero_mean_unit_variance", {"axes": ALL, "eps": 1e-6})], 2, SOFTMAX),
    "fixed_zero_mean_unit_variance": ([FLOAT, ("fixed_zero_mean_unit_variance", {"mean": 40.0, "std": 30.0})], 2, SOFTMAX),
    "scale_linear": ([FLOAT, ("scale_linear", {"gain": 0.04, "offset": -1.5})], 2, SOFTMAX),
    "scale_range": (
        [
            FLOAT,
            ("scale_range", {"axes": ALL, "min_percentile": 1.0, "max_percentile": 99.8}),
            ("scale_linear", {"gain": 5.0, "offset": -1.0}),
        ],
        2,
        SOFTMAX,
    ),
    "scale_range and clip": (
        [
            FLOAT,
            ("scale_range", {"axes": ALL, "min_percentile": 5.0, "max_percentile": 95.0}),
            ("clip", {"min": 0.0, "max": 1.0}),
            ("scale_linear", {"gain": 4.0, "offset": -1.0}),
        ],
        2,
        SOFTMAX,
    ),
    "clip": (
        [FLOAT, ("clip", {"min": 20.0, "max": 120.0}), ("fixed_zero_mean_unit_variance", {"mean": 45.0, "std": 25.0})],
        2,
        SOFTMAX,
    ),
    "sigmoid": (
        [FLOAT, ("scale_linear", {"gain": 0.05, "offset": -4.0}), ("sigmoid", {}), ("scale_linear", {"gain": 4.0, "offset": -1.0})],
        2,
        SOFTMAX,
    ),
    "binarize": ([FLOAT, ("binarize", {"threshold": 70.0}), ("scale_linear", {"gain": 3.0, "offset": -0.7})], 1, SIGMOID),
    "sigmoid of one channel": ([FLOAT, ("zero_mean_unit_variance", {"axes": ALL, "eps": 1e-6})], 1, SIGMOID),
    "scores cut and scaled before the sigmoid": (
        [FLOAT, ("zero_mean_unit_variance", {"axes": ALL, "eps": 1e-6})],
        1,
        [("clip", {"min": -8.0, "max": 8.0}), ("scale_linear", {"gain": 0.5, "offset": 0.2}), ("sigmoid", {})],
    ),
}


def network(path, channels):
    """The network without its contract, with two channels of scores or the lead of the second over the first."""
    model = onnx.load(path)
    del model.metadata_props[:]
    if channels == 1:
        graph = model.graph
        scores = graph.output[0]
        weight = numpy_helper.from_array(np.array([-1, 1], np.float32).reshape(1, 2, 1, 1), "lead.weight")
        graph.initializer.append(weight)
        graph.node.append(helper.make_node("Conv", [scores.name, "lead.weight"], ["lead"], "lead"))
        shape = [d.dim_param or d.dim_value for d in scores.type.tensor_type.shape.dim]
        shape[1] = 1
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("lead", TensorProto.FLOAT, shape))
    return model.SerializeToString()


def steps(named, kinds):
    return [kinds[name](id=name, kwargs=kwargs) if kwargs else kinds[name]() for name, kwargs in named]


def package(folder, path, picture, before, channels, after):
    """A package as bioimageio.spec writes it, a zip archive."""
    weights = folder / "network.onnx"
    weights.write_bytes(network(path, channels))
    (folder / "README.md").write_text("# A package to compare by\n\n## Validation\n\nNone.\n")
    np.save(folder / "input.npy", picture[None, None].astype(np.float32))
    # Never compared: packages are made for their steps.
    np.save(folder / "output.npy", np.ones((1, channels, *picture.shape), np.float32))
    size = v0_5.ParameterizedSize(min=128, step=16)
    kinds = {
        name: getattr(v0_5, "".join(part.capitalize() for part in name.split("_")) + "Descr")
        for name in {name for name, _ in before + after}
    }
    channel = v0_5.ChannelAxis(channel_names=[f"c{index}" for index in range(channels)])
    space = [
        v0_5.SpaceOutputAxisWithHalo(
            id=v0_5.AxisId(axis),
            size=v0_5.SizeReference(tensor_id=v0_5.TensorId("raw"), axis_id=v0_5.AxisId(axis)),
            halo=48,
        )
        for axis in "yx"
    ]
    model = v0_5.ModelDescr(
        name="To compare by",
        description="A network of unet-train with other steps",
        authors=[v0_5.Author(name="nobody")],
        cite=[CiteEntry(text="U-Net", doi="10.1007/978-3-319-24574-4_28")],
        license="MIT",
        documentation=FileDescr(source=folder / "README.md"),
        inputs=[
            v0_5.InputTensorDescr(
                id=v0_5.TensorId("raw"),
                axes=[
                    v0_5.BatchAxis(size=1),
                    v0_5.ChannelAxis(channel_names=["gray"]),
                    *(v0_5.SpaceInputAxis(id=v0_5.AxisId(axis), size=size) for axis in "yx"),
                ],
                test_tensor=FileDescr(source=folder / "input.npy"),
                data=v0_5.IntervalOrRatioDataDescr(type="float32"),
                pad=v0_5.ReflectPadding(),
                preprocessing=steps(before, kinds),
            )
        ],
        outputs=[
            v0_5.OutputTensorDescr(
                id=v0_5.TensorId("out"),
                axes=[v0_5.BatchAxis(size=1), channel, *space],
                test_tensor=FileDescr(source=folder / "output.npy"),
                postprocessing=steps(after, kinds),
            )
        ],
        weights=v0_5.WeightsDescr(onnx=v0_5.OnnxWeightsDescr(source=weights, opset_version=17)),
    )
    zipped = folder / "package.zip"
    save_bioimageio_package(model, output_path=zipped)
    return model, zipped


def by_bioimageio(model, picture):
    """Probability of the foreground. In blocks, for a picture at once is padded before its statistics are taken."""
    sample = create_sample_for_model(model, inputs={"raw": picture[None, None].astype(np.float32)})
    found = predict(model=model, inputs=sample, blocksize_parameter=4)
    return np.asarray(found.members[next(iter(found.members))].data.data)[0, -1]


def by_element(zipped, picture, output):
    """What the element makes of it: probabilities in 16 bits, or a mask."""
    height, width = picture.shape
    format_name = "GRAY16_LE" if output == "probability" else "GRAY8"
    pipeline = Gst.parse_launch(
        f"appsrc name=in format=time caps=video/x-raw,format=GRAY8,width={width},height={height},framerate=0/1 "
        f"! unetsegment name=segment output={output} ! "
        f"video/x-raw,format={format_name} ! appsink name=out sync=false"
    )
    pipeline.get_by_name("segment").set_property("model-file", str(zipped))
    source = pipeline.get_by_name("in")
    pipeline.set_state(Gst.State.PLAYING)
    buffer = Gst.Buffer.new_wrapped(np.ascontiguousarray(picture).tobytes())
    buffer.pts = 0
    source.push_buffer(buffer)
    source.end_of_stream()
    sample = pipeline.get_by_name("out").try_pull_sample(60 * Gst.SECOND)
    if sample is None:
        message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
        sys.exit(f"error: {message.parse_error()[0].message if message else 'no frame came out'}")
    data = sample.get_buffer().extract_dup(0, sample.get_buffer().get_size())
    pipeline.set_state(Gst.State.NULL)
    kind = "<u2" if output == "probability" else np.uint8
    return np.frombuffer(data, kind).reshape(height, -1)[:, :width]


def drawn():
    """Discs on a noisy ground."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = random.normal(30, 6, (SIDE, SIDE))
    for _ in range(40):
        row, column, radius = *random.integers(0, SIDE, 2), random.integers(5, 14)
        picture[(y - row) ** 2 + (x - column) ** 2 < radius**2] += random.uniform(40, 90)
    return picture.clip(0, 255).astype(np.uint8)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    Gst.init(None)
    if len(sys.argv) == 3:
        import imageio.v3 as imageio

        picture = imageio.imread(sys.argv[2])
        picture = picture[..., 0] if picture.ndim == 3 else picture
        picture = picture[: picture.shape[0] // 16 * 16, : picture.shape[1] // 16 * 16]
    else:
        picture = drawn()
    wrong = 0
    for name, (before, channels, after) in PACKAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            model, zipped = package(Path(folder), sys.argv[1], picture, before, channels, after)
            theirs = by_bioimageio(model, picture)
            ours = by_element(zipped, picture, "probability") / 65535
            mask = by_element(zipped, picture, "mask") > 0
        difference = np.abs(ours - theirs).max()
        same = (mask == (theirs > 0.5)).mean()
        share = mask.mean()
        fine = difference <= 1e-3 and same >= 0.999 and 0.005 < share < 0.995
        wrong += not fine
        print(
            f"{name}: probabilities differ by {difference:.1e} at most, {100 * same:.3f} % of the mask is the same, "
            f"{100 * share:.1f} % of it foreground{'' if fine else ' - WRONG'}"
        )
    if wrong:
        sys.exit(f"error: {wrong} of {len(PACKAGES)} packages disagree")


if __name__ == "__main__":
    main()
