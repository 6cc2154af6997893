"""Wrong arguments are errors at once, which show the argument and what would fit."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from minigrad import nn
from minigrad.render import compare, draw, to_dot, to_graphviz, to_html, to_mermaid, to_networkx, to_text
from tests.render.graphs import leaf

X = leaf(2)
Y = X * X

GIVEN = [
    (nn.Linear(2, 2), r"not the module Linear. Draw the tensor that the module returns; summary\(module, \*inputs\)"),
    (nn.Sequential(nn.Tanh()), "not the module Sequential"),
    (None, "expected one or more tensors, not None"),
    (3, "expected one or more tensors, not int"),
    ("tensor", "expected one or more tensors, not str"),
    (np.ones(3), "expected one or more tensors, not ndarray"),
    ({"y": Y}, "expected one or more tensors, not dict"),
    ([Y, None], r"expected one or more tensors, not NoneType \(number 1 of the arguments\)"),
]
OPTIONS = [
    (
        {"names": {X: "x"}},
        TypeError,
        "names must map names to tensors, arrays or modules, such as {'x': x}, not a Tensor",
    ),
    (
        {"names": {"x": 1.5}},
        TypeError,
        "must map names to tensors, arrays or modules, such as {'x': x}, not 'x' to a float",
    ),
    ({"names": ["x"]}, TypeError, "names must map names to tensors, arrays or modules, such as {'x': x}, not list"),
    ({"names": {"x": leaf(2)}}, ValueError, "names: 'x' is not in the graph"),
    ({"expand": None}, TypeError, "expand must be names of primitives, .*, not None"),
    ({"expand": 3}, TypeError, "expand must be names of primitives, .*, not 3"),
    ({"expand": [["lstm"]]}, TypeError, r"expand must be names of primitives, .*, not \['lstm'\]"),
    ({"expand": {"tanh"}}, ValueError, "tanh has no reference"),
    ({"unroll": "no"}, ValueError, "unroll must be 'steps', 'fold' or 'primitive', not 'no'"),
]
LIMIT = [({"max_nodes": n}, ValueError, f"max_nodes must be an int of at least 1, not {n!r}") for n in (0, "many")]
TITLE = [({"title": 3}, TypeError, "title must be a str, not 3")]
DRAWN = [
    ({"gradients": ends}, ValueError, "gradients must be True, False or a pair")
    for ends in ((2, 1), (0, 1), "hot", 0, np.ones(2))
]
TIMEOUT = [
    ({"timeout": timeout}, ValueError, "draw: timeout must be a number of seconds above 0, not ")
    for timeout in ("x", -1, 0, None, True, float("nan"), float("inf"))
]
WRITERS = {
    "to_text": (lambda tensors, folder, **options: to_text(tensors, **options), OPTIONS),
    "to_dot": (lambda tensors, folder, **options: to_dot(tensors, **options), OPTIONS + LIMIT + TITLE + DRAWN),
    "to_graphviz": (lambda y, folder, **options: to_graphviz(y, **options), OPTIONS + LIMIT + TITLE + DRAWN),
    "compare": (
        lambda tensors, folder, **options: compare(Y, tensors, folder / "a.svg", **options),
        OPTIONS + LIMIT + TITLE + TIMEOUT,
    ),
    "compare without a path": (
        lambda tensors, folder, **options: compare(Y, tensors, **options),
        [
            *OPTIONS,
            *LIMIT,
            *TITLE,
            ({"direction": "up"}, ValueError, "direction must be"),
            *[({name: 1}, TypeError, name) for name in ("nonsense", "residuals", "depth")],
        ],
    ),
    "to_mermaid": (lambda tensors, folder, **options: to_mermaid(tensors, **options), OPTIONS + LIMIT),
    "to_networkx": (lambda tensors, folder, **options: to_networkx(tensors, **options), OPTIONS + LIMIT),
    "to_html": (lambda y, folder, **options: to_html(y, folder / "a.html", **options), OPTIONS + LIMIT + TITLE),
    "draw": (
        lambda tensors, folder, **options: draw(tensors, folder / "a.svg", **options),
        OPTIONS + LIMIT + TITLE + DRAWN + TIMEOUT,
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(("given", "message"), GIVEN)
def test_arguments_that_are_not_tensors(writer, given, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        WRITERS[writer][0](given, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("writer", "options", "error", "message"),
    [(writer, *case) for writer, (_, cases) in WRITERS.items() for case in cases],
)
def test_wrong_options(writer, options, error, message, tmp_path):
    with pytest.raises(error, match=message):
        WRITERS[writer][0](Y, tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("writer", ["draw", "to_html"])
@pytest.mark.parametrize(("folder", "error"), [("/sys", PermissionError), ("/none", FileNotFoundError)])
def test_a_wrong_folder_is_noticed_before_the_layout(writer, folder, error, monkeypatch):
    monkeypatch.setattr("minigrad.render.drawing.lay_out", lambda *_: pytest.fail("laid out"))
    monkeypatch.setattr("minigrad.render.page.filled_page", lambda *_: pytest.fail("laid out"))
    with pytest.raises(error) as caught:
        WRITERS[writer][0](Y, Path(folder))
    assert caught.value.filename.startswith(folder)


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """A page does not fit into a kilobyte; the old one stays."""
    path = tmp_path / "a.html"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            to_html(Y, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]
    assert path.read_text() == "old"
