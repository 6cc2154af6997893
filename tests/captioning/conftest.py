"""A small data set that can be learnt: a picture shows an animal and what it does, in two ways of saying it. And the
real ones where they are."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.vocabulary import Vocabulary

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "the", "dog", "cat", "bird", "runs", "sits", "here"]
ANIMALS, VERBS = ("dog", "cat", "bird"), ("runs", "sits")


def write_data_set(folder, words=WORDS, noise=0.05, images=24, seed=0):
    """24 images a split, two captions each; six columns of features say animal and verb."""
    vocabulary = Vocabulary(words)
    rng = np.random.default_rng(seed)
    vocabulary.to_json(folder / "coco2014_vocab.json")
    with h5py.File(folder / "coco2014_captions.h5", "w") as file:
        for split in ("train", "val"):
            facts = [(i % 3, i // 3 % 2) for i in range(images)]
            said = [
                text.split()
                for animal, verb in facts
                for text in (
                    f"a {ANIMALS[animal]} {VERBS[verb]}",
                    f"the {ANIMALS[animal]} {VERBS[verb]} here",
                )
            ]
            rows = np.array([vocabulary.encode_caption(words, 8) for words in said])
            file[f"{split}_captions"] = rows
            file[f"{split}_image_idxs"] = np.repeat(np.arange(images), 2)
            features = np.zeros((images, 6))
            for row, (animal, verb) in zip(features, facts, strict=True):
                row[animal] = row[3 + verb] = 1
            features += noise * rng.standard_normal(features.shape)
            for suffix, columns in (("_pca", 6), ("", 5)):
                path = folder / f"{split}2014_vgg16_fc7{suffix}.h5"
                with h5py.File(path, "w") as rows_file:
                    rows_file["features"] = features[:, :columns].astype(np.float32)
    return folder


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory):
    return write_data_set(tmp_path_factory.mktemp("small"))


@pytest.fixture
def other_folder(tmp_path):
    """The same pictures with one more word in the vocabulary."""
    folder = tmp_path / "other"
    folder.mkdir()
    return write_data_set(folder, [*WORDS, "zebra"])


@pytest.fixture
def small_data(small_folder):
    with open_captions(small_folder) as data:
        yield data


@pytest.fixture
def few_suffice(monkeypatch):
    """Let a calibration use the 24 images of the small data set."""
    monkeypatch.setattr("captioning.evaluation.calibration.FEW_IMAGES", 24)


@pytest.fixture
def real():
    if not os.environ.get("CAPTIONING_DATA"):
        pytest.skip("no real data: CAPTIONING_DATA is unset")
    with open_captions(Path(os.environ["CAPTIONING_DATA"]) / "flickr8k") as data:
        yield data
