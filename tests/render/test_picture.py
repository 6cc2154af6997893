"""Pictures: what they hold of a graph, and what unrolling, sorting and expanding leave as it is."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.primitives import PRIMITIVES
from minigrad.render.passes.arrange import arranged, whole
from minigrad.render.passes.expand import expanded
from minigrad.render.passes.order import grouped
from minigrad.render.passes.unroll import unrolled
from minigrad.render.picture import leaf_names, picture_of, primitive_of
from tests.render.graphs import captioner, graphs, halves, leaf, loop, lstm, rnn


def check(picture):
    """What holds of every picture: edges come from earlier vertices and carry an output that exists."""
    for number, vertex in enumerate(picture.vertices):
        for edge in vertex.inputs:
            assert 0 <= edge.source < number
            assert 0 <= edge.slot < len(picture.vertices[edge.source].specs)
        assert not (vertex.is_leaf and vertex.inputs)
        assert (vertex.stands_for > 0) == (vertex.kind == "elision")
    kinds = [vertex.is_leaf for vertex in picture.vertices]
    assert kinds == sorted(kinds, reverse=True), "leaves come first"
    for output in picture.outputs:
        assert output.slot < len(picture.vertices[output.source].specs)
    return picture


def labels(picture):
    return [vertex.label for vertex in picture.vertices]


def operations(picture):
    return sum(not vertex.is_leaf for vertex in picture.vertices)


def identities(picture):
    """A name for each vertex that sorting does not change."""
    return [
        (vertex.node, vertex.label, vertex.step, vertex.inputs[0].slot if vertex.label == "stack" else 0)
        for vertex in picture.vertices
    ]


@given(graphs())
def test_every_node_and_every_use_appears_once(outputs):
    picture = check(picture_of(outputs))
    nodes = graph_of([output.node for output in outputs]).nodes
    assert Counter(vertex.node for vertex in picture.vertices) == Counter(nodes)
    drawn = Counter(
        (picture.vertices[edge.source].node, edge.slot, vertex.node, edge.argument)
        for vertex in picture.vertices
        for edge in vertex.inputs
    )
    used = Counter(
        (parent, slot, node, node.primitive.input_name(argnum))
        for node in nodes
        if node.primitive is not None
        for parent, argnum, slot in zip(node.parents, node.edges[0], node.edges[2], strict=True)
    )
    assert drawn == used
    assert [(picture.vertices[o.source].node, o.slot) for o in picture.outputs] == [(o.node, o.index) for o in outputs]


@given(graphs())
def test_unrolling_shows_each_step_once(outputs):
    before = picture_of(outputs)
    after = check(unrolled(before))
    sequences = [vertex for vertex in before.vertices if vertex.label == "lstm"]
    steps = sum(vertex.specs[0][0][1] for vertex in sequences)
    assert labels(after).count("lstm_step") == steps
    stacks = sum(vertex.label == "stack" and vertex.node.primitive.name == "lstm" for vertex in after.vertices)
    assert operations(after) == operations(before) - len(sequences) + steps + stacks
    assert [after.vertices[o.source].specs[o.slot] for o in after.outputs] == [
        before.vertices[o.source].specs[o.slot] for o in before.outputs
    ]


@given(graphs())
def test_sorting_by_scope_keeps_all_vertices_and_edges(outputs):
    before = unrolled(picture_of(outputs))
    after = check(grouped(before))
    old, new = identities(before), identities(after)
    assert Counter(old) == Counter(new)
    edges_before = {(old[i], old[e.source], *e[1:]) for i, v in enumerate(before.vertices) for e in v.inputs}
    edges_after = {(new[i], new[e.source], *e[1:]) for i, v in enumerate(after.vertices) for e in v.inputs}
    assert edges_before == edges_after
    assert [old[o.source] for o in before.outputs] == [new[o.source] for o in after.outputs]


def test_sorting_puts_the_vertices_of_a_step_side_by_side():
    scopes = [vertex.scope for vertex in grouped(picture_of(loop(9))).vertices if vertex.scope]
    assert scopes == sorted(scopes)
    assert len(set(scopes)) == 9


def test_leaves_come_in_the_order_of_use_and_have_their_own_names():
    picture = picture_of(captioner())
    assert list(leaf_names(picture).values()) == [
        "Captioner.embed.weight", "Captioner.project.weight", "Captioner.project.bias", "Wx", "Wh", "b",
        "Captioner.predict.weight", "Captioner.predict.bias",
    ]  # fmt: skip


def test_names_of_leaves_differ():
    a, b, c = leaf(2), leaf(2), leaf(2)
    picture = picture_of(a * b * c, names={"input1": c})
    assert sorted(leaf_names(picture).values()) == ["input1", "input2", "input3"]
    cell = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert "Sequential.0.weight" in leaf_names(picture_of(cell(np.ones((1, 2), np.float32)))).values()


def test_each_output_of_an_operation_has_its_own_name():
    h, c = mg.lstm(leaf(2, 3, 4), leaf(2, 5), leaf(4, 20), leaf(5, 20), leaf(20), leaf(2, 5))
    names = {"hidden": h, "cell": c}
    assert [output.name for output in picture_of([c, h], names).outputs] == ["cell", "hidden"]
    loss = (h * c).sum()
    assert [v.remark for v in arranged(loss, "primitive", names=names).vertices if v.label == "lstm"] == [
        "[0] hidden, [1] cell"
    ]
    stacks = {v.remark: v.inputs[0].slot for v in arranged(loss, names=names).vertices if v.label == "stack"}
    assert stacks == {"hidden": 0, "cell": 1}


def test_what_is_between_can_be_named():
    x = leaf(2)
    y = mg.tanh(x)
    z = y * y
    assert [vertex.remark for vertex in arranged(z, names={"y": y, "z": z}).vertices] == ["", "y", ""]
    assert "a = tanh(input)  (y)" in mg.render.to_text(z, names={"y": y})
    assert 'label="tanh\\ny"' in mg.render.to_dot(z, names={"y": y})
    states = [h := mg.tanh(x)] + [h := mg.tanh(h) for _ in range(19)]
    text = mg.render.to_text(states[-1], names={"the tenth": states[9]})
    assert [line.split(":")[0] for line in text.splitlines() if "×" in line] == [
        "× 9, first with a' = input", "× 10, first with c' = b",
    ]  # fmt: skip
    assert "b = tanh(a)  (the tenth)" in text


@pytest.mark.parametrize("unroll", ["fold", "steps", "primitive"])
@given(graphs(), st.data())
def test_names_change_only_what_is_said(unroll, outputs, data):
    nodes = [node for node in graph_of([output.node for output in outputs]).nodes if node.primitive is not None]
    named = mg.tensor(np.ones(1))
    if not nodes:
        return
    named.node = data.draw(st.sampled_from(nodes))
    picture = check(whole(outputs, unroll, names={"this": named}))
    plain = whole(outputs, unroll)
    assert [o.name for o in picture.outputs if o.name != "this"] == [
        o.name for o, y in zip(plain.outputs, outputs, strict=True) if (y.node, y.index) != (named.node, 0)
    ]
    said = sum("this" in v.remark for v in picture.vertices) + any(o.name == "this" for o in picture.outputs)
    assert said == 1


def test_a_parameter_under_another_name_is_a_parameter():
    layer = nn.Linear(3, 4)
    y = layer(np.ones((1, 3), np.float32))
    vertices = picture_of(y, {"W": layer.weight}).vertices
    assert [(vertex.kind, vertex.label) for vertex in vertices[:2]] == [("parameter", "W"), ("parameter", "bias")]
    assert mg.render.to_text(y, names={"W": layer.weight}).splitlines()[0].split() == ["parameter", "W", "3×4"]


def test_a_name_of_what_is_not_in_the_graph():
    x, other = leaf(2), leaf(2)
    for name, tensor in {"other": other, "later": x * x * x}.items():
        with pytest.raises(ValueError, match=f"names: '{name}' is not in the graph: nothing that is drawn"):
            mg.render.to_text(x * x, names={name: tensor})
    with pytest.raises(ValueError, match="names: 'c' is not in the graph: it is a constant"):
        mg.render.to_dot(x * 2.0, names={"c": mg.tensor(2.0)})


def test_a_shared_module_has_one_parameter_and_two_uses():
    layer = nn.Linear(2, 2)
    picture = check(picture_of(layer(layer(np.ones((1, 2), np.float32)))))
    assert labels(picture)[:2] == ["weight", "bias"]
    assert sum(edge.source == 0 for vertex in picture.vertices for edge in vertex.inputs) == 2


def test_what_no_grad_hides_is_a_constant():
    x = leaf(2)
    with mg.no_grad():
        hidden = mg.exp(x)
    picture = picture_of(x * hidden)
    assert labels(picture) == ["input", "multiply"]
    assert picture.vertices[1].constants == ("b",)


def test_drawing_works_after_the_residuals_were_freed():
    loss = captioner()
    before = mg.render.to_dot(loss), mg.render.to_text(loss)
    loss.backward()
    assert (mg.render.to_dot(loss), mg.render.to_text(loss)) == before


def test_only_the_later_of_two_outputs():
    second = halves(leaf(4))[1]
    picture = check(picture_of(second))
    assert picture.outputs[0].slot == 1
    assert [edge.slot for edge in picture_of(second * second).vertices[2].inputs] == [1, 1]


def test_leaves_and_the_same_tensor_twice_as_outputs():
    x = leaf(2)
    picture = check(arranged([x, x, x * x]))
    assert [output[:2] for output in picture.outputs] == [(0, 0), (0, 0), (1, 0)]
    assert [output.name for output in picture.outputs] == ["output 0", "output 1", "output 2"]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1, 1, 1)])
def test_scalars_and_empty_arrays(shape):
    x = leaf(*shape)
    assert check(arranged(x * x)).vertices[1].specs == ((shape, np.dtype(np.float32)),)


@pytest.mark.parametrize("make", [rnn, lstm])
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_steps_by_their_index(make, steps):
    picture = check(whole(make(steps), "steps"))
    found = [vertex for vertex in picture.vertices if vertex.step is not None]
    assert [vertex.scope[-1] for vertex in found] == [f"step {t}" for t in range(steps)]
    assert all(primitive_of(vertex).name == f"{make.__name__}_step" for vertex in found)


def test_each_step_takes_its_slice_and_the_states_before():
    x = leaf(2, 3, 4)
    h, c = mg.lstm(x, leaf(2, 5), leaf(4, 20), leaf(5, 20), leaf(20), leaf(2, 5))
    picture = check(whole([h, c], "steps", names={"x": x}))
    steps = [vertex for vertex in picture.vertices if vertex.step is not None]
    for t, step in enumerate(steps):
        by_name = {edge.argument: edge for edge in step.inputs}
        assert list(by_name) == ["x", "h", "c", "Wx", "Wh", "b"]
        assert by_name["x"].part == f"[:, {t}]"
        for slot, state in enumerate(["h", "c"] if t else []):
            assert picture.vertices[by_name[state].source] is steps[t - 1]
            assert by_name[state].slot == slot
    stacks = [picture.vertices[output.source] for output in picture.outputs]
    assert [[edge.slot for edge in stack.inputs] for stack in stacks] == [[0] * 3, [1] * 3]


@pytest.mark.parametrize("unroll", ["steps", "fold", "primitive"])
def test_a_sequence_without_steps_stays_whole(unroll):
    h, _ = mg.lstm(leaf(2, 0, 3), leaf(2, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    assert "lstm" in labels(check(arranged(h, unroll)))
    assert "lstm(" in mg.render.to_text(h, unroll=unroll)


# References ------------------------------------------------------------------------------------


@given(graphs(), st.sets(st.sampled_from(["lstm", "lstm_step"])))
def test_expanding_leaves_a_sound_picture(outputs, names):
    for unroll in ("steps", "primitive"):
        before = whole(outputs, unroll)
        after = check(expanded(before, names))
        for name in names:
            assert name not in labels(after)
        rest = [vertex.label for vertex in before.vertices if vertex.label not in names]
        assert not Counter(rest) - Counter(labels(after))
        assert [after.vertices[o.source].specs[o.slot] for o in after.outputs] == [
            before.vertices[o.source].specs[o.slot] for o in before.outputs
        ]


def test_a_step_expands_to_what_its_reference_calls():
    x, h, W, V, b = leaf(2, 3), leaf(2, 4), leaf(3, 4), leaf(4, 4), leaf(4)
    picture = check(arranged(mg.rnn_step(x, h, W, V, b), expand={"rnn_step"}, names={"x": x, "h": h}))
    assert sorted(labels(picture)[5:]) == sorted(["matmul", "matmul", "add", "add", "tanh"])
    assert {vertex.scope for vertex in picture.vertices[5:]} == {("rnn_step",)}


def test_steps_that_are_expanded_are_scopes_of_their_own():
    picture = check(whole(captioner(steps=3), "steps", expand="lstm_step"))
    scopes = [vertex.scope for vertex in picture.vertices if vertex.label == "sigmoid"]
    assert sorted(scopes) == [("Captioner", "cell", f"step {t}") for t in range(3) for _ in range(3)]


def scopes_in(picture):
    """The scopes of a picture, in order."""
    return list(dict.fromkeys(vertex.scope for vertex in picture.vertices if not vertex.is_leaf))


def test_each_call_that_is_expanded_has_a_scope_of_its_own():
    x = leaf(2, 3)
    y = mg.softmax(x) * mg.softmax(x * x)
    with mg.scope("inner"):
        z = mg.softmax(y)
    picture = check(whole(z, expand={"softmax"}))
    exps = [vertex.scope for vertex in picture.vertices if vertex.label == "exp"]
    assert sorted(exps) == [("inner", "softmax"), ("softmax 1",), ("softmax 2",)]
    dot = mg.render.to_dot(z, expand={"softmax"})
    frames = re.findall(r'label="(softmax[ \d]*)\W*"', dot)
    assert sorted(name.strip() for name in frames) == ["softmax", "softmax 1", "softmax 2"]


def test_a_scope_that_is_there_is_not_taken_for_a_call():
    x = leaf(2, 3)
    with mg.scope("softmax 1"):
        y = mg.tanh(x)
    with mg.scope("softmax"):
        y = mg.exp(y)
    with mg.scope("other"), mg.scope("softmax"):
        y = mg.exp(y)
    picture = check(whole(mg.softmax(y) + mg.softmax(x), expand={"softmax"}))
    assert [vertex.scope for vertex in picture.vertices if vertex.label == "divide"] == [("softmax 2",), ("softmax 3",)]
    assert ("other", "softmax") in scopes_in(picture)
    with mg.scope("other"):
        picture = check(whole(mg.softmax(y), expand={"softmax"}))
    assert [vertex.scope for vertex in picture.vertices if vertex.label == "divide"] == [("other", "softmax 1")]


def test_expanded_calls_in_a_loop_still_fold():
    x = leaf(2, 3)
    for _ in range(20):
        x = mg.softmax(x)
    assert len(arranged(x, expand={"softmax"}).vertices) < 20
    assert "softmax 1 … softmax 20" in mg.render.to_text(x, expand={"softmax"})


def test_the_steps_of_two_sequences_are_not_in_one_scope():
    x, weights = leaf(2, 3, 4), (leaf(4, 16), leaf(4, 16), leaf(16))
    h, _ = mg.lstm(x, leaf(2, 4), *weights)
    h, _ = mg.lstm(h, leaf(2, 4), *weights)
    picture = check(whole(h, "steps", expand={"lstm_step"}))
    scopes = Counter(vertex.scope for vertex in picture.vertices if vertex.label == "sigmoid")
    assert scopes == {(f"lstm {k}", f"step {t}"): 3 for k in (1, 2) for t in range(3)}


def test_steps_of_a_loop_around_a_sequence_are_not_mixed_with_its_own():
    x, weights = leaf(2, 3, 4), (leaf(4, 16), leaf(4, 16), leaf(16))
    for t in range(3):
        with mg.scope(f"step {t}"):
            x = mg.tanh(x)
    h, _ = mg.lstm(x, leaf(2, 4), *weights)
    picture = check(whole(h, "steps", expand={"lstm_step"}))
    assert {v.scope for v in picture.vertices if v.label == "sigmoid"} == {("lstm", f"step {t}") for t in range(3)}


def test_shapes_of_constants_are_known_if_they_were_recorded():
    remark = {vertex.remark for vertex in whole(captioner(), expand={"cross_entropy"}).vertices}
    assert remark == {"", "reference not shown: record the forward pass"}
    with mg.record():
        loss = captioner()
    picture = check(whole(loss, expand={"cross_entropy"}))
    assert "log_softmax" in labels(picture)
    assert "cross_entropy" not in labels(picture)


def test_expanding_under_no_grad_and_within_a_scope():
    x = leaf(2, 3)
    y = mg.softmax(x)
    with mg.no_grad(), mg.scope("elsewhere"):
        picture = check(whole(y, expand=["softmax"]))
    assert {vertex.scope for vertex in picture.vertices[1:]} == {("softmax",)}


def test_a_reference_that_is_a_constant_is_not_shown():
    @mg.primitive
    def nothing(x):
        return 0 * x, ()

    @nothing.reference
    def _(x):
        return mg.tensor(np.zeros_like(x.data))

    try:
        picture = check(whole(nothing(leaf(2)), expand={"nothing"}))
    finally:
        del PRIMITIVES[f"{nothing.__module__}.nothing"]
    assert picture.vertices[-1].remark == "reference not shown: it is a constant here"


# Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unroll": "all"}, "unroll must be 'steps', 'fold' or 'primitive', not 'all'"),
        ({"max_nodes": 0}, "max_nodes must be an int of at least 1, not 0"),
        ({"max_nodes": 1.5}, "not 1.5"),
        ({"direction": "UP"}, "direction must be 'TB', 'BT', 'LR' or 'RL', not 'UP'"),
        ({"values": "sizes"}, "values must be 'shape', 'norm' or 'none', not 'sizes'"),
        ({"expand": {"tanh"}}, "tanh has no reference; these have one: .*lstm_step"),
        ({"gradients": (1.0, 0.5)}, "0 < low <= high"),
        ({"gradients": True}, "run the forward and the backward pass within"),
    ],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        mg.render.to_dot(leaf(2) * 2, **options)


def test_what_has_no_graph():
    with pytest.raises(ValueError, match="this tensor has no graph"):
        mg.render.to_dot(mg.tensor(1.0))
    with pytest.raises(ValueError, match="no tensor to draw"):
        mg.render.to_text([])
    with pytest.raises(TypeError, match="expected a Tensor or several, not int"):
        mg.render.to_text([leaf(1), 3])
    with pytest.raises(TypeError, match="expected a Tensor or several, not ndarray"):
        mg.render.to_text(np.ones((2, 2)))
