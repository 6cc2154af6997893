"""Captions to score: drawn ones, and real ones where they are."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import strategies as st

from captioning.data.captions import read_raw_captions
from captioning.data.tokens import tokenise

WORDS = st.lists(st.sampled_from("abcdef"), max_size=9)
CORPORA = st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=4), WORDS), min_size=1, max_size=6)
"""A few images with one to four references and a hypothesis each; captions of a few words, which repeat."""


def columns(corpus):
    """References and hypotheses of a corpus of pairs, as two lists."""
    return [item for item, _ in corpus], [hypothesis for _, hypothesis in corpus]


def as_ids(captions):
    return [[ord(word) for word in words] for words in captions]


def human_captions(data_set):
    """The first human caption of each image as what was said, against the others: of Flickr8k, or of part of COCO."""
    if not os.environ.get("CAPTIONING_DATA"):
        pytest.skip("no real data: CAPTIONING_DATA is unset")
    folder, found = Path(os.environ["CAPTIONING_DATA"]) / data_set, {}
    if data_set == "flickr8k":
        found = read_raw_captions(folder / "captions.csv", "val")
    else:
        for entry in json.loads((folder / "captions_val2017.json").read_text())["annotations"]:
            found.setdefault(entry["image_id"], []).append(tokenise(entry["caption"]))
    captions = list(found.values())[:1000]
    return [item[1:] for item in captions], [item[0] for item in captions]
