"""Medians, ratios, verdicts, JSON, tables and the picture, from figures made up for the purpose."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import disagreement
from benchmarks.figures import best_rate, best_variant, comparison
from benchmarks.job import Aim
from benchmarks.picture import HEADLINES, draw, headline_ratios
from benchmarks.results import Measured, Results, Row
from benchmarks.tables import markdown

MEASURED = Path(__file__).parents[2] / "benchmarks" / "measured" / "amd_zen4.json"
STEADY = [1.0, 1.01, 0.99, 1.0, 1.0]


def row(ours=STEADY, theirs=STEADY, aim=1.0, reference=STEADY, **fields):
    rivals = [Measured("minigrad", "minigrad", list(ours)), Measured("eager", "PyTorch", list(theirs))]
    aims = [Aim("PyTorch", aim)]
    return Row("job", "a case", 2, rivals, aims, reference=list(reference), **fields)


def verdict(**fields):
    return comparison(row(**fields), "PyTorch").verdict


def test_ratios_are_taken_round_by_round():
    c = comparison(row(ours=[1.0, 4.0, 9.0], theirs=[2.0, 4.0, 3.0]), "PyTorch")
    assert (c.relation.low, c.relation.median, c.relation.high) == (0.75, 1.0, 2.0)  # of 0.5, 1 and 3
    assert (c.ours.median, c.theirs.median) == (4.0, 3.0)


def test_verdicts():
    assert verdict(aim=1.0) == "met"
    assert verdict(aim=0.9) == "missed"


@pytest.mark.parametrize("unsteady", ["ours", "theirs", "reference"])
def test_a_wide_middle_half_is_too_noisy_to_tell(unsteady):
    wide = [0.9, 0.94, 1.0, 1.06, 1.1]  # from 0.94 to 1.06: 12 %
    assert verdict(**{unsteady: wide}) == "too noisy to tell"
    assert len(comparison(row(**{unsteady: wide}), "PyTorch").noise) == 1
    outliers = [0.5, 0.96, 1.0, 1.03, 2.0]
    assert not comparison(row(**{unsteady: outliers}), "PyTorch").noise


def test_the_best_variant_is_of_those_that_ran_to_the_end():
    variants = [Measured("short", "p", [0.1]), Measured("slow", "p", [3.0, 3.0]), Measured("fast", "p", [2.0, 2.0])]
    assert best_variant(variants).name == "fast"
    variants[2].failed = "died"
    assert best_variant(variants).name == "slow"
    assert best_variant([Measured("none", "p")]) is None


def test_it_is_told_if_a_variant_was_left_out_that_was_faster():
    one = row()
    one.rivals.append(Measured("early", "PyTorch", [0.9, 0.95]))
    assert comparison(one, "PyTorch").noise == ("early, left out after 2 rounds, was faster in them",)


def test_the_bound_is_the_best_rate_with_as_many_threads():
    results = Results({}, 10.0, [row(reference=[2.0, 5.0]), row(reference=[4.0])])
    assert best_rate(results, 2) == 5.0
    assert best_rate(results, 1) is None


def test_json_brings_everything_back(tmp_path):
    results = Results({"processor": "abacus"}, 7.0, [row(flop=3.0, note="a note")])
    results.rows[0].rivals.append(Measured("gone", "PyTorch", missing="why", failed="how", units=3, calls=4))
    path = tmp_path / "results.json"
    results.save(path)
    assert Results.load(path) == results


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": 99}'])
def test_other_json_is_an_error(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="does not hold results"):
        Results.load(path)


def test_the_table_has_time_ratio_rate_and_share():
    results = Results({"processor": "abacus"}, 4e9, [row(ours=[2.0] * 5, aim=1.5, flop=4e9, note="a note")])
    results.rows[0].rivals += [
        Measured("fused", "PyTorch", [1.5]), Measured("compiled", "PyTorch", missing="no compiler"),
        Measured("packed", "PyTorch", failed="died"),
    ]  # fmt: skip
    text = markdown(results)
    line = next(line for line in text.splitlines() if line.startswith("| a case"))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "a case", "2", "2.00 s", "PyTorch: eager", "1.00 s", "**2.00** (2.00 to 2.00)", "1.5", "missed", "2", "50%",
        "fused 1.50",
    ]  # fmt: skip
    assert "bound: 4 GFLOP/s with 2 threads" in text
    for note in ("- a note", "compiled missing: no compiler", "packed FAILED: died"):
        assert note in text


def test_a_group_has_the_geometric_mean_of_its_ratios():
    rows = [row(ours=[ratio] * 5, group="forward") for ratio in (0.5, 4.5)]
    assert "- forward, geometric mean of 2 ratios to PyTorch: **1.50**" in markdown(Results({}, 1.0, rows))
    assert "geometric mean" not in markdown(Results({}, 1.0, [*rows[:1], row()]))


def test_the_table_says_what_more_cores_would_gain():
    one, two = row(ours=[4.0]), row(ours=[3.0])
    one.threads = 1
    text = markdown(Results({}, 1.0, [one, two]))
    assert "- a case: 2 threads take 0.75 times as long as one: a share of 0.50 is serial" in text
    assert "8 cores gain a factor of 1.8" in text


def test_the_table_says_what_was_noisy():
    text = markdown(Results({}, 1.0, [row(reference=[1.0, 2.0, 3.0])]))
    assert "too noisy to tell: the interquartile range of the reference product is 50%" in text


def test_agreement():
    a = {"x": np.array([1.0, -100.0]), "ids": np.arange(100)}
    near, far, other = ({**a, "x": a["x"] + shift} for shift in (9e-4, 2e-3, np.nan))
    assert disagreement(a, near) == ""
    assert disagreement(a, far).startswith("x differs by 2.0e-05")
    assert disagreement(a, other).startswith("x differs by inf")
    assert disagreement(a, {**a, "x": a["x"][:1]}) == "x has shape (2,) and (1,)"
    one = {**a, "ids": np.where(np.arange(100) == 7, 0, np.arange(100))}
    assert disagreement(a, one) == "ids differs in 1.00% of its rows"
    assert disagreement(a, one, share=0.01) == ""


def test_the_picture_of_the_kept_figures_is_drawn_alike_each_time(tmp_path):
    results = Results.load(MEASURED)
    assert all(set(compared) == {1, 2} for compared in headline_ratios(results).values())
    assert headline_ratios(results).keys() == HEADLINES.keys()
    for name in ("one.svg", "two.svg"):
        draw(results, tmp_path / name)
    assert (tmp_path / "one.svg").read_text() == (tmp_path / "two.svg").read_text()


@pytest.mark.parametrize("name", ["agreement", "driver", "figures", "job", "tables"])
def test_examples(name):
    """The folder is not among the paths whose examples pytest runs: parts of it need PyTorch."""
    failed, tried = doctest.testmod(importlib.import_module(f"benchmarks.{name}"))
    assert tried > 0
    assert failed == 0
