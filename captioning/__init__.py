"""Train and use image captioners on minigrad.

`captioning.data` reads data sets, `models` has the captioner, `training` trains it and leaves a run folder,
`decoding` lets it speak, `scoring` judges it, `pictures` draws what it says, `cs231n` has the names of the CS231n
notebooks, and `scenes` draws a data set of its own. The command line is `captioning` (`cli`).
"""

from captioning.data.dataset import CaptionData, open_captions
from captioning.data.errors import DataError
from captioning.data.tokens import tokenise
from captioning.data.vocabulary import Vocabulary, decode_captions
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from captioning.scoring.evaluation import evaluate
from captioning.scoring.metrics import BLEU_score, corpus_bleu, exercise_bleu
from captioning.training.run_folder import Run, RunError
from captioning.training.solver import Settings, Solver, TrainingError

__all__ = [
    "BLEU_score", "CaptionData", "Captioner", "DataError", "Run", "RunError", "Settings", "Solver", "TrainingError",
    "Vocabulary", "beam", "corpus_bleu", "decode_captions", "evaluate", "exercise_bleu", "greedy", "open_captions",
    "sample", "tokenise",
]  # fmt: skip
