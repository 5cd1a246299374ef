"""Networks of ONNX files, and what is refused."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mlsmac.cli.commands.step import _network
from mlsmac.data.network_onnx import read_onnx
from mlsmac.data.networks import Convolution
from mlsmac.support.errors import ToolError, UserError


def weights(name, *shape):
    return numpy_helper.from_array(np.zeros(shape, np.float32), name)


def conv(name, source, target, stride=1, group=1, pads=1, **attributes):
    return helper.make_node(
        "Conv",
        [source, name],
        [target],
        name=f"node_{name}",
        strides=[stride, stride],
        group=group,
        pads=[pads] * 4,
        **attributes,
    )


def norm(source, target):
    return helper.make_node(
        "BatchNormalization", [source, "scale", "scale", "scale", "scale"], [target]
    )


INITIAL = {
    own.name: own
    for own in (
        weights("w0", 8, 3, 3, 3),
        weights("w1", 16, 8, 3, 3),
        weights("w2", 16, 1, 3, 3),
        weights("w3", 16, 8, 1, 1),
        weights("w4", 10, 16),
        weights("scale", 8),
        weights("bias", 10),
    )
}
NODES = [
    conv("w0", "x", "a"),
    norm("a", "b"),
    helper.make_node("Relu", ["b"], ["c"]),
    conv("w1", "c", "d", stride=2),
    conv("w2", "d", "e", group=16),
    conv("w3", "c", "f", stride=2, pads=0),
    helper.make_node("Add", ["e", "f"], ["g"]),
    helper.make_node("GlobalAveragePool", ["g"], ["h"]),
    helper.make_node("Flatten", ["h"], ["i"]),
    helper.make_node("Gemm", ["i", "w4", "bias"], ["y"], transB=1),
]


def written(path, nodes=NODES, shape=("n", 3, 8, 8), initial=INITIAL):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "made", inputs, outputs, [*initial.values()])
    onnx.save(helper.make_model(graph), path)
    return path


def test_layers_in_order(tmp_path):
    network = read_onnx(written(tmp_path / "net.onnx"))
    assert (network.name, network.data, network.batch) == ("net", str(tmp_path / "net.onnx"), 128)
    assert network.convolutions == (
        Convolution(3, 8, 3, 1, 8),
        Convolution(8, 16, 3, 2, 4, normalized=False),
        Convolution(16, 16, 3, 1, 4, groups=16, normalized=False),
        Convolution(8, 16, 1, 2, 4, shortcut=True, adds=True, normalized=False),
    )
    assert network.classifier == Convolution(16, 10, 1, 1, 1, normalized=False)


def test_a_matrix_product_is_a_linear_layer(tmp_path):
    nodes = [*NODES[:-1], helper.make_node("MatMul", ["i", "w4"], ["y"])]
    initial = {**INITIAL, "w4": weights("w4", 16, 10)}
    network = read_onnx(written(tmp_path / "net.onnx", nodes, initial=initial))
    assert network.classifier == Convolution(16, 10, 1, 1, 1, normalized=False)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"shape": ("n", 3, 8, 6)}, "Conv node_w0: output must be square, not 8 x 6"),
        ({"shape": ("n", 3, "h", "w")}, "Conv node_w0: output must be of a known size: export"),
        (
            {"initial": {**INITIAL, "w0": weights("w0", 8, 3, 3, 1)}},
            "Conv node_w0: kernel must be square, not 3 x 1",
        ),
        (
            {"nodes": [*NODES[:-1], helper.make_node("MatMul", ["i", "i"], ["y"])]},
            "MatMul y: must have a matrix of weights",
        ),
        (
            {"nodes": [*NODES[:8], helper.make_node("ConvTranspose", ["h", "w2"], ["y"])]},
            "ConvTranspose y: only Conv, Gemm and MatMul are counted",
        ),
        ({"nodes": NODES[:3]}, "net.onnx must have three layers or more, .*, not 1"),
    ],
)
def test_mistakes(change, rule, tmp_path):
    with pytest.raises(UserError, match=rule):
        read_onnx(written(tmp_path / "net.onnx", **change))


def test_the_command_takes_it(tmp_path):
    assert len(_network(str(written(tmp_path / "net.onnx"))).layers) == 5


def test_other_files(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match="must be an ONNX model"):
        read_onnx(path)
    with pytest.raises(FileNotFoundError):
        read_onnx(tmp_path / "missing.onnx")


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ToolError, match=r"pip install 'mlsmac\[onnx\]'"):
        read_onnx(tmp_path / "net.onnx")
