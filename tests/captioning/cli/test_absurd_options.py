"""Any value of any option of `train` and `refine`: the command does it, or refuses it in a line and leaves nothing."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL

TRAINING = ["--batch-size", "--learning-rate", "--lr-decay", "--clip-norm", "--weight-decay", "--patience", "--keep",
            "--val-part", "--val-images", "--validate-every", "--seed", "--checkpoint-every", "--max-iterations",
            "--threads"]  # fmt: skip
TRAIN = [*TRAINING, "--cell", "--hidden", "--wordvec", "--dropout", "--feature-dropout", "--forget-bias", "--epochs",
         "--max-train"]  # fmt: skip
REFINE = [*TRAINING, "--rounds", "--round-epochs", "--drafts", "--temperature", "--neighbours", "--width",
          "--human-weight", "--best"]  # fmt: skip
VALUES = st.sampled_from(["", "0", "-1", "1", "2", "0.5", "1.5", "nan", "inf", "-inf", "1e300", "1e-300", "9" * 25,
                          "1000000000", "abc", "none", "never", "5m", "1e-40", "rnn", "loss"])  # fmt: skip


@pytest.fixture(autouse=True)
def _no_curve(monkeypatch):
    """Drawing takes longer than all the rest."""
    monkeypatch.setattr(Run, "draw_curve", lambda run: None)


def runs_or_refuses(arguments, options):
    with tempfile.TemporaryDirectory() as above:
        words = [word for option in options.items() for word in option]
        command = [*arguments, "--out", f"{above}/new/run", *words]
        with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
            try:
                status = main(command)
            except SystemExit as stop:
                status = stop.code
        said = err.getvalue()
        assert len(said.splitlines()) <= 1, said
        assert (status, bool(said)) in [(0, False), (0, "stopped after" in said), (2, True)], said
        if status == 2 and "the loss is" not in said:  # a training that went wrong may be looked at
            assert list(Path(above).iterdir()) == []
        if status == 0:
            Run.open(f"{above}/new/run")


@given(st.dictionaries(st.sampled_from(TRAIN), VALUES, min_size=1, max_size=2))
def test_train(small_folder, options):
    runs_or_refuses(["train", "--data", str(small_folder), *SMALL, "--max-iterations", "3"], options)


@given(st.dictionaries(st.sampled_from(REFINE), VALUES, min_size=1, max_size=2))
def test_refine(small_folder, trained, options):
    few = ["--rounds", "1", "--round-epochs", "1", "--drafts", "2", "--quiet", "--max-iterations", "2"]
    runs_or_refuses(["refine", str(trained), "--data", str(small_folder), *few], options)
