"""The phrases of captions and their meanings: kinds, sizes, counts, relations and backgrounds.

The grammar and the checker share these tables and nothing else.
"""

from __future__ import annotations

__all__ = [
    "BACKGROUND_PHRASES",
    "COUNT_WORDS",
    "NOUNS",
    "PLURALS",
    "RELATION_PHRASES",
    "SIZE_WORDS",
    "VERBS",
]

NOUNS: dict[str, tuple[str, ...]] = {
    "dog": ("dog", "puppy"),
    "cat": ("cat", "kitty"),
    "bird": ("bird",),
    "fish": ("fish",),
    "car": ("car", "automobile"),
    "bus": ("bus",),
    "boat": ("boat", "sailboat"),
    "tree": ("tree",),
    "house": ("house", "cottage"),
    "ball": ("ball",),
    "chair": ("chair",),
    "cup": ("cup", "mug"),
    "kite": ("kite",),
    "umbrella": ("umbrella", "parasol"),
    "box": ("box", "crate"),
}
"""Nouns of each kind in the singular, the usual one first."""

PLURALS: dict[str, str] = {
    "dog": "dogs",
    "puppy": "puppies",
    "cat": "cats",
    "kitty": "kitties",
    "bird": "birds",
    "fish": "fish",
    "car": "cars",
    "automobile": "automobiles",
    "bus": "buses",
    "boat": "boats",
    "sailboat": "sailboats",
    "tree": "trees",
    "house": "houses",
    "cottage": "cottages",
    "ball": "balls",
    "chair": "chairs",
    "cup": "cups",
    "mug": "mugs",
    "kite": "kites",
    "umbrella": "umbrellas",
    "parasol": "parasols",
    "box": "boxes",
    "crate": "crates",
}

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "big": ("big", "large", "huge"),
}

COUNT_WORDS: dict[int, tuple[str, ...]] = {1: ("a", "an", "one"), 2: ("two", "a pair of"), 3: ("three",)}

RELATION_PHRASES: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "beside": ("next to", "beside"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "inside": ("inside", "in"),
    "on": ("on", "on top of"),
}
"""The four relations of scenes, the converses of two of them, and `beside`."""

BACKGROUND_PHRASES: dict[str, tuple[str, ...]] = {
    "beach": ("on the beach", "at the beach", "by the sea"),
    "street": ("on the street", "in the street", "on the road"),
    "snow": ("in the snow", "on the snow"),
    "meadow": ("in the meadow", "on the grass", "on the meadow"),
    "room": ("in the room", "indoors"),
}

VERBS: dict[str, tuple[str, str]] = {
    "be": ("is", "are"),
    "sit": ("sits", "sit"),
    "stand": ("stands", "stand"),
    "fly": ("flies", "fly"),
    "float": ("floats", "float"),
    "wait": ("waits", "wait"),
}
"""Verbs in the singular and the plural. The checker ignores them."""
