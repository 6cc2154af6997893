"""What all decoders share: batches, threads, the scores of the next word, and the length of captions."""

import shutil

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.decoding.batches import LONGEST, WordScorer, batch_slices, length_for
from captioning.decoding.beam_search import beam
from captioning.decoding.captions import n_best
from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import NULL, START, UNK, VOCABULARY


def best_words(model, features, max_length=LONGEST):
    return np.array([[each.text for each in found] for found in n_best(model, features, 3, 3, max_length)])


def likely_sample(model, features, max_length=LONGEST):
    return sample(model, features, max_length, top_k=1, rng=0)


@pytest.mark.parametrize("decode", [greedy, likely_sample, beam, best_words])
def test_batches_and_threads_do_not_change_captions(decode, monkeypatch):
    model = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=0)
    features = np.random.default_rng(0).standard_normal((7, 3))
    whole = decode(model, features, max_length=5)
    monkeypatch.setattr("captioning.decoding.batches._BATCH", 3)
    for threads in (1, 2, 9):  # the last are more than there are images
        for module in ("stepwise", "beam_search", "captions"):
            monkeypatch.setattr(f"captioning.decoding.{module}.get_num_threads", lambda threads=threads: threads)
        np.testing.assert_array_equal(decode(model, features, max_length=5), whole)
    assert len(decode(model, features[:0], max_length=5)) == 0


@pytest.mark.parametrize(("count", "threads", "sizes"), [
    (0, 2, []), (100, 2, [100]), (250, 1, [250]), (250, 2, [125, 125]), (501, 1, [250, 251]), (1200, 2, [300] * 4),
    (130, 200, [1] * 130),
])  # fmt: skip
def test_batches_are_about_equal_and_as_many_for_each_thread(count, threads, sizes):
    batches = batch_slices(count, 500, threads)
    assert [batch.stop - batch.start for batch in batches] == sizes
    assert [i for batch in batches for i in range(batch.start, batch.stop)] == list(range(count))


@pytest.mark.parametrize(("decode", "options", "message"), [
    (greedy, {"max_length": 0}, "max_length must be an int of at least 1; got 0"),
    (greedy, {"features": np.zeros(3)}, r"features must be \(N, 3\).*got \(3,\)"),
    (n_best, {"features": np.zeros((7, 2))}, r"features must be \(N, 3\).*got \(7, 2\)"),
    (n_best, {"count": 0}, "count must be an int from 1 to 100; got 0"),
    *((decode, {"width": width}, f"width must be an int from 1 to 100; got {width}")
      for decode in (beam, n_best) for width in (0, 101)),
    (n_best, {"max_length": 0}, "max_length"),
    (beam, {"length_power": np.nan}, "length_power must be at least 0 and finite; got nan"),
    (n_best, {"length_power": 101.0}, "length_power must be at most 100; got 101.0"),
    (n_best, {"width": 4, "groups": 3}, "groups must divide the width, 4; got 3"),
    (n_best, {"groups": 0}, "groups must be an int of at least 1; got 0"),
    (n_best, {"diversity": np.nan}, "diversity must be at least 0 and finite; got nan"),
    *((sample, {"temperature": t}, f"temperature must be from .*; got {t}") for t in (0, np.nan, np.inf)),
    (sample, {"top_k": 0}, "top_k must be at least 1; got 0"), (sample, {"each": 0}, "each"),
])  # fmt: skip
def test_mistakes_are_named(decode, options, message):
    with pytest.raises(ValueError, match=message):
        decode(Captioner(VOCABULARY, 3, 4, 5, rng=0), **{"features": np.zeros((7, 3))} | options)


@pytest.mark.parametrize("steps", [0, 99])  # many steps project all words first
@pytest.mark.parametrize("allow_unknown", [False, True])
def test_scores_of_the_next_word(allow_unknown, steps):
    model = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=0)
    scorer = WordScorer(model, allow_unknown, steps)
    words, state = scorer.start(np.random.default_rng(0).standard_normal((2, 3)), copies=2)
    assert words.tolist() == [START] * 4
    found, after = scorer.scores(words, state)
    plain, expected = model.step(words, state)
    plain.data[:, [NULL, START] + [UNK] * (not allow_unknown)] = -np.inf
    np.testing.assert_allclose(found, plain.data, rtol=1e-12)
    np.testing.assert_allclose(after[0].data, expected[0].data, rtol=1e-12)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[1], found[2])


@pytest.mark.parametrize(("words", "length"), [(3, 7), (20, 21), (80, LONGEST)])
def test_the_length_is_that_of_the_longest_raw_caption(small_folder, tmp_path, words, length):
    folder = shutil.copytree(small_folder, tmp_path / "data")
    (folder / "val2014_images.txt").write_text("".join(f"{i}.jpg\n" for i in range(24)))
    rows = "".join(f"{i}.jpg,val,{caption}\n" for i, caption in enumerate(["dog " * words, *["a dog"] * 23]))
    (folder / "captions.csv").write_text("image,split,caption\n" + rows)
    with open_captions(folder) as data:
        assert length_for(data.val) == length  # a stored caption may have 6 words and <END>


def test_lengths_without_raw_captions(small_data):
    assert length_for(small_data.val) == 2 * 4 + 1  # stored captions may have been cut
    small_data.val.stored = np.pad(small_data.val.captions, ((0, 0), (0, 92))), small_data.val.image_idxs
    assert length_for(small_data.val) == 99
