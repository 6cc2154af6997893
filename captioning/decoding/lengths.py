"""How long a caption may get: longer than nearly all that people write, so that captions end by themselves."""

from __future__ import annotations

from captioning.data.splits import Split

__all__ = ["LONGEST", "length_for"]

LONGEST = 50
"""Words of a caption, with `<END>`: where nothing is known of the captions that were learnt from, and the most else."""


def length_for(split: Split) -> int:
    """The `max_length` of captions of a split's images: its longest human caption, with `<END>`, at most `LONGEST`.

    That is the longest raw caption where they are there. Stored captions may have been cut to fit into their T columns,
    and a captioner that learnt from them may need a few words more to end a phrase: without raw ones it is twice the
    longest. It is never less than a stored caption can have, T - 1.
    """
    longest: int = max(len(words) for item in split.references_by_image() for words in item)
    if not split.has_raw_captions:
        longest *= 2
    columns: int = split.stored[0].shape[1]
    return max(columns - 1, min(longest + 1, LONGEST))
