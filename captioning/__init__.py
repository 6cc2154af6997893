"""Train and use image captioners on minigrad.

`captioning.data` reads data sets, `model` is the captioner, `solver` trains it, `decoding` lets it speak,
`evaluation` and `metrics` judge it, `run` is what a training leaves in a folder, `cs231n` has the names of
the CS231n notebooks, and `scenes` draws a data set of its own. The command line is `captioning`.
"""

from captioning.data import CaptionData, DataError, open_captions
from captioning.decoding import beam, greedy, sample
from captioning.evaluation import evaluate
from captioning.metrics import BLEU_score, corpus_bleu, exercise_bleu
from captioning.model import Captioner
from captioning.run import Run, RunError
from captioning.solver import Settings, Solver, TrainingError
from captioning.vocabulary import Vocabulary, decode_captions, tokenise

__all__ = [
    "BLEU_score", "CaptionData", "Captioner", "DataError", "Run", "RunError", "Settings", "Solver", "TrainingError",
    "Vocabulary", "beam", "corpus_bleu", "decode_captions", "evaluate", "exercise_bleu", "greedy", "open_captions",
    "sample", "tokenise",
]  # fmt: skip
