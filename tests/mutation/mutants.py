"""Mutants of a function: copies of it with one small mistake each.

A function's source is parsed, each place of its syntax tree is asked for variants (a sign flipped, a factor dropped,
operands swapped, …), and each variant gives a mutant: the function's code with that one change. A mutant is put in
place by :func:`install`, which exchanges the function's code object, so that every module that imported
the function, and every primitive whose rule it is, sees the mutant. Functions that it made before, such as those
that a primitive is called by, take the code that it would give them now.
"""

from __future__ import annotations

import ast
import copy
import functools
import gc
import hashlib
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One change in one function: the part of it that changes, before and after.

    A part is a statement, the head of a compound statement, or one entry of a tuple that is returned.
    """

    function: str
    line: int
    before: str
    after: str
    code: CodeType = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the mutant wherever the function moves to."""
        return self.function, self.before, self.after


def mutants(function: FunctionType, label: str) -> list[Mutant]:
    """All mutants of a plain function of a module or class, without repetitions."""
    tree = _parsed(function)
    results = _results(tree)
    found: dict[tuple[Any, ...], Mutant] = {}
    for part, parent, name, index, node in list(_places(tree)):
        before = _head(part)
        for variant in _variants(node, parent, id(node) in results):
            replaced = _put(parent, name, index, variant)
            after = _head(variant if node is part else part)
            key = (part.lineno, part.col_offset, before, after)
            if after != before and key not in found:
                found[key] = Mutant(label, part.lineno, before, after, _compile(tree, function))
            _put(parent, name, index, replaced)
    return list(found.values())


def fingerprint(function: FunctionType) -> str:
    """Changes if the function does, but for its comments, layout and place in the file."""
    return hashlib.sha256(ast.dump(_parsed(function)).encode()).hexdigest()[:16]


def announced(function: FunctionType, call: str) -> CodeType:
    """The function's code with a first statement that makes a call, written as an expression of built-ins.

    The functions in it make it too: they may run when it does not.
    """
    tree = _parsed(function)
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.FunctionDef):
            node.body[:0] = ast.parse(call).body
    return _compile(tree, function)


def install(function: FunctionType, code: CodeType) -> None:
    """Exchange a function's code, everywhere at once, and that of the functions that it has made."""
    inner = _inner(code)
    exchanged = {id(old): inner[key] for key, old in _inner(function.__code__).items() if key in inner}
    if any(not c.co_name.startswith("<") for c in exchanged.values()):
        for made in gc.get_objects():
            if type(made) is FunctionType and id(made.__code__) in exchanged:
                made.__code__ = exchanged[id(made.__code__)]
    function.__code__ = code


def _inner(code: CodeType) -> dict[tuple[str, int, int], CodeType]:
    """The code of the functions in a function, by name, line and number."""
    found: dict[tuple[str, int, int], CodeType] = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            for inner in (constant, *_inner(constant).values()):
                same = sum(key[:2] == (inner.co_name, inner.co_firstlineno) for key in found)
                found[inner.co_name, inner.co_firstlineno, same] = inner
    return found


