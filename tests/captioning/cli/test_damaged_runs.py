"""A run folder with one damaged file is used, or refused in one line that names what is wrong."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest

from captioning.cli.entry import main
from tests.captioning.data.damaged import damage_file

FILES = ("settings.json", "vocabulary.json", "weights.safetensors", "checkpoint.safetensors", "history.jsonl")
SOME, ALL = 16, 400


@pytest.fixture(scope="module")
def refined(trained, small_folder, tmp_path_factory):
    """One that was stopped in the middle of a round."""
    folder = tmp_path_factory.mktemp("refined") / "run"
    command = ["refine", str(trained), "--out", str(folder), "--data", str(small_folder), "--quiet"]
    few = ["--rounds", "1", "--round-epochs", "2", "--drafts", "3", "--neighbours", "4", "--batch-size", "24"]
    assert main([*command, *few, "--max-iterations", "3"]) == 0
    return folder


@pytest.fixture
def no_curves(monkeypatch):
    monkeypatch.setattr("captioning.training.run_folder.Run.draw_curve", lambda run: run.history())


@pytest.mark.slow
def test_every_damaged_run_is_used_or_refused_in_one_line(full, trained, small_folder, tmp_path, no_curves, capsys):
    try_all(trained, FILES, ["train", "--resume", "--quiet"], small_folder, tmp_path, capsys, ALL if full else SOME)


@pytest.mark.slow
def test_every_damaged_refinement_is_used_or_refused_in_one_line(
    full, refined, small_folder, tmp_path, no_curves, capsys
):
    files = ("targets.safetensors", "settings.json", "targets.safetensors", "history.jsonl")
    capsys.readouterr()
    try_all(refined, files, ["refine", "--resume", "--quiet"], small_folder, tmp_path, capsys, ALL if full else SOME)


@pytest.mark.parametrize("name", ["weights", "checkpoint", "targets"])
def test_a_flipped_bit_of_an_array_is_refused(refined, small_folder, tmp_path, capsys, name):
    """Flip a high bit of an entry, which stays a number."""
    path = tmp_path / "run" / f"{name}.safetensors"
    shutil.copytree(refined, path.parent)
    whole = path.read_bytes()
    data = 8 + struct.unpack("<Q", whole[:8])[0]
    commands = [["refine", "--resume", "--quiet", "--out"], ["evaluate", "--max-images", "2", "--quiet"]]
    for entry in np.random.default_rng(0).integers((len(whole) - data) // 4, size=5):
        damaged = bytearray(whole)
        damaged[data + 4 * entry + 3] ^= 0x40
        path.write_bytes(damaged)
        for command in commands if name == "weights" else commands[:1]:
            assert main([*command, str(path.parent), "--data", str(small_folder)]) == 2
            error = capsys.readouterr().err
            assert len(error.splitlines()) == 1
            assert f"{path}: the file is damaged" in error


def try_all(run_folder, files, resume, data, tmp_path, capsys, seeds):
    """Damage one of the files after the other, evaluate and resume."""
    ends = {0: 0, 2: 0}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        run = tmp_path / f"run{seed}"
        shutil.copytree(run_folder, run)
        name = files[seed % len(files)]
        other = files[int(rng.integers(len(files)))]
        what = f"seed {seed}, {name}: {damage_file(run / name, run / other, rng)}"
        for command in (
            ["evaluate", str(run), "--max-images", "2", "--quiet"],
            [*resume, "--out", str(run)],
        ):
            status = main([*command, "--data", str(data)])
            error = capsys.readouterr().err
            assert status in ends, f"{what}: {error}"
            assert len(error.splitlines()) <= 1, f"{what}: {error}"
            if status:
                assert str(run) in error, f"{what}: {error}"
            else:  # a flipped bit may take the fingerprint's name from it, which is said
                assert "from now on it has one" in error or not error, f"{what}: {error}"
            ends[status] += 1
        shutil.rmtree(run)
    assert min(ends.values()) > 0, ends
