"""Words as the Penn Treebank writes them, and how many captions nltk splits in the same way."""

import csv
import json
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import TreebankWordTokenizer

from captioning.data import treebank
from captioning.data.treebank import treebank_words


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A black dog is running .", "a black dog is running"),
        ("Don't, can't, won't and AIN'T", "do n't ca n't wo n't and ai n't"),
        ("It's Tom's; they're, we've, I'll, he'd, I'm", "it 's tom 's they 're we 've i 'll he 'd i 'm"),
        ("It ’s Tom’s “dog”, `so` they said", "it 's tom 's dog so they said"),
        ("do n't ; the man 's five o'clock", "do n't the man 's five o'clock"),
        ("the boys' toys, 'quoted' and rock 'n' roll", "the boys toys quoted and rock 'n roll"),
        ("We cannot; he's gonna, gotta, wanna", "we can not he 's gon na got ta wan na"),
        ("'Tis so, 'twas so", "'t is so 't was so"),
        ("Merry-go-round, a #1 T-shirt!", "merry-go-round a # 1 t-shirt"),
        ("well -- so - to - speak—and–so…", "well so to speak and so"),
        ("$5.50 at 10:30, 1,000 men,two boys; 1/2", "$ 5.50 at 10:30 1,000 men two boys 1/2"),
        ("In the U.S. at 5 p.m. Mr. Smith sat.He ran", "in the u.s. at 5 p.m. mr. smith sat he ran"),
        ("black/white & red @ 5% (or [so]) {x}", "black / white & red @ 5 % or so x"),
        ("a 5-year-old's 1950s 3D film", "a 5-year-old 's 1950s 3d film"),
        ("Un café\tà\u00a0deux_mots\n", "un café à deux mots"),
        ("cafe\u0301 so\u00adft zero\u200bwidth", "café soft zero width"),
        ("हिन्दी में कुत्ता।", "हिन्दी में कुत्ता"),
        ("¿Qué? «ja» 犬が走る。", "qué ja 犬が走る"),
        ("a 🐕 dog\ud83d", "a 🐕 dog"),
        ("", ""),
        (" . , ! '' '", ""),
    ],
)
def test_treebank_words(caption, words):
    assert treebank_words(caption) == words.split()


SPOKEN = st.text(st.sampled_from("ab n't'sm-.,:5/$&é\u0301’ \n_\"")) | st.text()


@given(SPOKEN)
def test_words_of_joined_words_are_the_same(caption):
    words = treebank_words(caption)
    assert treebank_words(" ".join(words)) == words


@given(SPOKEN)
def test_words_are_lower_case_and_not_empty(caption):
    for word in treebank_words(caption):
        assert word
        assert not any(sign.isspace() for sign in word)
        assert word == word.lower()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "share"), [("coco", 0.996), ("flickr8k", 0.999)])
def test_nltk_splits_nearly_all_captions_so(real, full, name, share):
    """Where it does not, it leaves the period of an inner sentence at a word (`table.`), or two words at a slash."""
    captions = list(islice(all_captions(real.folder.parent, name), None if full else 3000))
    nltk = TreebankWordTokenizer()
    same = sum(
        [word for word in nltk.tokenize(caption.lower()) if spoken(word)] == treebank_words(caption)
        for caption in captions
    )
    assert same >= share * len(captions)


def all_captions(folder, name):
    if name == "coco":
        annotations = json.loads((folder / "coco" / "captions_val2017.json").read_text())["annotations"]
        return (annotation["caption"] for annotation in annotations)
    with open(folder / "flickr8k" / "captions.csv", encoding="utf-8", newline="") as file:
        return (row["caption"] for row in list(csv.DictReader(file)))


def spoken(token):
    return any(sign.isalnum() or sign in "#%&@*/\\$+=<>|~^" for sign in token)


def test_what_is_remembered_does_not_grow_with_the_words():
    """Captions of a large data set have words without end, of which there are few signs."""
    treebank_words("a, b.")
    before = treebank._is_punctuation.cache_info().currsize
    treebank_words(" ".join(f"word{n}" for n in range(1000)))
    assert treebank._is_punctuation.cache_info().currsize == before
