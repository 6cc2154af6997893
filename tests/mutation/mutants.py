"""Mutants of a file: copies of its source with one small mistake each."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """One change in a file: the line, the statement before and after it, and the source of the whole file."""

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yield each mutant of a source once.

    Errors, assertions, annotations, docstrings, decorators and module-level code stay as they are.
    """
    tree = ast.parse(source)
    seen = set()
    for function in [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.Lambda))]:
        results = _results(function)
        for statement, parent, field, index, node in list(_places(function)):
            before = _first_line(statement)
            for variant in _variants(node, parent, id(node) in results):
                _put(parent, field, index, variant)
                after = _first_line(variant if node is statement else statement)
                key = (statement.lineno, statement.col_offset, before, after)
                if before != after and key not in seen:
                    seen.add(key)
                    yield Mutant(statement.lineno, before, after, ast.unparse(ast.fix_missing_locations(tree)))
                _put(parent, field, index, node)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    """Put a node into a field of its parent, or into a list there."""
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _places(function: ast.FunctionDef | ast.Lambda) -> Iterator[tuple[Any, ast.AST, str, int | None, ast.AST]]:
    """Yield each node of a function's body with its statement, its parent, and where the parent holds it.

    Nested functions and lambdas are visited on their own.
    """
    stack: list[tuple[Any, ast.AST]] = [(function, function)]
    while stack:
        statement, parent = stack.pop()
        for field, value in ast.iter_fields(parent):
            if parent is function and field != "body":
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(node, ast.AST) and not _is_skipped(node):
                    inner = node if isinstance(node, ast.stmt) else statement
                    yield inner, parent, field, index, node
                    stack.append((inner, node))


def _is_skipped(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg in _KEPT
    if isinstance(node, ast.AnnAssign):  # its annotation is not run
        return True
    return isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.Raise, ast.Assert, ast.JoinedStr,
                             ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop))  # fmt: skip


def _results(function: ast.FunctionDef | ast.Lambda) -> set[int]:
    """The expressions that a function returns, by identity: the parts of a tuple, and both choices of a condition."""
    if isinstance(function, ast.Lambda):
        stack: list[ast.AST | None] = [function.body]
    else:
        stack = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    found = set()
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Tuple):
            stack.extend(node.elts)
        elif isinstance(node, ast.IfExp):
            stack.extend([node.body, node.orelse])
        elif isinstance(node, ast.Name) or (isinstance(node, ast.Call) and _name_of(node) not in _TRUTHS):
            found.add(id(node))
    return found


def _first_line(statement: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(statement)).splitlines()[0]


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
_KEPT = {"strict", "copy"}  # keywords that change no result
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
