"""Raw captions are split into words, by the tokenizer that a data set names."""

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.tokens import recorded_tokenizer_name, tokenise, treebank_words
from tests.captioning.data.small import add_raw_captions


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A black dog is running .", "a black dog is running"),
        ("Merry-go-round , a #1 T-shirt!", "merry go round a 1 t shirt"),
        ("do n't ; the man 's five o'clock", "do n't the man 's five o'clock"),
        ("Un café\tà\u00a0deux_mots\n", "un café à deux mots"),
        (" . , ! ", ""),
    ],
)
def test_tokenise(caption, words):
    assert tokenise(caption) == words.split()


@pytest.mark.parametrize(
    ("caption", "words"),
    [
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
        (" . , ! '' '", ""),
    ],
)
def test_treebank_words(caption, words):
    assert treebank_words(caption) == words.split()


@pytest.mark.parametrize("tokenizer", [tokenise, treebank_words])
@given(caption=st.text(st.sampled_from("ab n't'sm-.,:5/$&é\u0301’ \n_\"")) | st.text())
def test_splitting_joined_words_gives_the_same_words(tokenizer, caption):
    words = tokenizer(caption)
    assert tokenizer(" ".join(words)) == words
    assert all(word and word == word.lower() and not any(sign.isspace() for sign in word) for word in words)


@pytest.mark.parametrize(("name", "words"), [
    (None, "it doesn't sit on a t shirt"),
    ("words", "it doesn't sit on a t shirt"),
    ("ptb", "it does n't sit on a t-shirt"),
])  # fmt: skip
def test_references_are_split_as_the_file_says(folder, name, words):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    table.write_text(table.read_text().replace("A cat sits", "It doesn't sit on a T-shirt"))
    if name is not None:
        with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
            file.attrs["tokenizer"] = name
    with open_captions(folder) as data:
        assert data.val.references(1)[1] == words.split()


@pytest.mark.parametrize("value", ["bert", 3, "", b"\xff"])
def test_an_unknown_tokenizer_is_refused(folder, value):
    """Even if there are no raw captions to split: the attribute is part of every score's signature."""
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = value
    with open_captions(folder) as data:
        for read in (data.check, lambda: recorded_tokenizer_name(data.val.captions_path)):
            with pytest.raises(DataError, match=r"captions\.h5: .*tokenizer"):
                read()
