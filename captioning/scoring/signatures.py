"""What a score depends on besides the captioner, in a line: two scores can be compared if their signatures are equal.

The idea is sacreBLEU's: M. Post, A call for clarity in reporting BLEU scores (2018).
"""

from __future__ import annotations

from captioning.data.splits import Split
from captioning.data.tokens import recorded_tokenizer_name

__all__ = ["signature"]


def signature(
    split: Split,
    part: str,
    images: int,
    decoding: str,
    max_length: int,
    drawn_by: int | None = None,
    frequencies: str | None = None,
) -> str:
    """The signature of scores of a split: of which images, beside which references, and how captions were decoded.

    part, images: which part of the split, and how many images of it; drawn_by: the seed, where not all of them were
    taken. decoding: such as 'greedy' or 'beam 3'. References are 'raw', as people wrote them and split into words by
    the data set's tokenizer, or 'stored', cut as the data set has them. frequencies: of CIDEr-D,
    'corpus' where they are those of the references, 'train' of the training captions; None where there is no CIDEr-D.

    ```
    references:raw|tokenizer:words|split:val|part:all|images:1000|decoding:greedy|max_length:34|frequencies:corpus
    ```
    """
    fields = {
        "references": "raw" if split.has_raw_captions else "stored",
        "tokenizer": recorded_tokenizer_name(split.captions_path),
        "split": split.name,
        "part": part,
        "images": images if drawn_by is None else f"{images} drawn by {drawn_by}",
        "decoding": decoding,
        "max_length": max_length,
    }
    if frequencies is not None:
        fields["frequencies"] = frequencies
    return "|".join(f"{name}:{value}" for name, value in fields.items())
