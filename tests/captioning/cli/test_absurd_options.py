"""Any value of any option of `train` and `refine` works, or is refused in one line that leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, status_of

TRAINING = ["--batch-size", "--learning-rate", "--lr-decay", "--clip-norm", "--weight-decay", "--patience", "--keep",
            "--val-part", "--val-images", "--validate-every", "--seed", "--checkpoint-every", "--max-iterations",
            "--threads"]  # fmt: skip
OPTIONS = {
    "train": ["--cell", "--hidden", "--wordvec", "--dropout", "--feature-dropout", "--forget-bias", "--epochs",
              "--max-train"],
    "refine": ["--rounds", "--round-epochs", "--drafts", "--temperature", "--neighbours", "--width", "--human-weight",
               "--best"],
}  # fmt: skip
FEW = {
    "train": [*SMALL, "--max-iterations", "3"],
    "refine": ["--rounds", "1", "--round-epochs", "1", "--drafts", "2", "--quiet", "--max-iterations", "2"],
}
VALUES = st.sampled_from(["", "0", "-1", "1", "2", "0.5", "1.5", "nan", "inf", "-inf", "1e300", "1e-300", "9" * 25,
                          "1000000000", "abc", "none", "never", "5m", "1e-40", "rnn", "loss"])  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=settings.default.max_examples // 2)
@given(data=st.data())
def test_any_value_of_any_option(small_folder, trained, name, data):
    options = st.sampled_from([*TRAINING, *OPTIONS[name]])
    words = [
        word for pair in data.draw(st.dictionaries(options, VALUES, min_size=1, max_size=2)).items() for word in pair
    ]
    start = [] if name == "train" else [trained]
    with tempfile.TemporaryDirectory() as above:
        with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()):
            status = status_of(name, *start, "--data", small_folder, *FEW[name], "--out", f"{above}/new/run", *words)
        said = err.getvalue()
        assert len(said.splitlines()) <= 1, said
        assert (status, bool(said)) in [(0, False), (0, "stopped after" in said), (2, True)], said
        if status == 2 and "the loss is" not in said:  # a training that diverged may be looked at
            assert list(Path(above).iterdir()) == []
        if status == 0:
            Run.open(f"{above}/new/run")
