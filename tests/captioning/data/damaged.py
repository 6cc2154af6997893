"""Opens and checks data sets with one damaged file.

`python -m tests.captioning.data.damaged 0 60` tries the seeds 0 to 59: it prints a JSON line for each before it is
tried, and one with how it ended. HDF5's library is C: where a file crashes it, or keeps it from returning, the process
is gone, and the lines say at which seed.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import h5py
import numpy as np

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.vocabulary import Vocabulary
from tests.captioning.data.small import M_TRAIN, M_VAL, WORDS, add_raw_captions, make_captions, make_features

PATIENCE = 20  # seconds for one data set; SIGALRM then ends the process, also within C
MEMORY = 4 * 2**30  # bytes of address space
STORAGES = [{}, {"chunks": True, "compression": "gzip"}, {"chunks": True, "fletcher32": True}]


def write_data_set(folder, rng):
    """Write a whole small data set; how its HDF5 files are laid out is drawn."""
    libver, storage = str(rng.choice(["earliest", "latest"])), STORAGES[rng.integers(3)]
    arrays = {"coco2014_captions.h5": make_captions()}
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        arrays[f"{split}2014_vgg16_fc7_pca.h5"] = {"features": make_features(rows)}
        (folder / f"{split}2014_urls.txt").write_text("".join(f"http://example.org/{i}.jpg\n" for i in range(rows)))
    for name, contents in arrays.items():
        with h5py.File(folder / name, "w", libver=libver) as file:
            for key, value in contents.items():
                file.create_dataset(key, data=value, **storage).attrs["extractor"] = "efficientnet-lite0"
    Vocabulary(WORDS).to_json(folder / "coco2014_vocab.json")
    add_raw_captions(folder)


def damage_file(path, other, rng):
    """Flip bits of a file, overwrite or drop bytes, cut its end off, or put another in its place; return which."""
    kind = rng.choice(["flip", "overwrite", "cut", "drop", "replace"], p=[0.43, 0.28, 0.13, 0.13, 0.03])
    content = bytearray(path.read_bytes())
    start, length = int(rng.integers(len(content))), int(rng.choice([1, 4, 8, 64, 512]))
    end = min(start + length, len(content))
    if kind == "flip":
        for place in rng.integers(len(content), size=rng.choice([1, 1, 1, 2, 8])):
            content[place] ^= 1 << int(rng.integers(8))
    elif kind == "overwrite":
        content[start:end] = (bytes(end - start), b"\xff" * (end - start), rng.bytes(end - start))[rng.integers(3)]
    else:
        del content[start : None if kind == "cut" else end]
    path.write_bytes(other.read_bytes() if kind == "replace" else content)
    return str(kind)


def outcome(folder):
    """Return 'fine', the message of a DataError, or the traceback of any other exception."""
    try:
        with open_captions(folder) as data:
            data.check()
            data.val.references_by_image()
            data.train.batch([0, len(data.train) - 1])
    except DataError as error:
        return f"DataError: {error}"
    except Exception:
        return traceback.format_exc()
    return "fine"


def main(first, stop):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for seed in range(first, stop):
        rng = np.random.default_rng(seed)
        with tempfile.TemporaryDirectory() as name:
            write_data_set(Path(name), rng)
            path, other = rng.choice(sorted(Path(name).iterdir()), 2, replace=False)
            print(json.dumps({"seed": seed, "what": f"{path.name}: {damage_file(path, other, rng)}"}), flush=True)
            signal.alarm(PATIENCE)
            ended = outcome(Path(name))
            signal.alarm(0)
            print(json.dumps({"seed": seed, "ended": ended.replace(name, "FOLDER")}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
