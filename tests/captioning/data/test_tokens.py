"""From raw captions to words."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.tokens import tokenise
from captioning.data.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A black dog is running .", ["a", "black", "dog", "is", "running"]),
        ("Merry-go-round , a #1 T-shirt!", ["merry", "go", "round", "a", "1", "t", "shirt"]),
        ("do n't ; the man 's five o'clock", ["do", "n't", "the", "man", "'s", "five", "o'clock"]),
        ("Un café\tà\u00a0deux_mots\n", ["un", "café", "à", "deux", "mots"]),
        ("", []),
        (" . , ! ", []),
    ],
)
def test_tokenise(caption, words):
    assert tokenise(caption) == words


@given(st.text())
def test_tokens_of_joined_tokens_are_the_same(caption):
    words = tokenise(caption)
    assert tokenise(" ".join(words)) == words


def test_the_vocabulary_of_coco_tokenises_its_captions(real):
    folder = real.folder.parent / "coco"
    vocabulary = Vocabulary.from_json(folder / "coco2014_vocab.json")
    assert len(vocabulary) == 1004
    captions = json.loads((folder / "captions_val2017.json").read_text())["annotations"]
    words = [word for caption in captions[:5000] for word in tokenise(caption["caption"])]
    known = np.mean(vocabulary.encode(words) != vocabulary.unk)
    assert known > 0.9