def _parsed(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function, with the lines of its file; a lambda becomes a function that returns its value."""
    code = function.__code__
    names = list(code.co_varnames[: code.co_argcount])
    for node in _lambdas(code.co_filename):
        if node.lineno == code.co_firstlineno and [argument.arg for argument in node.args.args] == names:
            made = ast.parse("def rule(): return").body[0]
            assert isinstance(made, ast.FunctionDef)
            made.args, made.body = node.args, [ast.copy_location(ast.Return(node.body), node.body)]
            return copy.deepcopy(ast.copy_location(made, node))
    lines, start = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.decorator_list = []
    ast.increment_lineno(tree, start - 1)
    bare: ast.FunctionDef = _Bare().visit(tree)
    return bare


@functools.cache
def _lambdas(path: str) -> list[ast.Lambda]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8")) if Path(path).is_file() else ast.Module([], [])
    return [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]


def _compile(tree: ast.FunctionDef, function: FunctionType) -> CodeType:
    """The code of a function's tree, with the free variables of the function, as an exchange of code demands."""
    tree = copy.deepcopy(tree)
    free = {key[:2]: c.co_freevars for key, c in _inner(function.__code__).items()}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            _hold(node, function.__code__.co_freevars if node is tree else free.get((node.name, first), ()))
    variables = ", ".join(function.__code__.co_freevars)
    around = ast.parse(f"def around({variables}):\n    global {tree.name}").body[0]
    assert isinstance(around, ast.FunctionDef)
    around.body.append(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # of 1[None], where a part of (1 - x)[None] is dropped
        module = compile(ast.fix_missing_locations(ast.Module([around], [])), function.__code__.co_filename, "exec")
    code = next(c for key, c in _inner(module).items() if key[:2] == (tree.name, tree.lineno))
    assert code.co_freevars == function.__code__.co_freevars
    now = {key[:2]: c.co_freevars for key, c in _inner(code).items()}
    assert all(now[key] == names for key, names in free.items() if key in now and not key[0].startswith("<"))
    return code


def _hold(function: ast.FunctionDef, names: Sequence[str]) -> None:
    """Keep variables of outer functions among those of a function, whether it still uses them or not."""
    if names:
        held = ast.Expr(ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load()))
        function.body[:0] = [ast.If(ast.Constant(False), [held], [])]


class _Bare(ast.NodeTransformer):
    """Takes away annotations, which are not executed when the function runs."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _put(parent: ast.AST, name: str, index: int | None, node: Any) -> Any:
    """Put a node into its parent's field, or a list in it, and give back the old one."""
    if index is None:
        old = getattr(parent, name)
        setattr(parent, name, node)
    else:
        nodes = getattr(parent, name)
        old, nodes[index] = nodes[index], node
    return old


def _places(tree: ast.FunctionDef) -> Iterator[tuple[Any, ast.AST, str, int | None, ast.AST]]:
    """Each node of the body with the part of the function it is in, its parent, and where the parent holds it."""
    stack: list[tuple[Any, ast.AST]] = [(None, tree)]
    while stack:
        part, parent = stack.pop()
        returned = isinstance(part, ast.Return) and part.value is parent and isinstance(parent, ast.Tuple)
        for name, value in ast.iter_fields(parent):
            if parent is tree and name != "body":
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(node, ast.AST) and not _is_passed_over(node):
                    inner = node if returned or isinstance(node, ast.stmt) else part
                    yield inner, parent, name, index, node
                    stack.append((inner, node))


def _is_passed_over(node: ast.AST) -> bool:
    """Errors, their texts, assertions, ``strict=True``, a check of its own, and ``copy=False``, which saves a copy."""
    return (isinstance(node, ast.keyword) and node.arg in _KEPT) or isinstance(
        node, (ast.Raise, ast.Assert, ast.JoinedStr, ast.expr_context, ast.operator, ast.cmpop)
    )


def _results(tree: ast.FunctionDef) -> set[int]:
    """The expressions that the function returns, by identity; of a tuple and of a choice its parts."""
    found = set()
    stack: list[ast.AST | None] = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Tuple):
            stack.extend(node.elts)
        elif isinstance(node, ast.IfExp):
            stack.extend([node.body, node.orelse])
        elif isinstance(node, ast.Name) or (isinstance(node, ast.Call) and _name_of(node) not in _TRUTHS):
            found.add(id(node))
    return found


def _head(statement: ast.AST) -> str:
    """A statement in one line; of a compound one its first line."""
    return ast.unparse(statement).splitlines()[0]


# --- the variants of a node ----------------------------------------------------------------------------

_COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
                ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
                ast.NotIn: ast.In}  # fmt: skip
_OPERATORS: dict[type, list[type]] = {
    ast.Add: [ast.Sub], ast.Sub: [ast.Add], ast.Mult: [ast.Add], ast.Div: [ast.Mult], ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd], ast.Mod: [ast.FloorDiv], ast.FloorDiv: [ast.Mult],
}  # fmt: skip
_ORDERED = (ast.Sub, ast.Div, ast.Pow, ast.MatMult)  # operators whose operands do not commute
_SCALING = (ast.Mult, ast.Div, ast.MatMult)  # a sign in an operand is a sign of the result
_RENAMED = {
    "multiply": "add", "add": "subtract", "subtract": "add", "sum": "mean", "mean": "sum", "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "zeros": "ones", "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh", "tril": "triu",
    "triu": "tril", "maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "all": "any", "any": "all",
    "exp": "expm1", "cumprod": "cumsum",
}  # fmt: skip
_COMMUTATIVE = {"multiply", "add", "hypot", "isinstance", "maximum", "minimum", "result_type", "zip", "swapaxes",
                "min", "max"}  # fmt: skip
_TRUTHS = {"any", "all", "bool", "isinstance", "hasattr", "callable"}  # true or not, they have no sign
_KEPT = {"strict", "copy"}  # keywords that are left alone
_MAKERS = {"zeros", "ones", "empty", "full", "arange", "ndindex", "errstate", "zeros_like", "ones_like", "empty_like"}


