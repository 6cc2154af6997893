"""ONNX files: names, modes, and clear errors for what cannot be written or read."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.interop.onnx_files import NEEDS_ONNX, Function

pytestmark = NEEDS_ONNX
X = np.ones((2, 3), np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.onnx"


def loaded(path):
    import onnx

    return onnx.load(str(path))


def test_names_are_those_of_the_module(path):
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    mg.export_onnx(network, X, path)
    graph = loaded(path).graph
    assert [value.name for value in graph.input] == ["x"]
    assert [value.name for value in graph.output] == ["output"]
    assert {tensor.name for tensor in graph.initializer} == set(network.state_dict())
    assert graph.node[0].name.startswith("Sequential/0/")
    again = mg.import_onnx(path)
    assert again.state_dict().keys() == network.state_dict().keys()
    assert again(X).node.scope[:2] == ("OnnxNetwork", "Sequential")


def test_names_can_be_given(path):
    """They survive a second export, also of an output that is an input."""
    network, names = Function(lambda a, b: (a + b, (a * b, a))), ["sum", "product", "same"]
    mg.export_onnx(network, (mg.tensor(X), X), path, input_names=["left", "right"], output_names=names)
    mg.export_onnx(mg.import_onnx(path), (X, X), path)
    again = mg.import_onnx(path)
    assert (again.input_names, again.output_names) == (["left", "right"], names)
    for ours, theirs in zip(again(X, 2 * X), (3 * X, 2 * X, X), strict=True):
        np.testing.assert_array_equal(ours.data, theirs)
    for wrong in (["left"], ["a", "a"], ["a", ""], ["a", 3]):
        with pytest.raises(ValueError, match="input_names must be 2 different names"):
            mg.export_onnx(network, (mg.tensor(X), X), path, input_names=wrong)


def test_export_leaves_modes_and_averages_alone(path):
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    network[1].eval()
    before = {name: value.copy() for name, value in network.state_dict().items()}
    mg.export_onnx(network, mg.tensor(X), path)
    assert [part.training for part in network] == [True, False, True]
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    again = mg.import_onnx(path)  # averages are not parameters, so nothing trains them
    assert {name for name, _ in again.named_buffers()} == {"0.running_mean", "0.running_var"}


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: mg.arctan2(x, x), NotImplementedError, r"arctan2 \(in Function\): .* cannot be written"),
        (lambda x: mg.dropout(x, 0.5), NotImplementedError, r"dropout \(in Function\): dropout in training"),
        (lambda x: mg.batch_norm(x), NotImplementedError, r"batch_norm \(in Function\).*the batch's statistics"),
        (lambda x: x * np.sum(x.data), ValueError, r"multiply \(in Function\) gets a constant"),
        (lambda x: mg.exp(x) if x.data[0, 0] > 0 else x, ValueError, "the calls depend on the values"),
        (lambda x: mg.exp(np.ones(3)), ValueError, r"do not depend on inputs"),
        (lambda x: (y := mg.exp(x), y.__setitem__(0, 0.0))[0] * 2, ValueError, "writes into a tensor"),
        (lambda x: "text", TypeError, "must return tensors, not str"),
        (lambda x: x + np.isclose(x, 0.0), ValueError, r"test_onnx_files.py:\d+, in scope Function"),
        (lambda x: x + np.count_nonzero(x), ValueError, r"test_onnx_files.py:\d+, in scope Function"),
        (lambda x: x * mg.sum(x).item(), ValueError, r"test_onnx_files.py:\d+, in scope Function\).*mg\.where"),
        (lambda x: x * 2 if x[0, 0] > 0 else x, ValueError, r"test_onnx_files.py:\d+, in scope Function\).*mg\.where"),
        (lambda x: x * range(5)[mg.argmax(x)], ValueError, r"test_onnx_files.py:\d+, in scope Function\).*mg\.where"),
        (lambda x: x * mg.exp(x).tolist()[0][0], ValueError, r"test_onnx_files.py:\d+, in scope Function\).*mg\.where"),
    ],
)
def test_what_cannot_be_written_leaves_the_old_file(function, error, message, path):
    path.write_bytes(b"old")
    x = mg.tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, -6.0]], np.float32))
    with pytest.raises(error, match=message):
        mg.export_onnx(Function(function), x, path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x: x + float(x.data.max()), (mg.tensor(0 * X),)),
        (lambda x, ids: x[ids - 4] + float(ids.data.max()), (mg.tensor(X), np.array([4, 4, 4]))),
        (lambda x, ids: x * float(np.asarray(ids).max()), (mg.tensor(X), np.array([4, 4, 4], np.uint8))),
        (lambda x, n: x * float(n.data), (mg.tensor(X), np.array(3))),
        (lambda x, n: nn.GRU(3, 2, rng=0)(x, lengths=n)[1], (np.ones((2, 4, 3), np.float32), np.array([4, 2]))),
    ],
)
def test_constants_computed_from_inputs_are_noticed(function, inputs, path):
    """Also when an example of other numbers is needed to notice them."""
    with pytest.raises(ValueError, match=r"computed from the input \w+ outside of minigrad"):
        mg.export_onnx(Function(function), inputs, path)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, n: x * n.data.sum(), "from the input lengths outside"),
        (lambda x, n: x * max(x.data[0, 0] - 1, n.data.sum() - 7), "from the input x outside"),
        (
            lambda x, n: mg.exp(x) * n[:, None] if n.data[0] > 3 else x * n[:, None],
            "the calls depend on the values of the input lengths,",
        ),
        (lambda x, n: x.reshape(-1, int(n.data[0])) * 2, "depends on .* of the input lengths: with others it fails"),
    ],
)
def test_errors_name_the_input_behind_a_constant(function, message, path):
    x, n = mg.tensor(np.arange(1.0, 9.0).reshape(2, 4)), mg.tensor(np.array([4, 3]))
    with pytest.raises(ValueError, match=message):
        mg.export_onnx(Function(function), (x, n), path, input_names=["x", "lengths"])


def model(
    kind="Relu", inputs=("x",), outputs=("y",), domain="", version=18, initializers=(), elem_type=1, **attributes
):
    from onnx import helper

    node = helper.make_node(kind, inputs, outputs, name="the node", domain=domain, **attributes)
    given = [helper.make_tensor_value_info(name, elem_type, ["N", 3]) for name in inputs if name != "w"]
    ends = [helper.make_tensor_value_info(name, elem_type, ["N", 3]) for name in outputs]
    graph = helper.make_graph([node], "graph", given, ends, initializers)
    imports = [helper.make_opsetid("", version)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "Hardmax"}, "the operator Hardmax of node 'the node' is not supported"),
        ({"kind": "Loop"}, "the operator Loop of node 'the node'"),
        ({"kind": "Mine", "domain": "my.own"}, "the operator my.own.Mine of node 'the node'"),
        ({"kind": "Softmax", "version": 11}, "Softmax of node 'the node' has version 11"),
        ({"kind": "RNN", "inputs": ("x", "w", "r"), "clip": 3.0}, "RNN of node 'the node': the attribute clip"),
        ({"elem_type": 16}, "NumPy has no type BFLOAT16"),
        ({"elem_type": 8, "kind": "Identity"}, "NumPy has no type STRING"),
    ],
)
def test_unsupported_operators_are_named(changes, message, path):
    path.write_bytes(model(**changes).SerializeToString())
    with pytest.raises(NotImplementedError, match=message):
        mg.import_onnx(path)


@pytest.mark.parametrize("kind", ["initializer", "Constant", "ConstantOfShape"])
def test_external_data_are_refused(kind, path, monkeypatch):
    """Whether the other file exists or not."""
    import onnx

    monkeypatch.chdir(path.parent)
    value = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    value.ClearField("raw_data")
    value.data_location = onnx.TensorProto.EXTERNAL
    value.external_data.add(key="location", value="secret.bin")
    if kind == "initializer":
        proto = model("Add", ("x", "w"), initializers=[value])
    else:
        proto = model(kind, () if kind == "Constant" else ("x",), value=value, elem_type=1 if kind == "Constant" else 7)
    path.write_bytes(proto.SerializeToString())
    for _ in range(2):
        with pytest.raises(ValueError, match=r"w is stored in another file \(external data\)"):
            mg.import_onnx(path)
        (path.parent / "secret.bin").write_bytes(np.full(1, 7, np.float32).tobytes())


@pytest.mark.parametrize("content", [b"", b"text", bytes(100), "a name that nothing defines"])
def test_other_files_are_refused(content, path):
    proto = model()
    proto.graph.node[0].input[0] = "nowhere"
    path.write_bytes(content if isinstance(content, bytes) else proto.SerializeToString())
    with pytest.raises(ValueError, match=r"not an ONNX file|not a valid ONNX file.*nowhere"):
        mg.import_onnx(path)


@pytest.mark.slow
def test_a_damaged_file_is_an_error_or_a_network(path, full):
    mg.export_onnx(nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()), X, path)
    content, step = path.read_bytes(), 1 if full else 10
    random = np.random.default_rng(0)
    damaged = [content[:end] for end in range(0, len(content), 17 * step)]
    for place in range(0, len(content), 5 * step):
        damaged.append(content[:place] + bytes([int(random.integers(256))]) + content[place + 1 :])
    for part in damaged:
        path.write_bytes(part)
        try:
            network = mg.import_onnx(path)
        except (ValueError, NotImplementedError):
            continue
        assert isinstance(network, nn.Module)


def test_the_path_must_be_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for wrong, error in (
        (tmp_path / "pipe", OSError),
        (tmp_path, IsADirectoryError),
        (3, TypeError),
        (b"a", TypeError),
    ):
        with pytest.raises(error, match="import_onnx: "):
            mg.import_onnx(wrong)


def test_inputs_are_checked(path):
    path.write_bytes(model().SerializeToString())
    network = mg.import_onnx(path)
    np.testing.assert_array_equal(network(x=np.ones((7, 3), np.float32)).data, 1)  # an axis of any length
    for inputs, named, message in (
        ((X, X), {}, "expected the inputs x, got"),
        ((X,), {"x": X}, "expected the inputs x, got"),
        ((), {"y": X}, "expected the inputs x, got"),
        ((np.ones((2, 3)),), {}, "the input x must be float32, not float64"),
        ((np.ones((2, 4), np.float32),), {}, r"the input x must have the shape \(any, 3\), not \(2, 4\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            network(*inputs, **named)


def test_without_onnx_the_error_names_the_command(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: mg.export_onnx(nn.Linear(3, 2), X, path), lambda: mg.import_onnx(path)):
        with pytest.raises(ModuleNotFoundError, match=r"\[onnx\].*, or pip install onnx"):
            call()
