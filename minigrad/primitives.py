"""Declare primitives: functions on ndarrays with hand-written vector-Jacobian products (VJPs).

A :class:`Primitive` holds the forward and its rules. The decorator :func:`primitive` creates one and returns a function
on tensors that calls it (:mod:`minigrad.calls`).
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast, overload

from .calls import caller
from .spec import Array, explain

__all__ = ["PRIMITIVES", "ForwardResult", "Primitive", "PrimitiveFunction", "Shape", "Shapes", "Steps", "primitive"]

ForwardResult = tuple[Array, tuple[Any, ...]]
"""The result of a forward with one output: the output and the residuals."""
Shape = tuple[int, ...]
Shapes = Sequence[Any]
"""The shape of each array input; None for an omitted input."""


class Steps(NamedTuple):
    """The T steps of a primitive over a whole sequence (N, T, …), which drawings can show.

    step: the primitive of one step.
    states: for each output in order, the argument with its initial state, and the argument of the step that takes the
        state: ``{"h0": "h"}``.
    inputs: the argument with the input; step t takes ``[:, t]`` of it.
    indices: the option with (N, T) integers that say which rows of the input each step takes instead; or None.
    weights: the argument with the input-to-hidden matrix, (D, …).
    """

    step: Primitive
    states: Mapping[str, str]
    inputs: str
    indices: str | None
    weights: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return the step's names of the states, in the order of the outputs."""
        return tuple(self.states.values())

    def start_of(self, state: str) -> str:
        """Return the argument with the initial value of a state: ``h0`` for ``h``. Other names stay the same."""
        return next((start for start, name in self.states.items() if name == state), state)


