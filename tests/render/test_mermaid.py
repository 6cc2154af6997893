"""Mermaid flowcharts: they follow the grammar, escape names, and show the same vertices as the picture."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.render import to_mermaid
from minigrad.render.labels import shape_of
from tests.render.graphs import captioner, deep, graphs, halves, leaf, mlp
from tests.render.pictures import arranged

TEXT = r'"([^"`\n]+)"'
STATEMENTS = {
    "frame": rf"subgraph (\w+)\[{TEXT}\]",
    "end": r"end",
    "box": rf"(\w+)\[{TEXT}\]",
    "arrow": rf"(\w+) (-->|-\.->)(?:\|{TEXT}\|)? (\w+)(?:\[{TEXT}\])?",
}
MEAN = [
    '"', "`", "#", "#quot;", ";", "&lt;", "<br>", "<b>", "]", "|", "%%", "%%{init}%%", "end", "style: #1;", "\\n", "{",
    "é", "☃", "😀", "\x00", "\ud800", " ",
]  # fmt: skip
words = st.lists(st.one_of(st.sampled_from(MEAN), st.text(max_size=3)), min_size=1, max_size=4).map("".join)


def shape(*lengths):
    return shape_of((lengths, np.dtype(np.float32)))


def shown(text):
    """A text as Mermaid shows it: `#9731;` is the character with this number."""
    return None if text is None else html.unescape(re.sub(r"#(\d+);", r"&#\1;", text))


def parsed(flowchart):
    """The boxes and frames by id, the arrows, and those from the previous step.

    Fails if a statement is none of the grammar's.
    """
    first, *lines = flowchart.split("\n")
    assert first == "flowchart TD"
    boxes, frames, arrows, back, depth = {}, {}, [], [], 0
    for line in lines:
        [(kind, found)] = [(k, m) for k, rule in STATEMENTS.items() if (m := re.fullmatch(rf" *{rule}", line))]
        name, *texts = found.groups() or ("",)
        if kind in ("frame", "box"):
            known = frames if kind == "frame" else boxes
            assert name not in boxes | frames
            known[name] = shown(texts[0])
        elif kind == "arrow":
            kind_of_line, said, target, output = texts
            assert name in boxes
            if output is not None:
                boxes[target] = shown(output)
            (back if kind_of_line == "-.->" else arrows).append((name, target, shown(said)))
        depth += {"frame": 1, "end": -1}.get(kind, 0)
        assert depth >= 0
    assert depth == 0
    assert all(target in boxes for _, target, _ in arrows + back)
    return boxes, frames, arrows, back


@settings(max_examples=25)
@given(graphs(), st.sampled_from(["steps", "fold", "primitive"]))
def test_every_graph_follows_the_grammar(outputs, unroll):
    boxes, _, arrows, back = parsed(to_mermaid(outputs, unroll=unroll))
    picture = arranged(outputs, unroll=unroll, max_nodes=200)
    assert len(boxes) == len(picture.vertices) + len(picture.outputs)
    assert len(arrows) == sum(len(vertex.inputs) for vertex in picture.vertices) + len(picture.outputs)
    assert len(back) == sum(len(vertex.feedback) for vertex in picture.vertices)


@settings(max_examples=25)
@given(words, words, words)
def test_names_are_escaped(scope, constant, output):
    x = leaf(2)
    with mg.scope(scope):
        y = mg.tanh(x)
    boxes, frames, _, _ = parsed(to_mermaid(y, names={constant: x, output + "y": y}))
    if all(c.isprintable() for c in scope + constant + output):
        assert list(frames.values()) == [scope or " "]
        leaf_text, _, result = boxes.values()
        assert f"{constant}<br>" in leaf_text
        assert result.startswith(f"{output}y<br>")


def test_boxes_name_parameters_options_and_arguments():
    boxes, frames, arrows, _ = parsed(to_mermaid(mlp()))
    assert list(frames.values()) == ["Sequential", "0 · Linear 3→4", "1 · Tanh", "2 · Linear 4→2"]
    assert any({f"weight {shape(3, 4)}", f"bias {shape(4)}"} <= set(text.split("<br>")) for text in boxes.values())
    x = leaf(2, 2)
    boxes, _, arrows, _ = parsed(to_mermaid(mg.softmax(x, axis=0) - mg.exp(x), names={"x": x}))
    assert "softmax<br>axis=0" in boxes.values()
    assert {text.split("<br>")[0] for _, _, text in arrows if text} >= {"a", "b"}
    first, second = halves(leaf(4))
    _, _, arrows, _ = parsed(to_mermaid(first * second))
    assert len({text for source, _, text in arrows if source == "n1"}) == 2  # which output of `halves` each one carries


def test_a_parameter_that_is_an_output_has_a_box():
    layer = mg.nn.Linear(2, 2, rng=0)
    boxes, _, arrows, _ = parsed(to_mermaid([layer(leaf(1, 2)), layer.weight]))
    weight = next(source for source, target, _ in arrows if boxes[target].startswith("output 1"))
    assert boxes[weight].startswith("weight")


def test_a_folded_loop_has_feedback_and_the_range_of_its_indices():
    x, h, W = leaf(2, 6, 3), leaf(2, 3), leaf(3, 3)
    for t in range(6):
        h = mg.tanh(x[:, t] + h @ W)
    boxes, frames, _, back = parsed(to_mermaid(h))
    assert [name.split()[-1] for name in frames.values()] == ["6"]
    labels = {number: text.split("<br>")[0] for number, text in boxes.items()}
    assert [(labels[source], labels[target]) for source, target, _ in back] == [("tanh", "matmul")]
    assert [text for text in boxes.values() if "[:, 0 … 5]" in text]


@pytest.mark.parametrize("make", [lambda: captioner(steps=16), lambda: captioner(steps=200), lambda: deep(20)])
def test_the_size_depends_on_the_model_only(make):
    boxes, _, _, _ = parsed(to_mermaid(make()))
    assert len(boxes) < 80
    assert not any("\n" in text for text in boxes.values())


def test_too_many_arrows_are_an_error():
    states = [leaf(2)]
    for _ in range(40):
        states.append((mg.tanh, mg.sin)[len(states) % 3 % 2](mg.concatenate(states)[:2]))
    with pytest.raises(ValueError, match=r"at most 500\. Pass a smaller max_nodes or depth"):
        to_mermaid(states[-1])
