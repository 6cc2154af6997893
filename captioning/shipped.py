"""Find the captioner trained on Flickr8k, which is a package of its own because of its licence.

The package is a run folder without its history. `Run.open("shipped")` opens it, and `weights/flickr8k/MODEL_CARD.md` in
the checkout describes its training data, licence, scores and weaknesses.
"""

from __future__ import annotations

from pathlib import Path

from minigrad.runtime.extras import require

__all__ = ["shipped_folder"]

_CHECKOUT = Path(__file__).parents[1] / "weights" / "flickr8k" / "minigrad_captioner_flickr8k"


def shipped_folder() -> Path:
    """Return the run folder of the captioner trained on Flickr8k.

    In a checkout this is the checkout's folder, even if the package is installed. So the code always gets the weights
    of its own commit, and the checkout works without installing them.

    Raises:
        ModuleNotFoundError: if the package is missing; says how to install it.

    >>> sorted(path.name for path in shipped_folder().glob("*.json"))
    ['confidence.json', 'settings.json', 'vocabulary.json']
    """
    return _CHECKOUT if _CHECKOUT.is_dir() else Path(require("minigrad_captioner_flickr8k", "caption").__file__).parent
