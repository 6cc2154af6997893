"""Train and use image captioners on minigrad.

- `data` reads data sets, `preparing` makes them from photos and captions, `downloading` fetches published ones, and
  `scenes` draws a synthetic one.
- `vision` turns photos into features, `models` has the captioners, and `training` trains them in run folders.
- `load`, defined in `photo_captioner`, returns a captioner for photos.
- `decoding` turns the scores of a captioner into captions, `scoring` compares captions, and `evaluation` evaluates
  captioners.
- `report` writes a page about a run, `serving` is a web page that captions photos, and `pictures` draws
  training curves and sheets of captioned photos.
- `shipped` finds a trained captioner, `recipes` describes training runs, and `cs231n` has the names that
  CS231n's notebooks import.
- `cli` is the command line `captioning`.

The names below are imported on first use, so that the command line starts, and Ctrl-C works, before NumPy is
imported.
"""

TYPE_CHECKING = False  # type checkers treat it as True; importing `typing` would be slow
if TYPE_CHECKING:
    from captioning.data.dataset import CaptionData, open_captions
    from captioning.data.errors import DataError
    from captioning.data.tokens import tokenise
    from captioning.data.vocabulary import Vocabulary, decode_captions
    from captioning.decoding.beam_search import beam
    from captioning.decoding.captions import Caption
    from captioning.decoding.stepwise import greedy, sample
    from captioning.evaluation.split_scores import evaluate
    from captioning.models.captioner import Captioner
    from captioning.photo_captioner import load
    from captioning.scoring.metrics import BLEU_score, corpus_bleu, exercise_bleu
    from captioning.training.run_files import RunError, TrainingError
    from captioning.training.run_folder import Run
    from captioning.training.settings import Settings
    from captioning.training.solver import Solver

_HOMES = {
    "data.dataset": ("CaptionData", "open_captions"),
    "data.errors": ("DataError",),
    "data.tokens": ("tokenise",),
    "data.vocabulary": ("Vocabulary", "decode_captions"),
    "decoding.beam_search": ("beam",),
    "decoding.captions": ("Caption",),
    "decoding.stepwise": ("greedy", "sample"),
    "models.captioner": ("Captioner",),
    "evaluation.split_scores": ("evaluate",),
    "photo_captioner": ("load",),
    "scoring.metrics": ("BLEU_score", "corpus_bleu", "exercise_bleu"),
    "training.run_files": ("RunError", "TrainingError"),
    "training.run_folder": ("Run",),
    "training.settings": ("Settings",),
    "training.solver": ("Solver",),
}
_HOME_OF = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "BLEU_score", "Caption", "CaptionData", "Captioner", "DataError", "Run", "RunError", "Settings", "Solver",
    "TrainingError", "Vocabulary", "beam", "corpus_bleu", "decode_captions", "evaluate", "exercise_bleu", "greedy",
    "load", "open_captions", "sample", "tokenise",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return globals().setdefault(name, getattr(importlib.import_module(_HOME_OF[name]), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
