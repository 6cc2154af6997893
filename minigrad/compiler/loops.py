"""Turn a graph into loops over rows and columns, as LLVM text.

Sums over rows are complete only after a loop over all of them, and sums of a row only after a loop over its columns. So
values are computed in *passes* over the rows, and within a row in *phases* over its columns. For softmax, one pass of
three phases::

    for each row:
        for each column:  top = max(top, x)
        for each column:  e = exp(x - top);  total += e
        for each column:  y = e / total

An entry that a later phase needs again is computed again if that is cheap, and else kept in a row of scratch memory,
which stays in the cache. Entries are floats of the arrays' dtype, numbers of rows, columns and sums are doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .functions import Lines, number, text_of_functions
from .tracing import REDUCTIONS, Node, Untraceable

__all__ = ["Loops", "print_kernel"]

_OPERATIONS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INTRINSICS = {"sqrt": "sqrt", "absolute": "fabs", "maximum": "maximum", "minimum": "minimum", "copysign": "copysign",
               "floor": "floor", "rint": "rint"}  # fmt: skip
_TESTS = {"less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq",
          "not_equal": "une"}  # fmt: skip
_INT_TESTS = {"less": "slt", "less_equal": "sle", "greater": "sgt", "greater_equal": "sge", "equal": "eq",
              "not_equal": "ne"}  # fmt: skip
_LOGIC = {"logical_and": "and", "logical_or": "or"}
_COSTS = {"divide": 4, "sqrt": 6, "exp": 20, "expm1": 20, "tanh": 25, "log": 25, "log1p": 30}  # in additions
_RUN = 1024  # entries of a row that are summed in the arrays' dtype, before the sum is added to the row's total
_ROWS = 32  # rows, the same for sums of columns
_DEAR = 6  # an entry that costs more is kept for later phases
_MEMORY = {"float": "float", "double": "double", "bool": "i8", "int": "i64"}


def _order(outputs: Sequence[Node]) -> list[Node]:
    """Return the nodes that outputs need, inputs first."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        if node not in found:
            for x in node.inputs:
                visit(x)
            found[node] = None

    for node in outputs:
        visit(node)
    return list(found)


class _Plan:
    """The pass and phase of each value."""

    def __init__(self, outputs: Sequence[Node]) -> None:
        self.nodes = _order(outputs)
        self.passes: dict[Node, int] = {}
        self.phases: dict[Node, int] = {}
        for v in self.nodes:
            self.passes[v] = at = max((self.passes[a] + (a.op == "csum") for a in v.inputs), default=0)
            ready = max((self.phases[a] for a in v.inputs if self.passes[a] == at), default=0)
            self.phases[v] = ready + (v.op in ("rsum", "rmax"))

    def cost(self, v: Node, keep: int) -> int:
        """Return what it takes to compute an entry in a later phase, in additions."""
        if v.kind != "E" or v.op == "argument" or keep < 0:
            return 1
        return _COSTS.get(v.op, 1) + sum(self.cost(a, keep - 1) for a in v.inputs)


