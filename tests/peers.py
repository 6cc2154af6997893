"""What a peer, PyTorch, computes: asked live where it is installed, and frozen in files where it is not.

A test asks under a key, with its inputs and a function that computes the answer with PyTorch:

    PYTORCH = Peer(__name__)
    answer = PYTORCH.ask("my key", lambda torch, x: torch.exp(torch.tensor(x)), [np.ones(3)])

Where PyTorch is installed, the answer is computed anew, and must be what is frozen; where it is not, it is the frozen
one. Inputs are frozen too and are those of the file on either kind of machine: the stream of a random generator may
change with NumPy's version. ``python -m tests.freeze`` writes the files, one for each module of tests.

A test that asks names ``PYTORCH`` in its own text: that is how the tests to freeze are found.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, leaf, pull

FOLDER = Path(__file__).parent / "frozen"
WITHOUT = "TESTS_WITHOUT_PYTORCH"  # an environment variable: if it is set, PyTorch counts as not installed
EXAMPLES = 20  # frozen for a key with drawn inputs
_EVERY = 4  # of so many drawn examples one is frozen: the first ones that Hypothesis draws are alike

asked: set[tuple[Path, str]] = set()
"""The keys that this process asked for, with their files."""
renewed: dict[Path, dict[str, list[Answer]]] | None = None
"""Answers by file and key while they are being frozen; otherwise None."""


@dataclass(frozen=True)
class Answer:
    """Inputs and options of a call, and what the peer computes of them."""

    inputs: list[Any]
    options: dict[str, Any]
    expected: Any = None


Compute = Callable[..., Any]  # of PyTorch's module, inputs and options


@functools.cache
def pytorch() -> ModuleType | None:
    """PyTorch, or None on a machine without it."""
    absent = bool(os.environ.get(WITHOUT)) or importlib.util.find_spec("torch") is None
    return None if absent else importlib.import_module("torch")


@dataclass(frozen=True)
class Peer:
    """PyTorch, as one module of tests asks it."""

    module: str

    @property
    def source(self) -> str:
        """The tests' file: ``tests/ops/test_lookup.py``."""
        return self.module.replace(".", "/") + ".py"

    @property
    def path(self) -> Path:
        """The file of frozen answers: ``tests/frozen/ops/lookup.safetensors``."""
        *folders, name = self.module.split(".")[1:]
        return FOLDER.joinpath(*folders, name.removeprefix("test_") + ".safetensors")

    def ask(
        self,
        key: str,
        compute: Compute,
        inputs: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
        within: float | None = None,
    ) -> Answer:
        """The inputs to use, and what ``compute(torch, *inputs, **options)`` gives of them.

        ``within`` is how far a live answer may be from the frozen one, relatively; by default rounding.
        """
        given_now = Answer(copy.deepcopy(list(inputs)), dict(options or {}))  # a test may write into its arrays
        (kept,) = self._frozen(key, compute, lambda: [given_now])
        self._check_inputs(key, given_now, kept)
        return self._confirmed(key, compute, kept, within)

    def ask_drawn(
        self, key: str, compute: Compute, cases: st.SearchStrategy[Case], check: Callable[[Answer], None]
    ) -> None:
        """``check`` on the frozen examples; where PyTorch is installed, on examples that Hypothesis draws as well."""
        for i, kept in enumerate(self._frozen(key, compute, lambda: _drawn(cases))):
            check(self._confirmed(f"{key} {i}", compute, kept, None))
        if pytorch() and renewed is None:

            @settings(database=None)  # which would mix the examples of all keys
            @given(cases)
            def live(case: Case) -> None:
                check(_answered(Answer(list(case.inputs), dict(case.options)), compute))

            live()

    def compare(
        self,
        key: str,
        mine: Callable[..., Any],
        theirs: Compute,
        inputs: Sequence[Any],
        options: Mapping[str, Any] | None = None,
        *,
        rtol: float,
        atol: float = 0.0,
    ) -> None:
        """Our output and gradients are those of ``theirs(torch, *tensors, **options)``."""
        answer = self.ask(key, pulled(theirs), inputs, options)
        check_pull(mine, answer, rtol, atol)

    def compare_drawn(
        self,
        key: str,
        mine: Callable[..., Any],
        theirs: Compute,
        cases: st.SearchStrategy[Case],
        *,
        rtol: float,
        atol: float = 0.0,
    ) -> None:
        """As `compare`, on frozen and drawn examples."""
        self.ask_drawn(key, pulled(theirs), cases, lambda answer: check_pull(mine, answer, rtol, atol))

    def _frozen(self, key: str, compute: Compute, make: Callable[[], list[Answer]]) -> list[Answer]:
        asked.add((self.path, key))
        if renewed is not None:
            answers = renewed.setdefault(self.path, {})
            assert key not in answers, f"{self.source} asks for {key!r} twice"
            answers[key] = [_answered(answer, compute) for answer in make()]
            return copy.deepcopy(answers[key])
        answers = read(self.path)
        assert key in answers, f"nothing is frozen for {key!r}: with PyTorch, run {command(self.source)}"
        return copy.deepcopy(answers[key])

    def _check_inputs(self, key: str, now: Answer, kept: Answer) -> None:
        """Shapes and dtypes are those that were frozen, and values too, if NumPy is the one that drew them."""
        advice = f"what {key!r} asks has changed since it was frozen: with PyTorch, run {command(self.source)}"
        assert now.options == kept.options, advice
        assert len(now.inputs) == len(kept.inputs), advice
        drawn_here = renewed is None and mg.io.load_metadata(self.path)["numpy"] == np.__version__
        for mine, theirs in zip(now.inputs, kept.inputs, strict=True):
            if isinstance(mine, np.ndarray):
                dtype = np.dtype(np.int64) if mine.dtype == int else mine.dtype  # int is int32 in WebAssembly
                assert (mine.shape, dtype) == (theirs.shape, theirs.dtype), advice
            if drawn_here:
                _check_same(mine, theirs, 1e-6, advice)

    def _confirmed(self, key: str, compute: Compute, kept: Answer, within: float | None) -> Answer:
        """The frozen answer; with PyTorch the live one, which must be the same."""
        if not pytorch():
            return kept
        live = _answered(kept, compute)
        _check_same(live.expected, kept.expected, within, f"PyTorch and what is frozen for {key!r} differ")
        return live


