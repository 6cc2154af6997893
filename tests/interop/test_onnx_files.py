"""Files that are written whole and read with care: names, errors, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.interop.onnx_files import NEEDS_ONNX

X = np.ones((2, 3), np.float32)


class Of(nn.Module):
    """A module of a function, with a layer beside it."""

    def __init__(self, function, **state):
        self.function = function
        for name, value in state.items():
            setattr(self, name, value)

    def forward(self, *inputs):
        return self.function(*inputs)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.onnx"


def loaded(path):
    import onnx

    return onnx.load(str(path))


# --- names --------------------------------------------------------------------------------------------


@NEEDS_ONNX
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
    again.load_state_dict(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).state_dict())
    assert again(X).node.scope[:2] == ("OnnxNetwork", "Sequential")


@NEEDS_ONNX
def test_names_can_be_given(path):
    network = Of(lambda a, b: (a + b, (a * b, a)))
    mg.export_onnx(
        network, (mg.tensor(X), X), path, input_names=["left", "right"], output_names=["sum", "product", "same"]
    )
    graph = loaded(path).graph
    assert [value.name for value in graph.input] == ["left", "right"]
    assert [value.name for value in graph.output] == ["sum", "product", "same"]
    for ours, theirs in zip(mg.import_onnx(path)(X, 2 * X), (3 * X, 2 * X, X), strict=True):
        np.testing.assert_array_equal(ours.data, theirs)
    mg.export_onnx(mg.import_onnx(path), (X, X), again := path.with_name("again.onnx"))
    assert [value.name for value in loaded(again).graph.input] == ["left", "right"]
    assert [value.name for value in loaded(again).graph.output] == ["sum", "product", "same"]
    assert mg.import_onnx(again).output_names == ["sum", "product", "same"]
    for names in (["left"], ["a", "a"], ["a", ""], ["a", 3]):
        with pytest.raises(ValueError, match="input_names must be 2 different names"):
            mg.export_onnx(network, (mg.tensor(X), X), path, input_names=names)


@NEEDS_ONNX
def test_an_output_that_comes_twice_or_is_a_weight(path):
    weight = nn.Parameter(X)
    network = Of(lambda x: (y := mg.exp(x), y, network.weight, x), weight=weight)
    mg.export_onnx(network, mg.tensor(X), path)
    y, again, read, x = mg.import_onnx(path)(X)
    np.testing.assert_array_equal(y.data, again.data)
    np.testing.assert_array_equal(read.data, X)
    np.testing.assert_array_equal(x.data, X)


@NEEDS_ONNX
def test_names_that_a_module_has_itself_are_kept_apart(path):
    network = Of(lambda x: x * network.training_ * vars(network)["output_names"], training_=nn.Parameter(X),
                 output_names=nn.Parameter(X))  # fmt: skip
    mg.export_onnx(network, X, path)
    assert {name for name, _ in mg.import_onnx(path).named_parameters()} == {"training_", "output_names_"}


@NEEDS_ONNX
def test_modes_are_set_back_and_averages_stay(path):
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    network[1].eval()
    before = {name: value.copy() for name, value in network.state_dict().items()}
    mg.export_onnx(network, mg.tensor(X), path)
    assert [part.training for part in network] == [True, False, True]
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    again = mg.import_onnx(path)
    assert {name for name, _ in again.named_buffers()} == {"0.running_mean", "0.running_var"}


@NEEDS_ONNX
def test_modes_are_set_back_when_what_sets_them_is_interrupted(path):
    class Interrupted(nn.Module):
        def __setattr__(self, name, value):
            if name == "training" and not value:
                raise KeyboardInterrupt
            super().__setattr__(name, value)

    network = nn.Sequential(nn.Dropout(0.5), Interrupted(), nn.Linear(3, 2))
    with pytest.raises(KeyboardInterrupt):
        mg.export_onnx(network, mg.tensor(X), path)
    assert [part.training for part in network.modules()] == [True] * 4


@NEEDS_ONNX
def test_other_buffers_stay_buffers(path):
    mg.export_onnx(network := Of(lambda x: x + network.table, table=nn.Buffer(X)), X, path)
    again = mg.import_onnx(path)
    assert [name for name, _ in again.named_buffers()] == ["table"]
    assert not list(again.parameters())


# --- what cannot be written ---------------------------------------------------------------------------


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: mg.arctan2(x, x), NotImplementedError, r"arctan2 \(in Of\): .* cannot be written"),
        (lambda x: mg.dropout(x, 0.5), NotImplementedError, r"dropout \(in Of\): dropout in training"),
        (lambda x: mg.batch_norm(x), NotImplementedError, r"batch_norm \(in Of\).*the batch's statistics"),
        (
            lambda x: x * np.sum(x.data),
            ValueError,
            r"multiply \(in Of\) gets a constant that is computed from the input",
        ),
        (lambda x: mg.exp(x) if x.data[0, 0] > 0 else x, ValueError, "the calls depend on the values"),
        (lambda x: mg.exp(np.ones(3)), ValueError, r"do not depend on inputs"),
        (lambda x: "text", TypeError, "must return tensors, not str"),
        (lambda x: written_into(x), ValueError, "writes into a tensor"),
    ],
)
def test_what_cannot_be_written_says_so_and_leaves_the_old_file(function, error, message, path):
    path.write_bytes(b"old")
    x = mg.tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, -6.0]], np.float32))
    with pytest.raises(error, match=message):
        mg.export_onnx(Of(function), x, path)
    assert path.read_bytes() == b"old"


def written_into(x):
    y = mg.exp(x)
    y[0] = 0.0
    return y * 2


def test_only_modules_are_written(path):
    with pytest.raises(TypeError, match=r"must be an nn.Module, not function"):
        mg.export_onnx(lambda x: x, X, path)


@NEEDS_ONNX
@pytest.mark.parametrize(
    "number",
    [
        lambda x: mg.sum(x).item(),
        lambda x: float(x[0, 0]),
        lambda x: int(mg.argmax(x)),
        lambda x: range(5)[mg.argmax(x)],
        lambda x: bool(mg.any(x > 0)),
        lambda x: mg.sum(x, axis=1).tolist()[0],
        lambda x: mg.exp(x).detach()[0, 0].item(),
    ],
)
@pytest.mark.parametrize("given", [X, mg.tensor(X)], ids=["array", "tensor"])
def test_a_number_from_an_input_names_the_line(number, given, path):
    network = Of(lambda x: x * 2 if number(x) > 0 else x * 3)
    line = number.__code__.co_firstlineno
    with pytest.raises(ValueError, match=rf"test_onnx_files.py:{line}, in scope Of\).*mg\.where"):
        mg.export_onnx(network, given, path)
    np.testing.assert_array_equal(network(given).data, 2 * X if number(mg.tensor(X)) > 0 else 3 * X)


@NEEDS_ONNX
@pytest.mark.parametrize(
    "function",
    [lambda x: x.reshape(x.shape[0], -1) * 2, lambda x: np.sin(x), lambda x: x.T, lambda x: mg.exp(np.asarray(x))],
)
def test_an_array_is_as_good_an_example_as_a_tensor(function, path):
    for example in (X, mg.tensor(X)):
        mg.export_onnx(Of(function), example, path)
        np.testing.assert_allclose(mg.import_onnx(path)(2 * X).data, function(mg.tensor(2 * X)).data, rtol=1e-6)


@NEEDS_ONNX
@pytest.mark.parametrize("function", [np.isclose, np.nonzero, np.count_nonzero])
def test_answers_of_numpys_functions_are_refused(function, path):
    other = (0.0,) if function is np.isclose else ()
    with pytest.raises(ValueError, match=r"test_onnx_files.py:\d+, in scope Of"):
        mg.export_onnx(Of(lambda x: x + np.asarray(function(x, *other)).max()), X, path)


@NEEDS_ONNX
def test_numbers_from_weights_and_texts_may_be_taken(path):
    network = Of(lambda x: x * network.scale.item() if f"{mg.sum(x):.1f}" else x, scale=nn.Parameter(np.float32(2)))
    mg.export_onnx(network, X, path)
    np.testing.assert_array_equal(mg.import_onnx(path)(X).data, 2 * X)


ZEROS = np.zeros((2, 3), np.float32)
EQUAL = np.array([4, 4, 4])


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x: x + float(x.data.max()), (mg.tensor(ZEROS),)),
        (lambda x: x + float(x.data[0, 1]), (mg.tensor(np.eye(2, dtype=np.float32)),)),
        (lambda x: x + float(x.data.sum()), (mg.tensor(np.array([1, -1], np.float32)),)),
        (lambda x, ids: x[ids - 4] + float(ids.data.max()), (mg.tensor(X), EQUAL)),
        (lambda x, ids: x * float(ids.data[0]), (mg.tensor(X), EQUAL)),
        (lambda x, ids: x * float(ids.data.max()), (mg.tensor(X), 0 * EQUAL)),
        (lambda x, ids: x * float(np.asarray(ids).max()), (mg.tensor(X), EQUAL.astype(np.uint8))),
        (lambda x, n: x * float(n.data), (mg.tensor(X), np.array(3))),
        (lambda x, n: x * float(n.data), (mg.tensor(X), np.array(0.0))),
    ],
)
def test_constants_from_equal_numbers_are_seen(function, inputs, path):
    with pytest.raises(ValueError, match=r"computed from the input \w+ outside of minigrad"):
        mg.export_onnx(Of(function), inputs, path)


@NEEDS_ONNX
def test_equal_integers_that_nothing_may_replace(path):
    """Where the module takes no other number the examples must have one."""
    table = nn.Parameter(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"with others it fails .*give other examples"):
        mg.export_onnx(Of(lambda ids: mg.embedding(ids, table), table=table), np.array([0, 0]), path)
    mg.export_onnx(nn.Embedding(2, 3), np.array([0, 0]), path)
    np.testing.assert_array_equal(mg.import_onnx(path)(np.array([1, 0])).shape, (2, 3))


@NEEDS_ONNX
def test_a_length_that_is_an_input_is_no_constant(path):
    layer = nn.GRU(3, 2, rng=0)
    network = Of(lambda x, n: layer(x, lengths=n)[1], layer=layer)
    with pytest.raises(ValueError, match="computed from the input inputs_1 outside of minigrad"):
        mg.export_onnx(network, (np.ones((2, 4, 3), np.float32), np.array([4, 2])), path)


@NEEDS_ONNX
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
def test_the_input_that_a_constant_is_made_of_is_named(function, message, path):
    x, n = mg.tensor(np.arange(1.0, 9.0).reshape(2, 4)), mg.tensor(np.array([4, 3]))
    with pytest.raises(ValueError, match=message):
        mg.export_onnx(Of(function), (x, n), path, input_names=["x", "lengths"])


# --- what cannot be read ------------------------------------------------------------------------------


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


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "Hardmax"}, "the operator Hardmax of node 'the node' is not supported"),
        ({"kind": "Loop"}, "the operator Loop of node 'the node'"),
        ({"kind": "Mine", "domain": "my.own"}, "the operator my.own.Mine of node 'the node'"),
        ({"kind": "Softmax", "version": 11}, "Softmax of node 'the node' is that of version 11"),
        ({"kind": "RNN", "inputs": ("x", "w", "r"), "clip": 3.0}, "RNN of node 'the node': the attribute clip"),
        ({"elem_type": 16}, "NumPy has no type BFLOAT16"),
        ({"elem_type": 8, "kind": "Identity"}, "NumPy has no type STRING"),
    ],
)
def test_what_is_not_supported_is_named(changes, message, path):
    path.write_bytes(model(**changes).SerializeToString())
    with pytest.raises(NotImplementedError, match=message):
        mg.import_onnx(path)


@NEEDS_ONNX
def test_functions_are_named(path):
    from onnx import helper

    proto = model()
    proto.functions.append(helper.make_function("mine", "Twice", ["a"], ["b"], [], [helper.make_opsetid("", 18)]))
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(NotImplementedError, match="functions of its own: Twice"):
        mg.import_onnx(path)


@NEEDS_ONNX
def test_external_data_are_not_followed(path):
    import onnx

    weight = onnx.numpy_helper.from_array(X, "w")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../etc/passwd")
    path.write_bytes(model("Add", ("x", "w"), initializers=[weight]).SerializeToString())
    with pytest.raises(ValueError, match=r"w lies in another file \(external data\)"):
        mg.import_onnx(path)


@NEEDS_ONNX
@pytest.mark.parametrize(("kind", "inputs"), [("Constant", ()), ("ConstantOfShape", ("x",))])
def test_external_data_of_attributes_are_not_followed(kind, inputs, path, monkeypatch):
    """Neither where the file is there, which would be read, nor where it is not."""
    import onnx

    monkeypatch.chdir(path.parent)
    value = onnx.numpy_helper.from_array(np.ones(1, np.float32), "secret")
    value.ClearField("raw_data")
    value.data_location = onnx.TensorProto.EXTERNAL
    value.external_data.add(key="location", value="secret.bin")
    path.write_bytes(model(kind, inputs, value=value, elem_type=7 if inputs else 1).SerializeToString())
    for _ in range(2):
        with pytest.raises(ValueError, match=r"secret lies in another file \(external data\)"):
            mg.import_onnx(path)
        (path.parent / "secret.bin").write_bytes(np.full(1, 7, np.float32).tobytes())


@NEEDS_ONNX
@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 100, b"{}\n" * 40])
def test_other_files_are_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no ONNX file, or a part of one"):
        mg.import_onnx(path)


@NEEDS_ONNX
def test_every_part_of_a_file_and_every_damage_is_an_error_or_a_network(path):
    """Cut anywhere, or with a byte changed: a ValueError, what is not supported, or a network of other numbers."""
    mg.export_onnx(nn.Sequential(nn.Linear(3, 2, rng=0), nn.Tanh()), X, path)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    damaged = [content[:end] for end in range(0, len(content), 17)]
    for place in range(0, len(content), 5):
        damaged.append(content[:place] + bytes([int(random.integers(256))]) + content[place + 1 :])
    said: list[str] = []
    for part in damaged:
        path.write_bytes(part)
        try:
            network = mg.import_onnx(path)
        except (ValueError, NotImplementedError) as error:
            said.append(str(error))
            continue
        assert isinstance(network, nn.Module)
    assert all("import_onnx" in text for text in said)


@NEEDS_ONNX
def test_a_graph_that_is_invalid_is_refused(path):
    proto = model()
    proto.graph.node[0].input[0] = "nowhere"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"no valid ONNX file.*nowhere"):
        mg.import_onnx(path)


def test_a_file_that_is_not_there(tmp_path):
    pytest.importorskip("onnx", reason="no onnx: onnx not installed")
    with pytest.raises(FileNotFoundError):
        mg.import_onnx(tmp_path / "none.onnx")


@NEEDS_ONNX
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"import_onnx: .*pipe is a pipe, not a regular file"):
        mg.import_onnx(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        mg.import_onnx(tmp_path)
    for wrong in (3, b"network.onnx"):
        with pytest.raises(TypeError, match="import_onnx: the path must be a str"):
            mg.import_onnx(wrong)


# --- calls of what was read ---------------------------------------------------------------------------


@NEEDS_ONNX
def test_inputs_are_checked(path):
    path.write_bytes(model().SerializeToString())
    network = mg.import_onnx(path)
    np.testing.assert_array_equal(network(np.ones((7, 3), np.float32)).data, 1)  # an axis of any length
    np.testing.assert_array_equal(network(x=X).data, X)
    for inputs, named in (((X, X), {}), ((), {}), ((X,), {"x": X}), ((), {"y": X})):
        with pytest.raises(TypeError, match="OnnxNetwork: expected the inputs x, got"):
            network(*inputs, **named)
    with pytest.raises(TypeError, match="the input x must be float32, not float64"):
        network(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"the input x must have the shape \(any, 3\), not \(2, 4\)"):
        network(np.ones((2, 4), np.float32))


@NEEDS_ONNX
def test_an_error_says_which_node(path):
    path.write_bytes(model("MatMul", ("x", "z"), ("y",)).SerializeToString())
    network = mg.import_onnx(path)
    with pytest.raises(ValueError, match="they must agree") as caught:
        network(X, X)
    assert caught.value.__notes__ == ["OnnxNetwork: in MatMul of node 'the node'"]
    assert "x, z -> y; 1 operators" in repr(network)


# --- the package --------------------------------------------------------------------------------------


def test_without_onnx_the_command_is_told(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: mg.export_onnx(nn.Linear(3, 2), X, path), lambda: mg.import_onnx(path)):
        with pytest.raises(ModuleNotFoundError, match=r"pip install onnx, or pip install \"\.\[onnx\]\""):
            call()


def test_importing_minigrad_does_not_import_it():
    code = "import sys, minigrad; print('onnx' in sys.modules, 'minigrad.interop' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
