"""A run folder with one damaged file is used, or refused in one line that names the file."""

from __future__ import annotations

import shutil
import struct

import numpy as np
import pytest

from tests.captioning.cli.commands import status_of
from tests.captioning.data.damaged import damage_file

FILES = {
    "train": ("settings.json", "vocabulary.json", "weights.safetensors", "checkpoint.safetensors", "history.jsonl"),
    "refine": ("targets.safetensors", "settings.json", "targets.safetensors", "history.jsonl"),
}
SOME, ALL = 12, 400


@pytest.fixture(scope="module")
def refined(trained, small_folder, tmp_path_factory):
    """A refinement that was stopped in the middle of a round."""
    folder = tmp_path_factory.mktemp("refined") / "run"
    few = ["--rounds", "1", "--round-epochs", "2", "--drafts", "3", "--neighbours", "4", "--batch-size", "24"]
    words = ["refine", trained, "--out", folder, "--data", small_folder, "--quiet", *few, "--max-iterations", "3"]
    assert status_of(*words) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", FILES)
def test_every_damaged_run_is_used_or_refused_in_one_line(
    full, trained, refined, small_folder, tmp_path, capsys, command
):
    """Damage one of the files after the other, evaluate and resume."""
    ends, files, source = {0: 0, 2: 0}, FILES[command], trained if command == "train" else refined
    capsys.readouterr()
    for seed in range(ALL if full else SOME):
        rng, run = np.random.default_rng(seed), tmp_path / f"run{seed}"
        shutil.copytree(source, run)
        name, other = files[seed % len(files)], files[int(rng.integers(len(files)))]
        what = f"seed {seed}, {name}: {damage_file(run / name, run / other, rng)}"
        for line in (["evaluate", run, "--max-images", "2", "--quiet"], [command, "--resume", "--quiet", "--out", run]):
            status = status_of(*line, "--data", small_folder)
            error = capsys.readouterr().err
            assert status in ends, f"{what}: {error}"
            assert len(error.splitlines()) <= 1, f"{what}: {error}"
            # a flipped bit may also lose or change what the settings say of threads or data, which is reported
            assert str(run) in error or not (status or error), f"{what}: {error}"
            ends[status] += 1
        shutil.rmtree(run)
    assert min(ends.values()) > 0, ends


@pytest.mark.parametrize("name", ["weights", "checkpoint", "targets"])
def test_a_flipped_bit_of_an_array_is_refused(refined, small_folder, tmp_path, capsys, name):
    """Flip a high bit of an entry, which stays a number."""
    path = tmp_path / "run" / f"{name}.safetensors"
    shutil.copytree(refined, path.parent)
    whole = path.read_bytes()
    data = 8 + struct.unpack("<Q", whole[:8])[0]
    command = ["evaluate", "--quiet"] if name == "weights" else ["refine", "--resume", "--quiet", "--out"]
    for entry in np.random.default_rng(0).integers((len(whole) - data) // 4, size=3):
        damaged = bytearray(whole)
        damaged[data + 4 * entry + 3] ^= 0x40
        path.write_bytes(damaged)
        capsys.readouterr()
        assert status_of(*command, path.parent, "--data", small_folder) == 2
        assert f"{path}: the file is damaged" in capsys.readouterr().err
