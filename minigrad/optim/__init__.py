"""Optimisers, learning-rate schedules, gradient clipping, weight averaging, and minimisation with SciPy's methods."""

from ..data import micro_batches
from .averages import EMA
from .clipping import clip_grad_norm, clip_grad_value
from .first_order import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from .lbfgs import LBFGS
from .minimization import minimize
from .optimizer import Optimizer
from .schedules import CosineLR, ExponentialLR, OneCycleLR, ReduceOnPlateau, Schedule, StepLR, WarmupLR

__all__ = ["EMA", "LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "CosineLR", "ExponentialLR", "Lion", "OneCycleLR",
           "Optimizer", "RMSprop", "ReduceOnPlateau", "Schedule", "StepLR", "WarmupLR", "clip_grad_norm",
           "clip_grad_value", "micro_batches", "minimize"]  # fmt: skip