def _name_of(call: ast.Call) -> str:
    """``where`` for np.where(…), x.where(…) and where(…)."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _variants(node: Any, parent: ast.AST, is_result: bool) -> Iterator[ast.AST]:
    """Nodes to put in place of one, each of them a small mistake."""
    if is_result or _wants_sign(node, parent):
        yield ast.UnaryOp(ast.USub(), node)
    rule = _RULES.get(type(node))
    if rule is not None:
        yield from rule(node)


def _wants_sign(node: ast.AST, parent: ast.AST) -> bool:
    """Whether to insert a minus: at sums and products as a whole, and at what is multiplied in place."""
    if isinstance(parent, ast.AugAssign):
        return isinstance(parent.op, (ast.Mult, ast.Div)) and node is parent.value
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, *_SCALING))):
        return False
    inside = isinstance(parent, ast.BinOp) and isinstance(parent.op, _SCALING)
    size = isinstance(parent, ast.Call) and _name_of(parent) == "reshape"  # any negative length means the rest
    return not inside and not size and not isinstance(parent, (ast.UnaryOp, ast.Slice, ast.Subscript))


def _changed(node: Any, **fields: Any) -> Any:
    """A shallow copy with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _binary(node: ast.BinOp) -> Iterator[ast.AST]:
    for operator in _OPERATORS.get(type(node.op), []):
        yield _changed(node, op=operator())
    if isinstance(node.op, _ORDERED):
        yield _changed(node, left=node.right, right=node.left)
    if not isinstance(node.op, ast.MatMult):  # a term or a factor dropped
        yield node.left
        yield node.right


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for i, operator in enumerate(node.ops):
        yield _changed(node, ops=[*node.ops[:i], _COMPARISONS[type(operator)](), *node.ops[i + 1 :]])


def _boolean(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    yield from node.values


def _choice(node: ast.IfExp) -> Iterator[ast.AST]:
    if _is_need(node.test):
        return  # the test has its own variant, and the other choice, None, is an error of the engine
    yield node.body
    yield node.orelse


def _is_need(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "needs"


def _subscript(node: ast.Subscript) -> Iterator[ast.AST]:
    if _is_need(node):
        yield ast.Constant(True)


def _slice(node: ast.Slice) -> Iterator[ast.AST]:
    for part in ("lower", "upper", "step"):
        if getattr(node, part) is not None:
            yield _changed(node, **{part: None})


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value:
            yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value / 2)
    elif value == "ignore":  # of np.errstate
        yield ast.Constant("warn")


def _attribute(node: ast.Attribute) -> Iterator[ast.AST]:
    if node.attr == "T":
        yield node.value
    elif node.attr in _RENAMED:
        yield _changed(node, attr=_RENAMED[node.attr])


def _call(node: ast.Call) -> Iterator[ast.AST]:
    name, arguments = _name_of(node), node.args
    if name not in _COMMUTATIVE and not any(isinstance(a, ast.Starred) for a in arguments):
        for i in range(len(arguments) - 1):
            yield _changed(node, args=[*arguments[:i], arguments[i + 1], arguments[i], *arguments[i + 2 :]])
    for i in range(len(node.keywords)):
        if node.keywords[i].arg not in _KEPT:
            yield _changed(node, keywords=[*node.keywords[:i], *node.keywords[i + 1 :]])
    if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", None) not in ("np", "math", "self"):
        yield node.func.value  # a method dropped: x.sum(axis=0) becomes x
    elif arguments and name not in _MAKERS and not isinstance(arguments[0], ast.Starred):
        yield arguments[0]  # a function dropped: np.sign(x) becomes x


def _comprehension(node: ast.comprehension) -> Iterator[ast.AST]:
    for i in range(len(node.ifs)):
        yield _changed(node, ifs=[*node.ifs[:i], *node.ifs[i + 1 :]])


def _if(node: ast.If) -> Iterator[ast.AST]:
    if not _is_need(node.test):
        yield _changed(node, test=ast.Constant(True))
        yield _changed(node, test=ast.Constant(False))


def _augmented(node: ast.AugAssign) -> Iterator[ast.AST]:
    yield ast.Pass()
    for operator in _OPERATORS.get(type(node.op), []):
        yield _changed(node, op=operator())
    target: Any = copy.deepcopy(node.target)
    yield ast.Assign([target], node.value, lineno=node.lineno)  # += becomes =


def _assignment(node: ast.Assign) -> Iterator[ast.AST]:
    if all(isinstance(target, (ast.Subscript, ast.Attribute)) for target in node.targets):
        yield ast.Pass()


def _with(node: ast.With) -> Iterator[ast.AST]:
    for i, item in enumerate(node.items):
        context = item.context_expr
        if item.optional_vars is None and not (isinstance(context, ast.Call) and _name_of(context) == "errstate"):
            rest = [*node.items[:i], *node.items[i + 1 :]]
            yield _changed(node, items=rest) if rest else ast.If(ast.Constant(True), node.body, [])


def _expression(node: ast.Expr) -> Iterator[ast.AST]:
    if not isinstance(node.value, ast.Constant):  # no docstring
        yield ast.Pass()


def _continue(node: ast.Continue) -> Iterator[ast.AST]:
    yield ast.Break()


_RULES: dict[type, Callable[[Any], Iterator[Any]]] = {
    ast.BinOp: _binary, ast.UnaryOp: _unary, ast.Compare: _comparison, ast.BoolOp: _boolean, ast.IfExp: _choice,
    ast.Subscript: _subscript, ast.Slice: _slice, ast.Constant: _constant, ast.Attribute: _attribute, ast.Call: _call,
    ast.comprehension: _comprehension, ast.If: _if, ast.AugAssign: _augmented, ast.Assign: _assignment,
    ast.Expr: _expression, ast.Continue: _continue, ast.With: _with,
}  # fmt: skip