class Loops(Lines):
    """Prints one function: ``void name(i64 M, i64 K, arguments, outputs, scratch)``.

    Arrays are pointers, with the pitch of their rows if it is not K, and numbers doubles. ``into`` maps an output to
    the argument whose memory it overwrites.
    """

    def __init__(self, outputs: Sequence[Node], float: str, into: dict[Node, Node]) -> None:
        super().__init__()
        self.outputs, self.float, self.into = list(dict.fromkeys(outputs)), float, into
        self.plan = _Plan(outputs)
        self.arguments = sorted({v for v in self.plan.nodes if v.op == "argument"}, key=lambda v: v.args[0])
        self.kept: dict[
            tuple[str, Node], None
        ] = {}  # what needs scratch memory: rows, sums of columns, numbers of rows
        known = -1
        while known != len(self.kept):  # until no phase needs a value that no earlier one has kept
            known = len(self.kept)
            self.lines, self.count = [], 0
            self.functions: set[tuple[str, str]] = set()
            self.write()

    # --- the parts of the function

    def write(self) -> None:
        self.tops = []
        self.numbers: dict[Node, str] = {}  # S
        last = max(self.plan.passes.values(), default=0)
        for self.now in range(last + 2):
            here = [v for v in self.plan.nodes if self.plan.passes[v] == self.now]
            for v in here:
                if v.kind == "S" and v.op != "csum":
                    self.scalar(v)
            self.columns([v for v in here if v.kind == "C" and v.op not in ("csum", "argument", "column")])
            reductions = [v for v in here if v.op in REDUCTIONS or v.op == "pick"]
            results = [v for v in here if v.kind in "ER" and v in self.outputs]
            if reductions or results:
                self.rows(here, [v for v in here if v.op == "csum"])
        for v in self.outputs:
            if v.kind == "S":
                self.store(v, "0", self.scalar(v), "double")

    def columns(self, wanted: list[Node]) -> None:
        """Compute numbers of columns from complete sums, and keep them for the loops over rows."""
        sums = [v for v in self.plan.nodes if v.op == "csum" and v.kind == "C" and self.plan.passes[v] == self.now - 1]
        if not wanted and not any(v in self.outputs for v in sums):
            return
        with self.loop("%K") as k:
            memo: dict[Node, str] = {}
            for v in wanted:
                x = self.column(v, k, memo)
                if v.type == "float":
                    self.keep("column", v, k, x, "double")
            for v in (*wanted, *sums):
                if v in self.outputs:
                    self.store(v, k, self.column(v, k, memo), "double")

    def column(self, v: Node, k: str, memo: dict[Node, str]) -> str:
        """Return a number of column k, as a double."""
        if v.kind == "S":
            return self.scalar(v)
        if v not in memo:
            if v.op == "csum" or (self.plan.passes[v] < self.now and v.op != "argument" and v.type == "float"):
                memo[v] = self.recall("column" if v.op != "csum" else "sum", v, k, "double")
            elif v.op == "argument":
                memo[v] = self.cast(self.load(v, k), self.type_of(v), "double")
            else:
                memo[v] = self.operation(v, [self.column(a, k, memo) for a in v.inputs], "double")
        return memo[v]

    def rows(self, here: list[Node], sums: list[Node]) -> None:
        """Write one pass over the rows."""
        for v in sums:
            if v.kind == "C":
                with self.loop("%K") as k:
                    self.keep("sum", v, k, number(0.0, "double"), "double")
                    self.keep("run", v, k, number(0.0, self.float), self.float)
            else:
                self.accumulator(v, 0.0)
        with self.loop("%M") as self.m:
            self.of_row: dict[tuple[Node, str], str] = {}
            self.starts: dict[Node, str] = {}
            head = len(self.lines)
            phases = 1 + max(self.plan.phases[v] for v in here)
            for self.phase in range(phases):
                now = [v for v in here if self.plan.phases[v] == self.phase]
                for v in now:
                    if v.kind == "R":
                        self.finish(v)
                    if v.op == "csum" and v.kind == "S":
                        self.accumulate(v, self.row(v.inputs[0]), "add")
                self.columns_of_row(now, [v for v in here if v.op in ("rsum", "rmax")
                                          and self.plan.phases[v] == self.phase + 1])  # fmt: skip
            self.lines[head:head] = [
                line
                for v, name in self.starts.items()
                for line in (
                    f"{name}.at = mul i64 {self.m}, {self.pitch(v)}",
                    f"{name} = getelementptr inbounds {self.type_in_memory(v)}, ptr {self.pointer(v)}, i64 {name}.at",
                )
            ]
            if columns := [v for v in sums if v.kind == "C"]:
                self.flush(columns)

    def flush(self, sums: list[Node]) -> None:
        """After a number of rows, and the last one, add the sums of columns so far to the totals."""
        after = self.new(f"add i64 {self.m}, 1")
        part = self.new(f"urem i64 {after}, {_ROWS}")
        full, last = self.new(f"icmp eq i64 {part}, 0"), self.new(f"icmp eq i64 {after}, %M")
        count = self.new(f"select i1 {self.new(f'or i1 {full}, {last}')}, i64 %K, i64 0")
        with self.loop(count) as k:
            for v in sums:
                x = self.cast(self.recall("run", v, k, self.float), self.float, "double")
                total = self.new(f"fadd double {self.recall('sum', v, k, 'double')}, {x}")
                self.keep("sum", v, k, total, "double")
                self.keep("run", v, k, number(0.0, self.float), self.float)

    def finish(self, v: Node) -> None:
        """Store a number of the row if it is an output, or keep it for later passes."""
        if v in self.outputs:
            self.store(v, self.m, self.row(v), "double")
        if ("row", v) in self.kept:
            self.keep("row", v, self.m, self.row(v), "double")

    def columns_of_row(self, now: list[Node], reductions: list[Node]) -> None:
        """Write the loop over the columns of one phase."""
        stored = [v for v in now if v.kind == "E" and (v in self.outputs or ("entry", v) in self.kept)]
        sums = [v for v in now if v.op == "csum" and v.kind == "C"]
        if not (stored or sums or reductions):
            return
        for v in reductions:
            self.accumulator(v, 0.0 if v.op == "rsum" else -math.inf)
        needed = [*stored, *(v.inputs[0] for v in (*sums, *reductions))]
        self.prepare(needed)
        if any(v.op == "rsum" for v in reductions):
            with self.loop("%K", step=_RUN) as start:
                end = self.new(f"add i64 {start}, {_RUN}")
                end = self.new(f"call i64 @llvm.umin.i64(i64 {end}, i64 %K)")
                for v in reductions:
                    if v.op == "rsum":
                        self.lines.append(
                            f"store {self.float} {number(0.0, self.float)}, ptr {self.accumulators[v]}.run"
                        )
                with self.loop(end, start) as self.k:
                    self.column_of_row(stored, sums, reductions)
                for v in reductions:
                    if v.op == "rsum":
                        x = self.new(f"load {self.float}, ptr {self.accumulators[v]}.run")
                        self.accumulate(v, self.cast(x, self.float, "double"), "add")
        else:
            with self.loop("%K") as self.k:
                self.column_of_row(stored, sums, reductions)

    def column_of_row(self, stored: list[Node], sums: list[Node], reductions: list[Node]) -> None:
        """Write the inside of a loop over columns."""
        self.entries: dict[Node, str] = {}
        for v, x in [(v, self.entry(v)) for v in stored]:  # all are computed before an argument is overwritten
            if v in self.outputs:
                self.store(v, self.k, x, v.type)
            if ("entry", v) in self.kept:
                self.keep("entry", v, self.k, x, self.float)
        for v in sums:
            total = self.recall("run", v, self.k, self.float)
            new = self.new(f"fadd {self.float} {total}, {self.entry(v.inputs[0])}")
            self.keep("run", v, self.k, new, self.float)
        for v in reductions:
            x = self.entry(v.inputs[0])
            if v.op == "rmax":
                self.accumulate(v, x, "maximum")
            else:
                self.accumulate(v, x, "add", ".run", self.float)

    def prepare(self, needed: list[Node]) -> None:
        """Before a loop over columns, compute the numbers of the row and the starts of rows that it needs."""
        seen: set[Node] = set()

        def visit(v: Node) -> None:
            if v in seen:
                return
            seen.add(v)
            if v.kind == "R":
                self.row(v, self.float)
            elif v.kind == "S" and v.op != "constant":
                wide = self.scalar(v)
                self.cached(v, lambda: self.cast(wide, "double", self.float) if v.type == "float" else wide, self.float)
            elif v.op != "argument" and (v.kind == "E" or v.type != "float"):  # numbers of columns are kept
                for a in v.inputs:
                    visit(a)

        for v in needed:
            visit(v)

    # --- values

    def scalar(self, v: Node) -> str:
        """Return a number as a double."""
        if v not in self.numbers:
            if v.op == "constant":
                self.numbers[v] = number(v.args[0], "double")
            elif v.op == "argument":
                self.numbers[v] = f"%a{v.args[0]}"
            elif v.op in ("rows", "columns"):
                self.numbers[v] = self.new(f"sitofp i64 {'%M' if v.op == 'rows' else '%K'} to double")
            elif v.op == "csum":
                self.numbers[v] = self.new(f"load double, ptr {self.accumulators[v]}")
            else:
                self.numbers[v] = self.operation(v, [self.scalar(a) for a in v.inputs], "double")
        return self.numbers[v]

    def cached(self, v: Node, make: Callable[[], str], type: str) -> str:
        """Return a number of the row in a type; compute it when it is first needed."""
        if (v, type) not in self.of_row:
            self.of_row[v, type] = make()
        return self.of_row[v, type]

    def row(self, v: Node, type: str = "double") -> str:
        """Return a number of row m."""
        if v.type != "float":
            return self.cached(v, lambda: self.row_made(v), v.type)
        wide = self.scalar(v) if v.kind == "S" else self.cached(v, lambda: self.row_made(v), "double")
        return wide if type == "double" else self.cached(v, lambda: self.cast(wide, "double", type), type)

    def row_made(self, v: Node) -> str:
        if v.op == "argument":
            return self.cast(self.load(v, self.m), self.type_of(v), "double")
        if v.op in ("rsum", "rmax", "pick"):
            if self.plan.passes[v] < self.now:
                return self.recall("row", v, self.m, "double")
            if v.op == "pick":
                start = self.start(v.inputs[0])
                place = self.new(f"getelementptr inbounds {self.float}, ptr {start}, i64 {self.row(v.inputs[1])}")
                return self.cast(self.new(f"load {self.float}, ptr {place}"), self.float, "double")
            x = self.new(f"load {self.accumulator_type(v)}, ptr {self.accumulators[v]}")
            if v.op == "rmax":
                found = self.new(f"load i1, ptr {self.accumulators[v]}.nan")
                x = self.select(found, number(math.nan, self.float), x, self.float)
            return self.cast(x, self.accumulator_type(v), "double")
        return self.operation(v, [self.row(a) for a in v.inputs], "double")

    def entry(self, v: Node) -> str:
        """Return the entry of row m and column k."""
        if v.kind == "R":
            return self.row(v, self.float)
        if v.kind == "S":
            return number(v.args[0], self.float) if v.op == "constant" else self.of_row[v, self.float]
        if v not in self.entries:
            self.entries[v] = self.entry_made(v)
        return self.entries[v]

    def entry_made(self, v: Node) -> str:
        if v.op == "column":
            return self.k
        if v.op == "argument":
            return self.load(v, self.k)
        if v.kind == "C" and v.type == "float":
            return self.cast(
                self.recall("sum" if v.op == "csum" else "column", v, self.k, "double"), "double", self.float
            )
        earlier = (self.plan.passes[v], self.plan.phases[v]) < (self.now, self.phase)
        if earlier and v in self.outputs and v not in self.into:
            return self.load(v, self.k)
        if earlier and self.plan.passes[v] == self.now and self.plan.cost(v, _DEAR) > _DEAR and v.type == "float":
            return self.recall("entry", v, self.k, self.float)
        return self.operation(v, [self.entry(a) for a in v.inputs], self.float)

    def operation(self, v: Node, args: list[str], type: str) -> str:
        """Write an operation on entries, or on numbers."""
        suffix = "f32" if type == "float" else "f64"
        integers = any(a.type == "int" for a in v.inputs)
        if v.op in _OPERATIONS:
            return self.new(f"{_OPERATIONS[v.op]} contract {type} {', '.join(args)}")
        if v.op == "negative":
            return self.new(f"fneg {type} {args[0]}")
        if v.op in _INTRINSICS:
            return self.new(f"call {type} @llvm.{_INTRINSICS[v.op]}.{suffix}({', '.join(f'{type} {a}' for a in args)})")
        if v.op in _TESTS and integers:
            args = [str(int(a.args[0])) if a.op == "constant" else x for a, x in zip(v.inputs, args, strict=True)]
            return self.new(f"icmp {_INT_TESTS[v.op]} i64 {', '.join(args)}")
        if v.op in _TESTS:
            return self.new(f"fcmp {_TESTS[v.op]} {type} {', '.join(args)}")
        if v.op in _LOGIC:
            return self.new(f"{_LOGIC[v.op]} i1 {', '.join(args)}")
        if v.op == "logical_not":
            return self.new(f"xor i1 {args[0]}, true")
        if v.op == "where":
            return self.select(args[0], args[1], args[2], type)
        self.functions.add((v.op, type))
        return self.new(f"call {type} @{v.op}.{type}({type} {args[0]})")

    def cast(self, x: str, old: str, new: str) -> str:
        if old == new or old in ("bool", "int"):
            return x
        return self.new(f"{'fpext' if new == 'double' else 'fptrunc'} {old} {x} to {new}")

    # --- memory

    def accumulator_type(self, v: Node) -> str:
        return self.float if v.op == "rmax" else "double"

    def accumulator(self, v: Node, start: float) -> None:
        self.accumulators = getattr(self, "accumulators", {})
        type = self.accumulator_type(v)
        name = self.accumulators[v] = f"%sum{self.plan.nodes.index(v)}"
        if f"{name} = alloca {type}" not in self.tops:
            self.tops.append(f"{name} = alloca {type}")
            self.tops += [f"{name}.run = alloca {self.float}", f"{name}.nan = alloca i1"]
        self.lines += [f"store {type} {number(start, type)}, ptr {name}", f"store i1 false, ptr {name}.nan"]

    def accumulate(self, v: Node, x: str, how: str, part: str = "", type: str = "") -> None:
        type, name = type or self.accumulator_type(v), self.accumulators[v] + part
        old = self.new(f"load {type}, ptr {name}")
        if how == "add":  # in any order, so that several can be added at once
            new = self.new(f"fadd reassoc {type} {old}, {x}")
        else:  # numbers and NaN apart, which vectors do faster than a maximum that keeps NaN
            suffix = "f32" if type == "float" else "f64"
            new = self.new(f"call nnan nsz {type} @llvm.maxnum.{suffix}({type} {old}, {type} {x})")
            found = self.new(f"load i1, ptr {name}.nan")
            found = self.new(f"or i1 {found}, {self.new(f'fcmp uno {type} {x}, {x}')}")
            self.lines.append(f"store i1 {found}, ptr {name}.nan")
        self.lines.append(f"store {type} {new}, ptr {name}")

    def pointer(self, v: Node) -> str:
        if v in self.into:
            v = self.into[v]
        return f"%a{v.args[0]}" if v.op == "argument" else f"%o{self.outputs.index(v)}"

    def pitch(self, v: Node) -> str:
        """Return how many entries a row begins after the previous one."""
        v = self.into.get(v, v)
        return f"%p{v.args[0]}" if v.op == "argument" and len(v.args) > 1 else "%K"

    def type_of(self, v: Node) -> str:
        return self.float if v.type == "float" else v.type

    def type_in_memory(self, v: Node) -> str:
        return _MEMORY[self.type_of(v)]

    def start(self, v: Node) -> str:
        """Return the address of row m, or of the first number of columns or rows."""
        if v.kind != "E":
            return self.pointer(v)
        return self.starts.setdefault(v, f"%r{self.now}.{len(self.starts)}")

    def load(self, v: Node, i: str) -> str:
        type = self.type_in_memory(v)
        place = self.new(f"getelementptr inbounds {type}, ptr {self.start(v)}, i64 {i}")
        x = self.new(f"load {type}, ptr {place}")
        return self.new(f"icmp ne i8 {x}, 0") if type == "i8" else x

    def store(self, v: Node, i: str, x: str, type: str) -> None:
        memory = self.type_in_memory(v)
        if v.type == "bool":
            x = self.new(f"zext i1 {x} to i8")
        elif type not in ("float", "bool", "int"):
            x = self.cast(x, type, memory)
        place = self.new(f"getelementptr inbounds {memory}, ptr {self.start(v)}, i64 {i}")
        self.lines.append(f"store {memory} {x}, ptr {place}")

    def place(self, what: str, v: Node, i: str, type: str) -> str:
        """Return the address of a number in scratch memory; each part has K or M places of 8 bytes."""
        self.kept.setdefault((what, v))
        number = list(self.kept).index((what, v))
        return self.new(f"getelementptr inbounds {type}, ptr %s{number}, i64 {i}")

    def keep(self, what: str, v: Node, i: str, x: str, type: str) -> None:
        place = self.place(what, v, i, type)
        self.lines.append(f"store {type} {x}, ptr {place}")

    def recall(self, what: str, v: Node, i: str, type: str) -> str:
        return self.new(f"load {type}, ptr {self.place(what, v, i, type)}")

    # --- text

    @property
    def flat(self) -> bool:
        """Whether the rows may count as one long row."""
        return all(v.kind in "ES" and v.op not in REDUCTIONS and self.pitch(v) == "%K" for v in self.plan.nodes)

    @property
    def splits(self) -> bool:
        """Whether some rows can be computed without the others, but for sums, which can be added."""
        return not any(self.plan.passes.values()) and all(v.op == "csum" for v in self.outputs if v.kind in "CS")

    @property
    def scratch(self) -> tuple[int, int]:
        """The parts of scratch memory of K and of M places."""
        of_rows = sum(what == "row" for what, _ in self.kept)
        return len(self.kept) - of_rows, of_rows

    def parameters(self) -> list[tuple[str, str]]:
        """Return the type and name of each parameter: M, K, arguments with the pitch of rows, outputs, scratch."""
        parameters = [("i64", "%M"), ("i64", "%K")]
        for a in self.arguments:
            parameters.append(("double" if a.kind == "S" else "ptr", f"%a{a.args[0]}"))
            parameters += [("i64", self.pitch(a))] if len(a.args) > 1 else []
        parameters += [("ptr", f"%o{i}") for i, v in enumerate(self.outputs) if v not in self.into]
        return [*parameters, ("ptr", "%scratch")]

    def text(self, name: str, linkage: str = "") -> str:
        """Return the function, with those that it calls."""
        alone = {n for type, n in self.parameters() if type == "ptr" and not (self.into and n.startswith("%a"))}
        # What is overwritten may be given twice; all other memory is used under one name only.
        parameters = ", ".join(f"{type} {'noalias ' * (n in alone)}{n}" for type, n in self.parameters())
        starts, columns, rows = [], 0, 0
        for i, (what, _) in enumerate(self.kept):
            starts += [f"%n{i} = mul i64 {'%K'}, {columns if what != 'row' else self.scratch[0]}",
                       f"%l{i} = mul i64 %M, {rows if what == 'row' else 0}", f"%t{i} = add i64 %n{i}, %l{i}",
                       f"%s{i} = getelementptr inbounds double, ptr %scratch, i64 %t{i}"]  # fmt: skip
            columns, rows = columns + (what != "row"), rows + (what == "row")
        body = "\n  ".join([*self.tops, *starts, *self.lines, "ret void"])
        return f"define {linkage} void @{name}({parameters}) {{\n  {body}\n}}\n" + text_of_functions(self.functions)

    def text_for_objects(self, name: str, offset: int) -> str:
        """Return the function of array objects, each with the address of its entries at an offset."""
        lines = []
        for type, n in self.parameters():
            if type == "ptr":
                lines += [
                    f"{n}.place = getelementptr i8, ptr {n}.object, i64 {offset}",
                    f"{n} = load ptr, ptr {n}.place",
                ]
        outer = ", ".join(f"{type} {n}{'.object' * (type == 'ptr')}" for type, n in self.parameters())
        inner = ", ".join(f"{type} {n}" for type, n in self.parameters())
        lines += [f"call void @{name}.addresses({inner})", "ret void"]
        body = "\n  ".join(lines)
        return f"define void @{name}({outer}) {{\n  {body}\n}}\n" + self.text(f"{name}.addresses", "internal")


def print_kernel(outputs: Sequence[Node], float: str, into: dict[Node, Node] | None = None) -> Loops:
    """Return the function that computes outputs, for entries of type ``float`` or ``double``.

    >>> from .tracing import Graph
    >>> import numpy as np
    >>> x = Graph(np.dtype(np.float32)).argument("E", ndim=1)
    >>> "fmul contract float" in print_kernel([(x * x).node], "float").text("square")
    True
    """
    kernel = Loops(outputs, float, into or {})
    if into and max(kernel.plan.phases[v] + kernel.plan.passes[v] for v in into):
        raise Untraceable("an argument that is overwritten must be computed entry by entry")
    return kernel
