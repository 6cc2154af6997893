"""The names that a CS231n captioning notebook imports, on minigrad's primitives.

The cells of the notebooks RNN_Captioning and LSTM_Captioning run with only their import lines changed:

    from captioning.cs231n import *

examples/cs231n has both exercises as notebooks. Source: homework, the captioning exercises (CS231n).
"""

from captioning.cs231n.coco_data import load_coco_data, sample_coco_minibatch
from captioning.cs231n.layers import (
    affine_backward,
    affine_forward,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    lstm_backward,
    lstm_forward,
    lstm_step_backward,
    lstm_step_forward,
    rel_error,
    rnn_backward,
    rnn_forward,
    rnn_step_backward,
    rnn_step_forward,
    sigmoid,
    temporal_affine_backward,
    temporal_affine_forward,
    temporal_softmax_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from captioning.cs231n.model import CaptioningRNN
from captioning.cs231n.solver import CaptioningSolver, evaluate_model
from captioning.data.vocabulary import decode_captions
from captioning.pictures.photos import image_from_url
from captioning.scoring.metrics import BLEU_score

__all__ = [
    "BLEU_score", "CaptioningRNN", "CaptioningSolver", "affine_backward", "affine_forward", "decode_captions",
    "eval_numerical_gradient", "eval_numerical_gradient_array", "evaluate_model", "image_from_url", "load_coco_data",
    "lstm_backward", "lstm_forward", "lstm_step_backward", "lstm_step_forward", "rel_error", "rnn_backward",
    "rnn_forward", "rnn_step_backward", "rnn_step_forward", "sample_coco_minibatch", "sigmoid",
    "temporal_affine_backward", "temporal_affine_forward", "temporal_softmax_loss", "word_embedding_backward",
    "word_embedding_forward",
]  # fmt: skip
