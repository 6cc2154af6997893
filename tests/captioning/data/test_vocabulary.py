"""Words, ids and the file that keeps them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.data.vocabulary import SPECIAL, Vocabulary, decode_captions

WORDS = [*SPECIAL, "a", "dog", "cat"]
IDS = {word: i for i, word in enumerate(WORDS)}


@pytest.fixture
def vocabulary():
    return Vocabulary(WORDS)


def test_decode_captions_as_the_notebook_does():
    one = [1, 4, 0, 3, 2, 5, 2]
    assert decode_captions(one, WORDS) == "<START> a <UNK> <END>"
    assert decode_captions(np.array([one, [5, 6, 0, 0, 0, 0, 0]]), WORDS) == ["<START> a <UNK> <END>", "dog cat"]
    assert decode_captions(np.zeros((2, 0), np.int64), WORDS) == ["", ""]
    assert decode_captions([], WORDS) == ""
    assert decode_captions([2, 0], {0: "x", 2: "y"}) == "y x"  # a vocabulary without special tokens


@pytest.mark.parametrize(
    ("captions", "error", "message"),
    [
        ([4, 7], DataError, r"id 7 at step 1 .* 7 words"),
        ([[4, 4], [4, -1]], DataError, r"id -1 at row 1, step 1"),
        ([0.0, 1.0], TypeError, "float64"),
        (3, ValueError, r"got \(\)"),
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
    with pytest.raises(TypeError, match="'a dog'"):
        vocabulary.encode("a dog")


@given(st.lists(st.sampled_from(WORDS[4:]), max_size=9), st.integers(3, 12))
def test_a_caption_row_gives_its_words_back(words, length):
    vocabulary = Vocabulary(WORDS)
    row = vocabulary.encode_caption(words, length)
    assert (row.shape, row.dtype) == ((length,), "int32")
    assert vocabulary.tokens(row) == words[: length - 2]
    assert vocabulary.decode(row) == " ".join(["<START>", *words[: length - 2], "<END>"])


def test_tokens_leave_special_tokens_out(vocabulary):
    row = [1, 4, 3, 5, 2, 6]
    assert vocabulary.tokens(row) == ["a", "dog"]
    assert vocabulary.tokens(row, keep_unknown=True) == ["a", "<UNK>", "dog"]
    with pytest.raises(ValueError, match=r"got \(1, 6\)"):
        vocabulary.tokens([row])
    with pytest.raises(ValueError, match="got 2"):
        vocabulary.encode_caption(["a"], 2)


def test_special_tokens_may_stand_anywhere():
    vocabulary = Vocabulary(["a", *reversed(SPECIAL)])
    assert (vocabulary.unk, vocabulary.end, vocabulary.start, vocabulary.null) == (1, 2, 3, 4)
    assert "a" in vocabulary
    assert "b" not in vocabulary
    with pytest.raises(TypeError, match="one str"):
        Vocabulary("abc")


def test_the_fingerprint_is_of_the_words_and_their_order(vocabulary):
    assert vocabulary.fingerprint() == "2744948d69fc9d4413264cbc691b3327158be21cca79a180ee3bd724b00db7d4"
    assert vocabulary == Vocabulary(iter(WORDS))
    others = ([*WORDS, "x"], [*SPECIAL, "dog", "a", "cat"], [*SPECIAL, "a dog", "cat"], [*SPECIAL, "a", "dog cat"])
    assert len({vocabulary.fingerprint(), *(Vocabulary(words).fingerprint() for words in others)}) == 5
    assert vocabulary not in map(Vocabulary, others)


@given(st.lists(st.text(min_size=1), unique=True))
def test_a_vocabulary_comes_back_from_its_file(tmp_path_factory, words):
    path = tmp_path_factory.mktemp("vocabulary") / "v.json"
    vocabulary = Vocabulary([*SPECIAL, *(word for word in words if word not in SPECIAL)])
    vocabulary.to_json(path)
    again = Vocabulary.from_json(path)
    assert (again, again.word_to_idx) == (vocabulary, vocabulary.word_to_idx)
    assert [entry.name for entry in path.parent.iterdir()] == ["v.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"idx_to_word": WORDS}, "word_to_idx"),
        ([1], "idx_to_word"),
        ({"idx_to_word": IDS, "word_to_idx": IDS}, "idx_to_word is a list"),
        ({"idx_to_word": WORDS, "word_to_idx": WORDS}, "word_to_idx is a dict"),
        ({"idx_to_word": [*WORDS, "a"], "word_to_idx": IDS}, "'a' at 4 and 7"),
        ({"idx_to_word": [*WORDS, 3], "word_to_idx": IDS}, "entry 7 is 3"),
        ({"idx_to_word": [*WORDS, ""], "word_to_idx": IDS}, "entry 7 is ''"),
        ({"idx_to_word": WORDS[2:], "word_to_idx": IDS}, "<NULL>, <START>"),
        ({"idx_to_word": WORDS, "word_to_idx": IDS | {"a": 5}}, "'a' is 5, .* 4"),
        ({"idx_to_word": [*WORDS, "x"], "word_to_idx": IDS}, "'x' is 'missing'"),
        ({"idx_to_word": WORDS, "word_to_idx": IDS | {"x": None}}, "'x' is None"),
        (b"{", "not JSON"), (b"\xff\xfe", "not UTF-8"), (b"[" * 100_000, "not JSON"), (None, "No such file"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "v.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.raises(DataError, match=rf"v\.json: .*{message}"):
        Vocabulary.from_json(path)
