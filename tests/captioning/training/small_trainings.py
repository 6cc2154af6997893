"""Small trainings, and ways to interrupt them."""

import os
import signal

import numpy as np

from captioning.models.captioner import Captioner
from captioning.training.run_files import settings_of
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import Solver

SHORT = Settings(epochs=3, batch_size=10, learning_rate=5e-3)


def make_model(data, **options):
    return Captioner(data.vocabulary, 6, 8, 12, rng=0, **options)


def make_solver(data, settings=SHORT, folder=None, **options):
    """A solver, in the run folder of a new run or of the one that is there already."""
    model = make_model(data, **options)
    run = None
    if folder is not None:
        run = Run.open(folder) if folder.exists() else new_run(folder, data, settings, model=model)
    return Solver(model, data.train, data.val, settings, run)


def resumed(data, settings, folder, **options):
    solver = make_solver(data, settings, folder, **options)
    solver.resume()
    return solver


def new_run(folder, data, settings=SHORT, checkpoint=None, model=None):
    content = settings_of(make_model(data) if model is None else model, settings, data)
    return Run.create(folder, content, data.vocabulary, checkpoint)


def weights(solver):
    return solver.model.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def same_files(one, other):
    """Whether two run folders have equal files, but for the curve."""
    names = {path.name for path in one.iterdir()} - {"loss.png"}
    assert names == {path.name for path in other.iterdir()} - {"loss.png"}
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def interrupt_after(solver, iteration, number=signal.SIGINT):
    """Send Ctrl-C, or another signal, in the middle of an iteration."""
    inner = solver.model.loss

    def loss(*batch):
        if solver.iteration == iteration - 1 and solver.model.training:
            os.kill(os.getpid(), number)
        return inner(*batch)

    solver.model.loss = loss
