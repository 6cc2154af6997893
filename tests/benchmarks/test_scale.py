"""Training steps on ranks, on a tiny captioner."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest

from benchmarks import scale
from tests.parallel.ranks import needs_mpi


@needs_mpi
def test_steps_on_ranks_learn_the_same_as_pytorch(tmp_path, capsys):
    torch = importlib.util.find_spec("torch") is not None
    frameworks = ["minigrad", "PyTorch DDP"] if torch else ["minigrad"]
    path = tmp_path / "steps.json"
    scale.main(["--quick", "--rounds", "1", "--ranks", "1", "2", "--frameworks", *frameworks, "--json", str(path)])
    assert capsys.readouterr().out.count("| minigrad |") == 2
    losses = [row["rounds"][0]["losses"] for row in json.loads(path.read_text())["rows"]]
    assert len(losses) == 2 * len(frameworks)
    np.testing.assert_allclose(losses, losses[:1] * len(losses), rtol=1e-3)
    assert losses[0][4] < losses[0][0]  # of the same batch


def test_other_losses_are_an_error(monkeypatch):
    losses = iter([[1.0], [1.1]])
    monkeypatch.setattr(scale, "run", lambda *_: {"losses": next(losses), "seconds": [1.0]})
    with pytest.raises(SystemExit, match="minigrad on 2 ranks has different losses"):
        scale.main(["--ranks", "1", "2", "--frameworks", "minigrad"])
