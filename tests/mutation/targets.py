"""What there is to mutate: the rules of primitives with all that they call, and the functions of the engine."""

from __future__ import annotations

import dis
import functools
import importlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from minigrad.primitives import PRIMITIVES, Primitive

TESTS = Path(__file__).parent.parent
RULES = ("vjp", "vjp_on_tensors", "batched_vjp")
# Functions that compute a gradient ahead, in the forward: (module, name).
AHEAD = [("minigrad.ops.losses", name) for name in ("cross_entropy_rows", "smoothed_rows")]
# The modules of the engine, and those whose tests run it, the quick ones first.
ENGINE = ("anomaly", "backward", "calls", "core", "gradients", "graph.certificates", "graph.order", "higher_order",
          "hooks", "observers", "primitives", "recording", "rematerialisation", "transforms", "trees",
          "writes")  # fmt: skip
ENGINE_TESTS = ("test_core", "test_trees", "test_transforms", "test_writes", "check.test_certificates",
                "test_anomaly", "test_hooks", "test_batched_backward", "nn.test_forward_hooks",
                "ops.test_numpy_protocols", "ops.test_methods", "check.test_derivatives",
                "test_recording", "test_hidden_outputs", "test_rematerialisation", "nn.test_module", "test_interrupts",
                "test_engine_machine", "test_registry", "test_backward", "test_graph", "test_primitives",
                "test_rules_on_tensors", "test_higher_order")  # fmt: skip
# Primitives of every kind, whose cases mutants of the engine meet in the end: of one input, of two, of any number, of
# several outputs, with options, with residuals that are inputs, outputs and derived.
ENGINE_CASES = ("multiply", "where", "split", "concatenate", "max", "lstm_cell", "matmul", "tanh")
KERNELS = ("columns", "numerics", "packing", "sequences")
# Of all families.
COMMON_TESTS = (*(f"tests.ops.kernels.test_{name}" for name in KERNELS), "tests.test_batched_backward",
                "tests.test_rules_on_tensors", "tests.test_higher_order")  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A function to mutate.

    primitives: those whose rules run it, and whose cases its mutants meet first; none for a function of the engine.
    tests: the modules whose tests its mutants meet then; those of the first one come first. last: primitives whose
    cases its mutants meet in the end.
    """

    label: str
    function: FunctionType = field(repr=False)
    primitives: tuple[str, ...]
    tests: tuple[str, ...] = field(repr=False)
    last: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return str(Path(self.function.__code__.co_filename).relative_to(TESTS.parent))

    @property
    def stem(self) -> str:
        """Its file without folder and ending."""
        return Path(self.file).stem


@functools.cache
def families() -> dict[str, ModuleType]:
    """The test module that has a primitive's cases, for every primitive that has some."""
    modules = [importlib.import_module(f"tests.ops.{path.stem}") for path in sorted((TESTS / "ops").glob("test_*.py"))]
    return {name: module for module in modules for name in getattr(module, "CASES", {})}


@functools.cache
def targets(*primitives: str) -> tuple[Target, ...]:
    """Every rule in ``minigrad.ops``, every function there that one calls, and the engine; or those of some primitives.

    Primitives without cases count as functions that the rules of others call: a test of the registry names them.
    """
    users = _users()
    found = [_target(function, records) for function, records in users.items()]
    if primitives:
        return tuple(t for t in found if set(t.primitives) & set(primitives))
    return (*found, *(t for t in _engine() if t.function not in users))


# --- rules ---------------------------------------------------------------------------------------------


def _users() -> dict[FunctionType, list[Primitive]]:
    """Every function that rules run, and whose rules."""
    from minigrad.backward import unbroadcast

    users: dict[FunctionType, list[Primitive]] = {}
    cases = families()
    records = [r for r in PRIMITIVES.values() if r.module.startswith("minigrad.ops") and r.name in cases]
    for record in sorted(records, key=lambda r: (r.module, r.name)):
        for function in dict.fromkeys(f for rule in _rules(record) for f in _closure(_maker(rule), _held(rule))):
            users.setdefault(function, []).append(record)
    for module, name in AHEAD:
        function = getattr(importlib.import_module(module), name)
        users.setdefault(function, []).extend(r for r in records if function in _closure(r.forward))
    users[unbroadcast] = [r for r in records if r.broadcasts and len(r.arguments) > 1]
    return {function: records for function, records in users.items() if _is_watched(function)}


def _rules(record: Primitive) -> list[Any]:
    return [getattr(record, attribute) for attribute in RULES if getattr(record, attribute) is not None]


def _held(rule: Any) -> list[type]:
    """The classes of the objects that a rule was made for, such as a recurrent layer's cell."""
    classes = [type(cell.cell_contents) for cell in rule.__closure__ or ()]
    return [cls for cls in classes if _is_ours(cls)]


def _target(function: FunctionType, records: Sequence[Primitive]) -> Target:
    family = families()
    homes = sorted({family[r.name].__name__ for r in records})
    module = function.__module__
    own = _kernel_tests(module) if module.startswith("minigrad.ops") else _engine_tests(module)
    tests = dict.fromkeys((*homes, *COMMON_TESTS, *own))
    return Target(_label(function, records), function, tuple(r.name for r in records), tuple(tests))


