"""The scores of a report: the headline figures, and all of them with their signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captioning.report.contents import Contents, Scored
from captioning.report.markup import Markup, element, joined, shortened
from captioning.report.numbers import count_text, number_text

__all__ = ["headline", "score_table"]

_SCORES = {
    "cider_d": ("CIDEr-D", "n-grams that people agree on, 0 to 10"),
    "rouge_l": ("ROUGE-L", "longest common subsequence, 0 to 1"),
    **{f"corpus_bleu_{n}": (f"Corpus BLEU-{n}", "all references, as papers print it, 0 to 1") for n in range(1, 5)},
    "exercise_bleu": ("Exercise BLEU", "unigrams, one reference, mean over images"),
    "exercise_bleu_mean": ("Exercise BLEU, mean", "in the mean over all references"),
    "exercise_bleu_human": ("Exercise BLEU of people", "one human caption against another"),
    "distinct_1": ("Distinct-1", "different words among all that were said"),
    "distinct_2": ("Distinct-2", "different pairs of words among all"),
    "words_in_use": ("Words in use", "different words that were said"),
    "vocabulary_share": ("Vocabulary share", "share of the words it knows that it said"),
    "novel_share": ("Novel captions", "share that no training caption says"),
    "mean_length": ("Mean length", "words of a caption"),
    "unknown_rate": ("Unknown words", "share of <UNK> among the words"),
    "loss": ("Loss", "cross-entropy of a caption in nats, mean over human captions"),
}
"""What the figures of `captioning.evaluation.split_scores.score` are called, in the order in which they are shown."""
_SHARES = ("vocabulary_share", "novel_share", "unknown_rate")
_PARTS = {"all": "", "first": "first half of the ", "second": "second half of the "}
_COUNTS = ("images", "captions")
_HEADLINE = ("cider_d", "corpus_bleu_4", "rouge_l", "exercise_bleu_mean", "loss")


def headline(contents: Contents) -> Markup:
    """The figures that say most, each in a tile."""
    tiles = []
    if contents.scored is not None:
        figures = contents.scored.figures
        found = [(_SCORES[key][0], figures[key]) for key in _HEADLINE if figures.get(key) is not None]
        tiles = [(name, number_text(value or 0.0, 3)) for name, value in found]
        tiles.append(("Images", number_text(figures["images"] or 0)))
    weights = sum(parameter.size for parameter in contents.model.parameters())
    tiles += [("Weights", f"{weights / 1e6:.1f} M" if weights >= 1e6 else f"{weights:,}"),
              ("Words known", f"{len(contents.model.vocabulary):,}")]  # fmt: skip
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in tiles),
                   class_="tiles")  # fmt: skip


def score_table(scored: Scored) -> Markup:
    """All scores, and the signature that another score must have to be compared with them."""
    figures: Mapping[str, Any] = scored.figures
    others = {key: (shortened(key.replace("_", " "), 24), "") for key in figures if key not in (*_SCORES, *_COUNTS)}
    rows = [element("tr", element("th", name, scope="row"), element("td", _written(key, figures[key])),
                    element("td", meaning))
            for key, (name, meaning) in (_SCORES | others).items() if figures.get(key) is not None]  # fmt: skip
    images, captions = count_text(figures["images"], "image"), count_text(figures["captions"], "human caption")
    about = (f"{images} of the {_PARTS[scored.part]}{scored.split} split of {scored.data}, with {captions}; "
             f"{scored.decoding} decoding.")  # fmt: skip
    notes = []
    if scored.split == "val" and scored.chosen_on is not None:
        notes.append(f"The weights were chosen on the {_PARTS.get(scored.chosen_on, '')}validation images.")
    if not scored.raw:
        notes.append("The data set has no raw captions: references are its stored ones, which may be cut, and in which "
                     "<UNK> stands for a rare word. Scores beside raw captions are other scores.")  # fmt: skip
    return joined(
        element("p", about),
        element("table", element("tbody", *rows), class_="scores"),
        *(element("p", note, class_="note") for note in notes),
        element("p", "Two scores can be compared if their signatures are equal:"),
        element("p", element("code", scored.signature, id="signature"),
                element("button", "copy", type="button", data_copy="signature", hidden=True), class_="signature"),
    )  # fmt: skip


def _written(key: str, value: float) -> str:
    return f"{value:.1%}" if key in _SHARES else number_text(value)