# --- functions and their gradients -----------------------------------------------------------------------


def cotangent(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Numbers of few bits between -1.6 and 1.6, none of them 0, the same on every machine."""
    numbers = 7919 * np.arange(1, 1 + int(np.prod(shape)), dtype=np.int64) % 199 - 99
    return (np.where(numbers == 0, 1, numbers) / 64).reshape(shape).astype(dtype)


def pulled(function: Compute) -> Compute:
    """What computes, with PyTorch, a function's output and for a cotangent the gradients of its floating inputs."""

    def compute(torch: Any, *inputs: Any, **options: Any) -> list[Any]:
        tensors = [
            torch.tensor(x.copy(), requires_grad=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x
            for x in inputs
        ]
        y = function(torch, *tensors, **options)
        y.backward(torch.tensor(cotangent(tuple(y.shape)), dtype=y.dtype))
        return [y, *(t.grad if _is_floating(x) else None for x, t in zip(inputs, tensors, strict=True))]

    return compute


def check_pull(function: Callable[..., Any], answer: Answer, rtol: float, atol: float = 0.0) -> None:
    """A function of ours gives the output and the gradients that `pulled` gives."""
    y = answer.expected[0]
    tensors = [leaf(x) if _is_floating(x) else x for x in answer.inputs]
    outs, grads = pull(lambda *given: function(*given, **answer.options), tensors, [cotangent(y.shape, y.dtype)])
    names = ["the output", *(f"the gradient of input {i}" for i in range(len(grads)))]
    for name, mine, theirs in zip(names, [*outs, *grads], answer.expected, strict=True):
        if theirs is not None:
            assert mine.shape == theirs.shape, name
            np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol, err_msg=name)


def _is_floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


# --- answers -------------------------------------------------------------------------------------------


def _answered(question: Answer, compute: Compute) -> Answer:
    return Answer(question.inputs, question.options, _plain(compute(pytorch(), *question.inputs, **question.options)))


def _plain(value: Any) -> Any:
    """Tensors as arrays, also within lists and dicts."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    return value.detach().numpy().copy() if hasattr(value, "detach") else value


def _drawn(cases: st.SearchStrategy[Case]) -> list[Answer]:
    """Some examples of a strategy, the same ones every time."""
    drawn: list[Answer] = []

    @settings(max_examples=EXAMPLES * _EVERY, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(cases)
    def keep(case: Case) -> None:
        drawn.append(Answer(copy.deepcopy(list(case.inputs)), dict(case.options)))

    keep()
    return drawn[_EVERY - 1 :: _EVERY][:EXAMPLES]


def _check_same(mine: Any, theirs: Any, within: float | None, message: str, most: float | None = None) -> None:
    """Arrays and numbers up to rounding, all else exactly.

    most: the largest number of the whole answer. A gradient that is 0, such as that of a bias before a norm, is what
    rounding leaves of numbers of that size, other ones on every processor.
    """
    most = _largest(theirs) if most is None else most
    if isinstance(theirs, list):
        assert isinstance(mine, list), message
        assert len(mine) == len(theirs), message
        for one, other in zip(mine, theirs, strict=True):
            _check_same(one, other, within, message, most)
    elif isinstance(theirs, dict):
        assert list(mine) == list(theirs), message
        _check_same(list(mine.values()), list(theirs.values()), within, message, most)
    elif isinstance(theirs, (np.ndarray, float)):
        assert isinstance(mine, (np.ndarray, np.generic, float)), message
        mine, theirs = np.asarray(mine), np.asarray(theirs)
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), message
        rtol = (1e-4 if theirs.dtype == np.float32 else 1e-7) if within is None else within
        noise = np.finfo(theirs.dtype).eps * most if theirs.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=max(rtol * _largest(theirs), noise), err_msg=message)
    else:
        assert mine == theirs, message


def _largest(answer: Any) -> float:
    """The largest finite magnitude in an answer; 0 of one without numbers."""
    if isinstance(answer, (list, dict)):
        return max(map(_largest, answer.values() if isinstance(answer, dict) else answer), default=0.0)
    if not isinstance(answer, (np.ndarray, float)):
        return 0.0
    values = np.asarray(answer)
    return float(np.abs(values[np.isfinite(values)].astype(float)).max(initial=0.0))


# --- files ---------------------------------------------------------------------------------------------


def command(source: str) -> str:
    """What freezes the answers that a file of tests asks for."""
    return f"python -m tests.freeze {source}"


def write(path: Path, answers: Mapping[str, list[Answer]], made_by: str, torch_version: str) -> None:
    """Freeze answers: arrays as such, each once, and the rest, with the names of the arrays, as JSON."""
    arrays: dict[str, np.ndarray] = {}
    kept = {key: [_encode([a.inputs, a.options, a.expected], arrays) for a in each] for key, each in answers.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"command": made_by, "torch": torch_version, "numpy": np.__version__, "answers": json.dumps(kept)}
    mg.save(path, dict(sorted(arrays.items())), metadata)


@functools.cache
def read(path: Path) -> dict[str, list[Answer]]:
    """The answers in a file by their keys; none if there is no such file."""
    if not path.exists():
        return {}
    arrays, kept = mg.load(path), json.loads(mg.io.load_metadata(path)["answers"])
    return {key: [Answer(*_decode(answer, arrays)) for answer in each] for key, each in kept.items()}


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.array(value, order="C")
        text = f"{array.dtype.str} {array.shape}".encode() + array.tobytes()
        name = hashlib.sha256(text).hexdigest()[:16]  # so that equal arrays are kept once
        arrays[name] = array
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": {name: _encode(v, arrays) for name, v in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_encode(v, arrays) for v in value]}
    return [_encode(v, arrays) for v in value] if isinstance(value, list) else value


def _decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content].copy()
    if kind == "tuple":
        return tuple(_decode(content, arrays))
    return {name: _decode(v, arrays) for name, v in content.items()}