def _kernel_tests(module: str) -> list[str]:
    """The test module that is about a kernel, if there is one."""
    _, kernel, stem = module.rpartition(".kernels.")
    return [f"tests.ops.kernels.test_{stem}"] if kernel and (TESTS / f"ops/kernels/test_{stem}.py").exists() else []


def _maker(function: Any) -> Any:
    """Of a function that another one made, that one, in which it is mutated."""
    name, _, inside = function.__qualname__.partition(".<locals>")
    return function.__globals__[name] if inside else function


def _names(code: CodeType, kind: str) -> list[str]:
    """The globals, or the attributes and methods, that a function and those inside it name."""
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant, kind)]
    own = [i.argval for i in dis.get_instructions(code) if (i.opname == "LOAD_GLOBAL") == (kind == "global")]
    return sorted({name for name in own if isinstance(name, str)}.union(inner))


def _callees(function: FunctionType, held: Sequence[type]) -> Iterator[FunctionType]:
    """Functions and methods of ``minigrad.ops`` that a function names, by themselves or in a module or a class.

    held: classes whose methods it may call on its arguments. Of primitives without cases the rules.
    """
    known = function.__globals__.values()
    owners = [value for value in known if (isinstance(value, type) and _is_ours(value)) or _is_our_module(value)]
    owners += held
    attributes = _names(function.__code__, "attribute")
    members = [vars(owner)[name] for owner in owners for name in attributes if name in vars(owner)]
    for found in [*map(function.__globals__.get, _names(function.__code__, "global")), *members]:
        if isinstance(found, property):
            found = found.fget
        record = getattr(found, "primitive", None)
        if isinstance(record, Primitive) and record.module.startswith("minigrad.ops"):
            yield from _rules(record) if record.differentiable and record.name not in families() else []
        elif isinstance(found, FunctionType) and _is_ours(found):
            yield found


def _is_ours(thing: Any) -> bool:
    return str(thing.__module__).startswith("minigrad.ops")


def _is_our_module(thing: Any) -> bool:
    return isinstance(thing, ModuleType) and thing.__name__.startswith("minigrad.ops")


def _closure(function: Any, held: Sequence[type] = ()) -> list[FunctionType]:
    """A function, those it calls, those they call, and so on."""
    found, stack = [function], [function]
    while stack:
        for callee in _callees(stack.pop(), held):
            if callee not in found:
                found.append(callee)
                stack.append(callee)
    return found


def _is_watched(function: FunctionType) -> bool:
    """Not products in pieces, which stand for NumPy's and have tests of their own, nor a mere number of pieces."""
    return not function.__module__.endswith(".blocks") and function.__name__ != "_threads"


def _label(function: FunctionType, records: Sequence[Primitive]) -> str:
    """``elementwise.divide.vjp`` for a rule, ``rows.sum_rows`` for a function that rules call."""
    name = function.__qualname__
    for rule in RULES:
        named = [r.name for r in records if getattr(r, rule) is function]
        if function.__name__ in {"<lambda>", *(f"{primitive}_{rule}" for primitive in named)}:  # no name of its own
            name = f"{'/'.join(named)}.{rule}" if named else name
    return f"{function.__module__.rpartition('.')[2]}.{name}"


# --- the engine ----------------------------------------------------------------------------------------


def _engine() -> Iterator[Target]:
    """Every function and method of the engine's modules, and the rules of its own primitives."""
    for name in ENGINE:
        module = importlib.import_module(f"minigrad.{name}")
        tests = _engine_tests(module.__name__)
        for label, function in sorted(_functions(module)):
            yield Target(f"{name.rpartition('.')[2]}.{label}", function, (), tests, ENGINE_CASES)


def _engine_tests(module: str) -> tuple[str, ...]:
    """The test modules of the engine, first the one that is about a module, and the examples in that."""
    *rooms, stem = module.split(".")[1:]
    own = [".".join(["tests", *rooms, f"test_{stem}"])] if TESTS.joinpath(*rooms, f"test_{stem}.py").exists() else []
    return tuple(dict.fromkeys([*own, module, *(f"tests.{name}" for name in ENGINE_TESTS)]))


def _functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """The functions that a module's file defines, by name, those of properties and primitives too."""
    found: list[tuple[str, Any]] = []
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            found += [(f"{name}.{member}", part) for member, value in vars(value).items() for part in _parts(value)]
        elif name != "_":  # a rule, which is known by its primitive
            found += [(name, part) for part in _parts(value)]
    for record in PRIMITIVES.values():
        if record.module == module.__name__:
            found += [(f"{record.name}.{rule}", getattr(record, rule)) for rule in ("forward", *RULES)]
    seen: dict[FunctionType, str] = {}
    for name, function in found:
        code = getattr(function, "__code__", None)
        if isinstance(function, FunctionType) and code is not None and code.co_filename == module.__file__:
            again = any(name == label for label in seen.values())
            seen.setdefault(function, f"{name}.setter" if again else name)
    for function, name in seen.items():
        yield name, function


def _parts(value: Any) -> list[Any]:
    """The functions of an attribute: of a property two, of a class method or a decorated function the one inside."""
    if isinstance(value, property):
        return [value.fget, value.fset]
    if hasattr(value, "primitive"):
        return []
    return [inspect.unwrap(getattr(value, "__func__", value))] if callable(value) else []
