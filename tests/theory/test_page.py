"""docs/theory.md and its pictures are what the code makes of the claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from theory import CLAIMS
from theory.page import MEASURED, figure_name, markdown, save_figure
from theory.parity.statements import TRAINING, WEIGHTS

DOCS = Path(__file__).parent.parent.parent / "docs"
SECONDS = re.compile(re.escape(MEASURED[0]) + ".*?" + re.escape(MEASURED[1]), re.DOTALL)


def without_measurements(text):
    return SECONDS.sub("", text)


def test_the_page_is_what_the_code_says():
    """If this fails after a change of a claim: theory document."""
    written = (DOCS / "theory.md").read_text(encoding="utf-8")
    assert without_measurements(written) == without_measurements(markdown(measured=False))


def test_every_claim_that_measures_has_its_figures_on_the_page():
    written = (DOCS / "theory.md").read_text(encoding="utf-8")
    blocks = SECONDS.findall(written)
    assert len(blocks) == sum(claim.measure is not None for claim in CLAIMS.values())
    assert all(len(block) > 200 for block in blocks)


def test_what_is_said_of_training_whatever_comes_out_is_what_the_code_says():
    """If this fails after a change of the training: theory document."""
    written = (DOCS / "theory.md").read_text(encoding="utf-8")
    assert TRAINING in written
    assert WEIGHTS in written


@pytest.mark.parametrize("number", [number for number, claim in CLAIMS.items() if claim.draw is not None])
def test_every_picture_is_there_and_named_on_the_page(number):
    name = figure_name(CLAIMS[number])
    assert f"](theory/{name})" in (DOCS / "theory.md").read_text(encoding="utf-8")
    assert (DOCS / "theory" / name).read_text(encoding="utf-8").startswith("<?xml")


def test_the_same_picture_gives_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS["1-1"], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
