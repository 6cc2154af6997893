"""examples/gallery.py makes the pictures of the gallery, and examples/reach.py those of docs/reach.md."""

from __future__ import annotations

import re

import pytest

from tests.examples import EXAMPLES, FORGET, example


def test_the_gallery_is_made_without_a_layout_program(tmp_path, monkeypatch, capsys):
    gallery = example("gallery")
    monkeypatch.setattr("shutil.which", lambda *args, **options: None)
    names = [f"{function.__name__}.dot" for function in gallery.PICTURES]
    assert gallery.main(tmp_path) == [*names, "gallery.md"]
    assert "drawing needs a layout program" in capsys.readouterr().out
    for name in names:
        assert (tmp_path / "gallery" / name).read_text("utf-8").startswith("digraph")
    page = (tmp_path / "gallery.md").read_text("utf-8")
    titles, pictures = (re.findall(pattern, page, re.MULTILINE) for pattern in (r"^## (.*)", r"^!\[(.*?)\]\(gallery/"))
    assert titles == pictures
    assert re.findall(r"\(gallery/(\w+)\.svg\)", page) == [name.removesuffix(".dot") for name in names]


# --- docs/reach.md: what its captions state, for 10 seeds with --full -------------------------------------


@pytest.fixture
def reach(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    return example("reach")


@pytest.fixture
def seeds(full):
    return range(10 if full else 1)


def first_to_last(found, name, snapshot=-1):
    """The norm of the derivative of the last state by the first one."""
    T = len(found.inputs)
    return found.norms[name].reshape(-1, T, T)[snapshot, -1, 0]


def test_less_than_a_thousandth_arrives_in_networks_that_forget(reach, seeds):
    """tests/test_examples.py checks which networks stay at chance."""
    for seed in seeds:
        found = reach.reach_of(reach.snapshots(reach.ALL, seed, [0]), seed)
        assert {name for name in reach.ALL if first_to_last(found, name) < 1e-3} == FORGET


@pytest.mark.slow
def test_the_residual_network_learns(reach, seeds):
    assert all(reach.train(reach.Residual, seed) > 0.95 for seed in seeds)


def test_after_training_the_lstm_depends_most_on_its_first_state(reach, seeds):
    names = {name: reach.ALL[name] for name in ("LSTM, forget bias 3", *sorted(FORGET))}
    for seed in seeds:
        found = reach.reach_of(reach.snapshots(names, seed, [0, reach.STEPS]), seed)
        assert all(first_to_last(found, name) < 1e-3 for name in FORGET)
        last = found.norms["LSTM, forget bias 3"][-1, -1]
        assert last.argmax() == 0
        assert last[0] > 10 * last[15]


def test_a_saturated_network_remembers_although_its_gradient_vanishes(reach):
    name = "RNN, orthogonal start"
    found = reach.reach_of(reach.snapshots({name: reach.ALL[name]}, 0, [0, reach.STEPS]), 0)
    assert found.losses[name][-1] < 0.01
    assert first_to_last(found, name) < 1e-8


def test_clipping_keeps_a_gradient_that_large_steps_destroy(reach, seeds):
    for seed in seeds:
        found = reach.clipping(seed)
        before, without, clipped = (first_to_last(found, name) for name in found.norms)
        assert without < 1e-12 < 1e-3 < min(before, clipped)


def test_an_lstm_captioner_learns_to_keep_the_gradient(reach, seeds):
    for seed in seeds:
        found = reach.captioner(seed)
        assert first_to_last(found, "LSTM after 300 steps") > 10 * first_to_last(found, "LSTM after 0 steps")
        assert first_to_last(found, "RNN after 300 steps") < first_to_last(found, "RNN after 0 steps") / 2


@pytest.mark.slow
def test_reach_writes_the_pictures_of_its_page(reach, monkeypatch, tmp_path):
    """Also pages for all but the first picture. Here the networks of the bits train for one step only."""
    drawn = re.findall(r"\(reach/(\w+)\.svg\)\]", (EXAMPLES.parent / "docs" / "reach.md").read_text("utf-8"))
    monkeypatch.setattr(reach, "STEPS", 1)
    reach.main(tmp_path, every=1)
    for ending, names in ((".svg", drawn), (".html", drawn[1:])):
        assert {path.stem for path in tmp_path.glob(f"*{ending}")} == {*names}
