"""A run folder with one damaged file is used, or refused in one line that names what is wrong."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from captioning.cli.entry import main
from tests.captioning.data.damaged import damage_file

FILES = ("settings.json", "vocabulary.json", "weights.safetensors", "checkpoint.safetensors", "history.jsonl")
SOME, ALL = 30, 400


@pytest.fixture
def no_curves(monkeypatch):
    monkeypatch.setattr("captioning.training.run_folder.Run.draw_curve", lambda run: run.history())


@pytest.mark.slow
def test_every_damaged_run_is_used_or_refused_in_one_line(full, trained, small_folder, tmp_path, no_curves, capsys):
    ends = {0: 0, 2: 0}
    for seed in range(ALL if full else SOME):
        rng = np.random.default_rng(seed)
        run = tmp_path / f"run{seed}"
        shutil.copytree(trained, run)
        name = FILES[seed % len(FILES)]
        other = FILES[int(rng.integers(len(FILES)))]
        what = f"seed {seed}, {name}: {damage_file(run / name, run / other, rng)}"
        for command in (
            ["evaluate", str(run), "--max-images", "2"],
            ["train", "--resume", "--quiet", "--out", str(run)],
        ):
            status = main([*command, "--data", str(small_folder)])
            error = capsys.readouterr().err
            assert status in ends, f"{what}: {error}"
            assert len(error.splitlines()) == (1 if status else 0), f"{what}: {error}"
            assert not status or str(run) in error or "not enough memory" in error, f"{what}: {error}"
            ends[status] += 1
        shutil.rmtree(run)
    assert min(ends.values()) > 0, ends
