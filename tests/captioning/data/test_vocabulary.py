"""Words, ids and the file that keeps them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.data.vocabulary import SPECIAL, Vocabulary, decode_captions

WORDS = [*SPECIAL, "a", "dog", "cat"]


@pytest.fixture
def vocabulary():
    return Vocabulary(WORDS)


def test_decode_captions_as_the_notebook_does():
    one = [1, 4, 0, 3, 2, 5, 2]
    assert decode_captions(one, WORDS) == "<START> a <UNK> <END>"
    assert decode_captions(np.array([one, [5, 6, 0, 0, 0, 0, 0]]), WORDS) == [
        "<START> a <UNK> <END>",
        "dog cat",
    ]
    assert decode_captions(np.zeros((2, 0), np.int64), WORDS) == ["", ""]
    assert decode_captions([], WORDS) == ""
    assert decode_captions([2, 0], {0: "x", 2: "y"}) == "y x"  # a vocabulary without special tokens


@pytest.mark.parametrize(
    ("captions", "error", "message"),
    [
        ([4, 7], DataError, r"id 7 at step 1 is outside the vocabulary of 7 words"),
        ([[4, 4], [4, -1]], DataError, r"id -1 at row 1, step 1 is outside"),
        ([0.0, 1.0], TypeError, "integers, word ids; got dtype float64"),
        (3, ValueError, r"shape \(T,\) or \(N,T\); got \(\)"),
        (np.zeros((1, 1, 1), int), ValueError, r"got \(1, 1, 1\)"),
    ],
)
def test_decode_captions_names_what_is_wrong(captions, error, message):
    with pytest.raises(error, match=message):
        decode_captions(captions, WORDS)


def test_encode(vocabulary):
    ids = vocabulary.encode(["dog", "bird", "a"])
    np.testing.assert_array_equal(ids, np.array([5, 3, 4], np.int32), strict=True)
    assert vocabulary.encode([]).shape == (0,)
    with pytest.raises(KeyError, match="'bird' at step 1"):
        vocabulary.encode(["dog", "bird"], strict=True)
    with pytest.raises(TypeError, match="got the str 'a dog'"):
        vocabulary.encode("a dog")


@given(st.lists(st.sampled_from(WORDS[4:]), max_size=9), st.integers(3, 12))
def test_a_caption_row_gives_its_words_back(words, length):
    vocabulary = Vocabulary(WORDS)
    row = vocabulary.encode_caption(words, length)
    assert (row.shape, row.dtype) == ((length,), "int32")
    assert vocabulary.tokens(row) == words[: length - 2]
    assert vocabulary.decode(row) == " ".join(["<START>", *words[: length - 2], "<END>"])


def test_a_caption_row_needs_room(vocabulary):
    with pytest.raises(ValueError, match="for <START>, a word and <END>; got 2"):
        vocabulary.encode_caption(["a"], 2)


def test_tokens_leave_special_tokens_out(vocabulary):
    row = [1, 4, 3, 5, 2, 6]
    assert vocabulary.tokens(row) == ["a", "dog"]
    assert vocabulary.tokens(row, keep_unknown=True) == ["a", "<UNK>", "dog"]
    with pytest.raises(ValueError, match=r"one caption of shape \(T,\); got \(1, 6\)"):
        vocabulary.tokens([row])
    with pytest.raises(DataError, match="id 9 at step 0"):
        vocabulary.tokens([9])


def test_special_tokens_may_stand_anywhere():
    vocabulary = Vocabulary(["a", *reversed(SPECIAL)])
    assert (vocabulary.unk, vocabulary.end, vocabulary.start, vocabulary.null) == (1, 2, 3, 4)
    assert "a" in vocabulary
    assert "b" not in vocabulary


def test_the_fingerprint_is_of_the_words_and_their_order(vocabulary):
    assert vocabulary.fingerprint() == "2744948d69fc9d4413264cbc691b3327158be21cca79a180ee3bd724b00db7d4"
    assert vocabulary.fingerprint() == Vocabulary(iter(WORDS)).fingerprint()
    assert vocabulary == Vocabulary(WORDS)
    others = [
        [*WORDS, "x"],
        [*SPECIAL, "dog", "a", "cat"],
        [*SPECIAL, "a dog", "cat"],
        [*SPECIAL, "a", "dog cat"],
    ]
    assert len({vocabulary.fingerprint(), *(Vocabulary(words).fingerprint() for words in others)}) == 5


@given(st.lists(st.text(min_size=1), unique=True))
def test_a_vocabulary_comes_back_from_its_file(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("vocabulary") / "v.json"
    vocabulary = Vocabulary([*SPECIAL, *(word for word in words if word not in SPECIAL)])
    vocabulary.to_json(path)
    again = Vocabulary.from_json(path)
    assert (again, again.word_to_idx) == (vocabulary, vocabulary.word_to_idx)
    assert [entry.name for entry in path.parent.iterdir()] == ["v.json"]


IDS = {word: i for i, word in enumerate(WORDS)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"idx_to_word": WORDS}, r"key word_to_idx is missing; the file has \['idx_to_word'\]"),
        ({}, "key idx_to_word is missing; the file has no keys"),
        ([1], "must hold an object with idx_to_word and word_to_idx; got a list"),
        ({"idx_to_word": IDS, "word_to_idx": IDS}, "idx_to_word must be a list; got a dict"),
        ({"idx_to_word": WORDS, "word_to_idx": WORDS}, "word_to_idx must be a dict; got a list"),
        ({"idx_to_word": [*WORDS, "a"], "word_to_idx": IDS}, "idx_to_word: 'a' stands twice, at 4 and 7"),
        (
            {"idx_to_word": [*WORDS, 3], "word_to_idx": IDS},
            "idx_to_word: entry 7 is 3; every entry must be a",
        ),
        ({"idx_to_word": [*WORDS, ""], "word_to_idx": IDS}, "idx_to_word: entry 7 is ''"),
        ({"idx_to_word": WORDS[2:], "word_to_idx": IDS}, "special tokens <NULL>, <START> are missing"),
        (
            {"idx_to_word": WORDS, "word_to_idx": IDS | {"a": 5}},
            "word_to_idx: 'a' is 5, but idx_to_word has it at 4",
        ),
        ({"idx_to_word": [*WORDS, "x"], "word_to_idx": IDS}, "word_to_idx: 'x' is missing"),
        ({"idx_to_word": WORDS, "word_to_idx": IDS | {"x": 7}}, "word_to_idx: 'x' is not in idx_to_word"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "v.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"v\.json: .*{message}"):
        Vocabulary.from_json(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    path = tmp_path / "v.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"v\.json: the vocabulary is not JSON"):
        Vocabulary.from_json(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"v\.json: cannot read the vocabulary: No such file"):
        Vocabulary.from_json(tmp_path / "v.json")


def test_words_must_be_a_list():
    with pytest.raises(TypeError, match="one str"):
        Vocabulary("abc")