class Primitive:
    """A primitive: its forward, its VJP and perhaps its reference.

    Attributes:
        name: the function's name.
        forward: takes ndarrays; returns ``(output or tuple of outputs, tuple of residuals)``.
        vjp: takes ``(cotangent, needs, *residuals)``; returns a tuple with one entry for each input.
        reference: the same function, composed of simpler primitives; or None.
        cost: takes ``(shapes of the inputs, shape of the first output, options)``; returns the number of multiply-adds
            of a call. None means no multiply-adds for built-in primitives, and unknown for yours.
        arguments: the names of the array inputs in order; variadic inputs share the last name.
        options: the names of the other parameters, which follow the inputs.
        defaults: the default of each option that has one, by name.
        broadcasts: whether the engine sums a cotangent back to the shape of a broadcast input.
        entrywise: whether each entry of the output depends on only one entry of each input.
        differentiable: whether outputs are tracked.
        commutative: whether exchanging the inputs does not change the result.
        steps: the steps of a primitive over a whole sequence; else None.
        residuals: what each residual is, in order; None if nothing was declared. Undeclared residuals at the end must
            hold no floats. Each is one of

            - the name of an input (for variadic inputs, the list of them all);
            - "output", or "output 1" for the second output;
            - "constant";
            - "hidden k": an intermediate result. Derivatives of derivatives treat it as output number k. Then g is a
              tuple, in which the cotangents of hidden outputs come after the others;
            - "derived": anything else that depends on the inputs.
        vjp_on_tensors: the VJP for tensors, if `vjp` does not run on them or has a wrong derivative there; or None.
        batched_vjp: the VJP for cotangents with an additional first axis; or None to call `vjp` for each of them.
        first_hidden: the number of the first hidden output, which is the number of outputs that users see; None if
            there is no hidden output.
        attachments: the place in `residuals` of each input and output, its kind ("input", "inputs", "output"), and its
            number.
        keeps_inputs: whether nodes keep the arrays of their call, because derivatives of derivatives may need the
            reference.
    """

    __slots__ = ("arguments", "attachments", "batched_vjp", "broadcasts", "commutative", "cost", "defaults",
                 "differentiable", "entrywise", "first_hidden", "forward", "keeps_inputs", "module", "name", "options",
                 "reference", "residuals", "signature", "steps", "variadic", "vjp", "vjp_on_tensors")  # fmt: skip

    def __init__(
        self,
        forward: Callable[..., Any],
        broadcasts: bool = False,
        differentiable: bool = True,
        commutative: bool = False,
        steps: Steps | None = None,
        residuals: Sequence[str] | None = None,
        entrywise: bool = False,
    ) -> None:
        if not hasattr(forward, "__name__"):
            raise TypeError(f"primitive: the forward must be a function with a name (def), not {forward!r}")
        self.forward = forward
        self.name = forward.__name__.lstrip("_")
        self.module = forward.__module__
        self.broadcasts = broadcasts
        self.entrywise = entrywise
        self.differentiable = differentiable
        self.commutative = commutative
        self.steps = steps
        self.vjp: Callable[..., Any] = self._no_vjp
        self.reference: Callable[..., Any] | None = None
        self.vjp_on_tensors: Callable[..., Any] | None = None
        self.batched_vjp: Callable[..., Any] | None = None
        self.cost: Callable[[Shapes, Shape, Mapping[str, Any]], int] | None = None
        self.signature = inspect.signature(forward)
        parameters = list(self.signature.parameters.values())
        inputs = [p for p in parameters if _is_input(p)]
        if inputs != parameters[: len(inputs)]:
            raise TypeError(f"primitive {self.name}: array inputs must come before options")
        if not inputs:
            raise TypeError(
                f"primitive {self.name}: the forward{self.signature} has no array inputs: "
                "annotate them as np.ndarray or NDArray, or give them neither an annotation nor a default"
            )
        if any(p.name.startswith("_") or p.kind is p.VAR_KEYWORD for p in parameters):
            raise TypeError(f"primitive {self.name}: a forward takes no **options, and no parameter begins with _")
        if any(p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) for p in parameters[len(inputs) :]):
            raise TypeError(
                f"primitive {self.name}: options are passed by name, so in the forward{self.signature} they must not "
                "come before / or be variadic"
            )
        if reserved := {p.name for p in inputs} & {"constant", "derived", "output"}:
            raise TypeError(f"primitive {self.name}: residuals= gives {reserved.pop()} a meaning: rename the input")
        self.arguments = tuple(p.name for p in inputs)
        self.options = tuple(p.name for p in parameters[len(inputs) :])
        self.defaults = {p.name: p.default for p in parameters[len(inputs) :] if p.default is not p.empty}
        self.variadic = inputs[-1].kind is inspect.Parameter.VAR_POSITIONAL
        if steps is not None:
            self._check_steps(steps)
        self.first_hidden: int | None = None
        self.attachments: tuple[tuple[int, str, int], ...] = ()
        self.residuals = None if residuals is None else self._checked_residuals(residuals)
        self.keeps_inputs = False

    def declare(self, rule: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Set a rule, such as "vjp" or "reference". A rule named ``_`` gets a name for tracebacks."""
        for name in self.options if "vjp" in rule else ():
            parameter = inspect.signature(function).parameters.get(name)
            if parameter is not None and parameter.default is not parameter.empty:
                raise TypeError(
                    f"primitive {self.name}: the {rule} has a default for the option {name}, but does not get the "
                    f"option of a call. Return {name} from the forward as a residual, and drop the default."
                )
        if getattr(function, "__name__", "") in ("_", "<lambda>") and hasattr(function, "__code__"):
            name = f"{self.name}_{rule}"
            function.__name__ = function.__qualname__ = name
            function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
        setattr(self, rule, function)
        declared = self.residuals is not None and "derived" not in self.residuals
        self.keeps_inputs = self.reference is not None and self.vjp_on_tensors is None and not declared
        return function

    def _checked_residuals(self, names: Any) -> tuple[str, ...]:
        """Return the names of the residuals as a tuple; raise unless each is valid."""
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"primitive {self.name}: residuals must be a tuple of names, such as ('x', 'output')")
        for name in names:
            if name not in self.arguments and not re.fullmatch(r"constant|derived|output( \d+)?|hidden [1-9]\d*", name):
                raise ValueError(
                    f"primitive {self.name}: residuals: {name!r} is none of {', '.join(self.arguments)}, 'output', "
                    "'output 1', …, 'hidden 1', …, 'constant', 'derived'"
                )
        hidden = [int(name.partition(" ")[2]) for name in names if name.startswith("hidden")]
        if hidden and hidden != list(range(hidden[0], hidden[0] + len(hidden))):
            raise ValueError(f"primitive {self.name}: residuals: hidden outputs must be numbered in order: {hidden}")
        self.first_hidden = hidden[0] if hidden else None
        for place, name in enumerate(names):
            kind, _, number = name.partition(" ")
            if kind in ("output", "hidden"):
                self.attachments += ((place, "output", int(number or 0)),)
            elif name in self.arguments:
                several = self.variadic and name == self.arguments[-1]
                self.attachments += ((place, "inputs" if several else "input", self.arguments.index(name)),)
        return tuple(names)

    def _check_steps(self, steps: Any) -> None:
        """Raise unless all names in ``steps`` are arguments of this primitive or of its step."""
        if (
            not isinstance(steps, Steps)
            or not isinstance(steps.step, Primitive)
            or not isinstance(steps.states, Mapping)
        ):
            raise TypeError(
                f"primitive {self.name}: steps must be Steps(…), its step a Primitive such as rnn_step.primitive, "
                "and its states a mapping such as {'h0': 'h'}"
            )
        for field, name, known in (
            *(("states", name, self.arguments) for name in steps.states),
            *(("states", name, steps.step.arguments) for name in steps.states.values()),
            ("inputs", steps.inputs, self.arguments),
            ("weights", steps.weights, self.arguments),
            *(("indices", name, self.options) for name in (steps.indices,) if name is not None),
        ):
            if name not in known:
                raise ValueError(f"primitive {self.name}: steps: {field}: {name!r} is none of {', '.join(known)}")

    def _no_vjp(self, *_: Any) -> Any:
        raise TypeError(f"primitive {self.name} has no VJP: declare one with @{self.name}.vjp")

    def input_name(self, number: int) -> str:
        """Return the name of an input by its number, such as ``x`` or ``arrays[2]``."""
        last = len(self.arguments) - 1
        if self.variadic and number >= last:
            return f"{self.arguments[last]}[{number - last}]"
        return self.arguments[number]

    def failed(self, inputs: Any, error: Exception) -> Exception:
        """Add the primitive's name and the shapes and dtypes of the inputs to an error of the forward."""
        parameters = self.signature.parameters.values()
        if (
            isinstance(error, (TypeError, AttributeError))
            and "NoneType" in str(error)
            and any(x is None and p.default is not None for x, p in zip(inputs, parameters, strict=False))
        ):
            error = TypeError("expected numbers (bool, integer or real float), not None")
        return explain(self.name, [(self.input_name(i), value) for i, value in enumerate(inputs)], error)

    def __repr__(self) -> str:
        return f"<primitive {self.name}({', '.join(self.arguments)})>"


PRIMITIVES: dict[str, Primitive] = {}  # every declared primitive, by module and name

# Matches Array, np.ndarray, "NDArray[np.float32] | None", Optional[np.ndarray]; str of a class is <class '…'>.
_ARRAY = re.compile(r"(<class ')?((typing\.)?(Optional|Union)\[)?(\w+\.)*(Array|ArrayLike|NDArray|ndarray)\b")


def _is_input(parameter: inspect.Parameter) -> bool:
    """Return whether a parameter is an array: annotated as one, or with neither annotation nor default."""
    if parameter.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
        return False
    if parameter.annotation is not inspect.Parameter.empty:
        return _ARRAY.match(str(parameter.annotation)) is not None
    return parameter.default is inspect.Parameter.empty


class PrimitiveFunction(Protocol):
    """The function on tensors that :func:`primitive` returns, with decorators for the rules."""

    __name__: str
    primitive: Primitive

    def __call__(self, *args: Any, **options: Any) -> Any: ...
    def vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def vjp_on_tensors(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def batched_vjp(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def reference(self, rule: Callable[..., Any]) -> Callable[..., Any]: ...
    def cost(self, rule: Callable[..., int]) -> Callable[..., int]: ...


@overload
def primitive(forward: Callable[..., Any], /) -> PrimitiveFunction: ...
@overload
def primitive(
    *,
    broadcasts: bool = False,
    differentiable: bool = True,
    commutative: bool = False,
    steps: Steps | None = None,
    residuals: Sequence[str] | None = None,
    entrywise: bool = False,
) -> Callable[[Callable[..., Any]], PrimitiveFunction]: ...
def primitive(
    forward: Callable[..., Any] | None = None,
    /,
    *,
    broadcasts: bool = False,
    differentiable: bool = True,
    commutative: bool = False,
    steps: Steps | None = None,
    residuals: Sequence[str] | None = None,
    entrywise: bool = False,
) -> Any:
    """Declare a primitive from its forward on ndarrays. Declare its rules with decorators: VJP, reference, cost.

    - The **forward** returns the output (or a tuple of outputs) and a tuple of residuals: arrays or plain values that
      the VJP needs. It must not write into its inputs. Its array inputs are the parameters that are annotated as arrays
      (``np.ndarray``, ``NDArray``, ``Array``, also optional), and those with neither annotation nor default. All others
      are options.
    - The **VJP** takes ``(g, needs, *residuals)``. ``g`` is the cotangent of the output: for several outputs a tuple,
      with None for an output that nothing used. ``needs`` says for each input whether its cotangent is needed. The VJP
      returns one entry for each input, None for inputs that need no cotangent. It must not write into its arguments. It
      must not keep a reference to its results, because the reverse pass may add to them.
    - The **reference** takes the arguments of the forward, as tensors, and composes other primitives.
    - The **cost** is for primitives that multiply arrays with arrays. It takes ``(shapes of the inputs, shape of the
      first output, options)`` and returns the number of multiply-adds.

    A rule named ``_`` gets the primitive's name in tracebacks and profiles.

    Args:
        broadcasts: sum cotangents back to the shape of a broadcast input, and keep Python numbers weakly typed.
            Otherwise a cotangent of another shape raises an error. The forward must return new arrays.
        entrywise: each entry of the output depends on only one entry of each input, in the VJP too.
        differentiable: false for functions whose outputs are constants, such as ``argmax``.
        commutative: exchanging the inputs does not change the result, so drawings need not distinguish them.
        steps: the steps of a primitive over a whole sequence (N, T, …), for drawings.
        residuals: what each residual is, in order, so that derivatives can be differentiated. It is the name of an
            input, "output" ("output 1" for the second), "constant", or "derived" for anything else that depends on
            inputs. Derivatives of derivatives run the VJP on tensors; if a residual is derived, they differentiate the
            reference. :class:`Primitive` explains "hidden 1".

    >>> import numpy as np, minigrad as mg
    >>> @mg.primitive(residuals=("x",))
    ... def cube(x):
    ...     return x**3, (x,)
    >>> @cube.vjp
    ... def _(g, needs, x):
    ...     return (3 * x**2 * g,)
    >>> mg.gradcheck(cube, [np.array([1.0, -2.0])])
    True
    >>> mg.grad(mg.grad(cube))(2.0)
    tensor(12.)
    """

    def declare(forward: Callable[..., Any]) -> PrimitiveFunction:
        return _declare(Primitive(forward, broadcasts, differentiable, commutative, steps, residuals, entrywise))

    return declare if forward is None else declare(forward)


def _declare(primitive: Primitive) -> PrimitiveFunction:
    function: Any = functools.update_wrapper(cast(Any, caller(primitive)), primitive.forward)

    function.primitive = primitive
    for rule in ("vjp", "vjp_on_tensors", "batched_vjp", "reference", "cost"):
        setattr(function, rule, functools.partial(primitive.declare, rule))
    PRIMITIVES[f"{primitive.module}.{primitive.name}"] = primitive
    return function  # type: ignore[no-any-return]
