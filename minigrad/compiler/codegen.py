"""Turn a graph into loops over rows and columns, as LLVM text.

A sum over rows is complete only after a loop over all rows, and a sum of a row only after a loop over its columns. So
the kernel computes values in *passes* over the rows, and within each row in *phases* over its columns. Softmax needs
one pass of three phases::

    for each row:
        for each column:  top = max(top, x)
        for each column:  e = exp(x - top);  total += e
        for each column:  y = e / total

A phase recomputes a cheap entry of an earlier phase. It loads an expensive one from a row of scratch memory, which
stays in the cache. All values have the arrays' dtype, except that Python floats and totals of sums are doubles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .elementary_functions import Lines, literal, text_of_functions
from .tracing import REDUCTIONS, Node, Untraceable
from .workers import SHARE, packed

__all__ = ["Loops", "print_kernel"]

_OPERATIONS = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INTRINSICS = {"sqrt": "sqrt", "absolute": "fabs", "maximum": "maximum", "minimum": "minimum", "copysign": "copysign",
               "floor": "floor", "rint": "rint"}  # fmt: skip
_COMPARISONS = {"less": "olt", "less_equal": "ole", "greater": "ogt", "greater_equal": "oge", "equal": "oeq",
          "not_equal": "une"}  # fmt: skip
_INTEGER_COMPARISONS = {"less": "slt", "less_equal": "sle", "greater": "sgt", "greater_equal": "sge", "equal": "eq",
              "not_equal": "ne"}  # fmt: skip
_LOGIC = {"logical_and": "and", "logical_or": "or"}
_COSTS = {"divide": 4, "sqrt": 6, "exp": 20, "expm1": 20, "tanh": 25, "log": 25, "log1p": 30}  # an addition costs 1
_EXPENSIVE = 6  # entries that cost more are kept for later phases
# A partial sum covers this many columns or rows. It has the arrays' dtype, so that a vector instruction adds more
# entries at once. The total that it is added to is in double precision.
_PARTIAL_COLUMNS = 1024
_PARTIAL_ROWS = 32
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
        """Return the cost of recomputing an entry in a later phase, relative to an addition."""
        if v.kind != "E" or v.op == "argument" or keep < 0:
            return 1
        return _COSTS.get(v.op, 1) + sum(self.cost(a, keep - 1) for a in v.inputs)


class Loops(Lines):
    """The text of one function, ``void name(i64 M, i64 K, arguments, outputs, scratch)``.

    Arrays are pointers, followed by the pitch of their rows if that is not K. Single numbers are doubles. ``into`` maps
    an output to the argument that it overwrites.
    """

    def __init__(self, outputs: Sequence[Node], float: str, into: dict[Node, Node]) -> None:
        super().__init__()
        self.outputs, self.float, self.into = list(dict.fromkeys(outputs)), float, into
        self.plan = _Plan(outputs)
        self.arguments = sorted({v for v in self.plan.nodes if v.op == "argument"}, key=lambda v: v.args[0])
        self.kept: dict[tuple[str, Node], None] = {}  # the values in scratch memory
        known = -1
        while known != len(self.kept):  # repeat until no phase loads a value that an earlier phase did not keep
            known = len(self.kept)
            self.lines, self.count = [], 0
            self.functions: set[tuple[str, str]] = set()
            self.write()

    # --- the parts of the function

    def write(self) -> None:
        self.prologue = []
        self.numbers: dict[Node, str] = {}  # of kind S
        self.accumulators: dict[Node, str] = {}
        last = max(self.plan.passes.values(), default=0)
        for self.at_pass in range(last + 2):
            here = [v for v in self.plan.nodes if self.plan.passes[v] == self.at_pass]
            for v in self.plan.nodes:  # outside all loops, so that every loop can use them
                if v.kind == "S" and self.plan.passes[v] + (v.op == "csum") == self.at_pass:
                    self.scalar(v)
            self.write_columns([v for v in here if v.kind == "C" and v.op not in ("csum", "argument", "column")])
            if any(v.op in REDUCTIONS or v.op == "pick" or (v.kind in "ER" and v in self.outputs) for v in here):
                self.write_pass(here, [v for v in here if v.op == "csum"])
        for v in self.outputs:
            if v.kind == "S":
                self.store(v, "0", self.scalar(v))

    def write_columns(self, wanted: list[Node]) -> None:
        """Compute numbers of columns, which may need complete sums, and keep them for the loops over rows."""
        complete = [v for v in self.plan.nodes if v.op == "csum" and self.plan.passes[v] == self.at_pass - 1]
        sums = [v for v in complete if v.kind == "C"]
        if not wanted and not any(v in self.outputs for v in sums):
            return
        with self.loop("%K") as k:
            memo: dict[Node, str] = {}
            for v in wanted:
                x = self.column_number(v, k, memo)
                if v.type == "float":
                    self.store_kept("column", v, k, x)
            for v in (*wanted, *sums):
                if v in self.outputs:
                    self.store(v, k, self.column_number(v, k, memo))

    def column_number(self, v: Node, k: str, memo: dict[Node, str]) -> str:
        """Return the number of column k."""
        if v.kind == "S":
            return self.scalar(v, self.float)
        if v not in memo:
            if v.op == "argument":
                memo[v] = self.load(v, k)
            elif v.op == "csum" or (self.plan.passes[v] < self.at_pass and v.type == "float"):
                memo[v] = self.kept_column(v, k)
            else:
                memo[v] = self.operation(v, lambda a, _: self.column_number(a, k, memo))
        return memo[v]

    def kept_column(self, v: Node, k: str) -> str:
        return self.cast(self.load_kept("sum" if v.op == "csum" else "column", v, k),
                         "double" if v.op == "csum" else self.float, self.float)  # fmt: skip

    def write_pass(self, here: list[Node], sums: list[Node]) -> None:
        """Write one pass over the rows."""
        for v in sums:
            if v.kind == "C":
                with self.loop("%K") as k:
                    self.store_kept("sum", v, k, literal(0.0, "double"))
                    self.store_kept("partial", v, k, literal(0.0, self.float))
            else:
                self.start_accumulator(v, 0.0)
        with self.loop("%M") as self.m:
            self.of_row: dict[tuple[Node, str], str] = {}
            self.starts: dict[Node, str] = {}
            head = len(self.lines)
            phases = 1 + max(self.plan.phases[v] for v in here)
            for self.at_phase in range(phases):
                now = [v for v in here if self.plan.phases[v] == self.at_phase]
                for v in now:
                    if v.kind == "R":
                        self.store_row_number(v)
                    if v.op == "csum" and v.kind == "S":
                        self.accumulate(v, self.cast(self.row_number(v.inputs[0]), self.float, "double"), "add")
                self.write_phase(now, [v for v in here if v.op in ("rsum", "rmax")
                                          and self.plan.phases[v] == self.at_phase + 1])  # fmt: skip
            self.lines[head:head] = [
                line
                for v, name in self.starts.items()
                for line in (
                    f"{name}.at = mul i64 {self.m}, {self.pitch(v)}",
                    f"{name} = getelementptr inbounds {self.type_in_memory(v)}, ptr {self.pointer(v)}, i64 {name}.at",
                )
            ]
            if columns := [v for v in sums if v.kind == "C"]:
                self.add_partial_sums(columns)

    def add_partial_sums(self, sums: list[Node]) -> None:
        """After every few rows and after the last, add the partial sums of columns to the totals."""
        after = self.emit(f"add i64 {self.m}, 1")
        part = self.emit(f"urem i64 {after}, {_PARTIAL_ROWS}")
        full, last = self.emit(f"icmp eq i64 {part}, 0"), self.emit(f"icmp eq i64 {after}, %M")
        count = self.emit(f"select i1 {self.emit(f'or i1 {full}, {last}')}, i64 %K, i64 0")
        with self.loop(count) as k:
            for v in sums:
                x = self.cast(self.load_kept("partial", v, k), self.float, "double")
                self.store_kept("sum", v, k, self.emit(f"fadd double {self.load_kept('sum', v, k)}, {x}"))
                self.store_kept("partial", v, k, literal(0.0, self.float))

    def store_row_number(self, v: Node) -> None:
        """Store a number of the row if it is an output, and keep it if a later pass needs it."""
        if v in self.outputs:
            self.store(v, self.m, self.row_number(v))
        if ("row", v) in self.kept:
            self.store_kept("row", v, self.m, self.row_number(v))

    def write_phase(self, now: list[Node], reductions: list[Node]) -> None:
        """Write the loop over the columns of one phase."""
        stored = [v for v in now if v.kind == "E" and (v in self.outputs or ("entry", v) in self.kept)]
        sums = [v for v in now if v.op == "csum" and v.kind == "C"]
        if not (stored or sums or reductions):
            return
        for v in reductions:
            self.start_accumulator(v, 0.0 if v.op == "rsum" else -math.inf)
        self.hoist([*stored, *(v.inputs[0] for v in (*sums, *reductions))])
        if row_sums := [v for v in reductions if v.op == "rsum"]:
            with self.loop("%K", step=_PARTIAL_COLUMNS) as start:
                end = self.emit(f"add i64 {start}, {_PARTIAL_COLUMNS}")
                end = self.emit(f"call i64 @llvm.umin.i64(i64 {end}, i64 %K)")
                for v in row_sums:
                    zero = literal(0.0, self.float)
                    self.lines.append(f"store {self.float} {zero}, ptr {self.accumulators[v]}.partial")
                with self.loop(end, start) as self.k:
                    self.write_entries(stored, sums, reductions)
                for v in row_sums:
                    x = self.emit(f"load {self.float}, ptr {self.accumulators[v]}.partial")
                    self.accumulate(v, self.cast(x, self.float, "double"), "add")
        else:
            with self.loop("%K") as self.k:
                self.write_entries(stored, sums, reductions)

    def write_entries(self, stored: list[Node], sums: list[Node], reductions: list[Node]) -> None:
        """Write the body of a loop over columns."""
        self.entries: dict[Node, str] = {}
        for v, x in [(v, self.entry(v)) for v in stored]:  # computes all before it overwrites an argument
            if v in self.outputs:
                self.store(v, self.k, x)
            if ("entry", v) in self.kept:
                self.store_kept("entry", v, self.k, x)
        for v in sums:
            total = self.load_kept("partial", v, self.k)
            self.store_kept("partial", v, self.k, self.emit(f"fadd {self.float} {total}, {self.entry(v.inputs[0])}"))
        for v in reductions:
            x = self.entry(v.inputs[0])
            if v.op == "rmax":
                self.accumulate(v, x, "maximum")
            else:
                self.accumulate(v, x, "add", ".partial", self.float)

    def hoist(self, needed: list[Node]) -> None:
        """Compute the numbers that a loop over columns needs, before this loop."""
        seen: set[Node] = set()

        def visit(v: Node) -> None:
            if v in seen:
                return
            seen.add(v)
            if v.kind == "R" or (v.kind == "S" and v.op != "constant"):
                self.row_number(v, self.float)
            elif v.op != "argument" and (v.kind == "E" or v.type != "float"):  # numbers of columns are kept
                for a in v.inputs:
                    visit(a)

        for v in needed:
            visit(v)

    # --- values

    def scalar(self, v: Node, type: str = "") -> str:
        """Return a single number, of its own type or as a float or double."""
        if v.op == "constant":
            return literal(v.args[0], type or "double")
        own = self.type_of(v)
        if v not in self.numbers:
            if v.op == "argument":
                self.numbers[v] = self.cast(f"%a{v.args[0]}", "double", own)
            elif v.op in ("rows", "columns"):
                self.numbers[v] = self.emit(f"sitofp i64 {'%M' if v.op == 'rows' else '%K'} to double")
            elif v.op == "csum":
                self.numbers[v] = self.cast(self.emit(f"load double, ptr {self.accumulators[v]}"), "double", own)
            else:
                self.numbers[v] = self.operation(v, self.scalar)
        return self.cast(self.numbers[v], own, type or own)

    def row_number(self, v: Node, type: str = "") -> str:
        """Return the value of kind R or S for row m; Python floats have the given type."""
        key = v, type if v.type == "weak" else ""
        if key not in self.of_row:
            self.of_row[key] = self.scalar(v, type) if v.kind == "S" else self.compute_row_number(v)
        return self.of_row[key]

    def compute_row_number(self, v: Node) -> str:
        if v.op == "argument":
            return self.load(v, self.m)
        if v.op in ("rsum", "rmax", "pick"):
            if self.plan.passes[v] < self.at_pass:
                return self.load_kept("row", v, self.m)
            if v.op == "pick":
                start, index = self.start(v.inputs[0]), self.row_number(v.inputs[1])
                place = self.emit(f"getelementptr inbounds {self.float}, ptr {start}, i64 {index}")
                return self.emit(f"load {self.float}, ptr {place}")
            x = self.emit(f"load {self.accumulator_type(v)}, ptr {self.accumulators[v]}")
            if v.op == "rmax":
                found = self.emit(f"load i1, ptr {self.accumulators[v]}.nan")
                x = self.select(found, literal(math.nan, self.float), x, self.float)
            return self.cast(x, self.accumulator_type(v), self.float)
        return self.operation(v, self.row_number)

    def entry(self, v: Node) -> str:
        """Return the entry of row m and column k."""
        if v.kind in "RS":
            return self.row_number(v, self.float)
        if v not in self.entries:
            self.entries[v] = self.compute_entry(v)
        return self.entries[v]

    def compute_entry(self, v: Node) -> str:
        if v.op == "column":
            return self.k
        if v.op == "argument":
            return self.load(v, self.k)
        if v.kind == "C" and v.type == "float":
            return self.kept_column(v, self.k)
        earlier = (self.plan.passes[v], self.plan.phases[v]) < (self.at_pass, self.at_phase)
        if earlier and v in self.outputs and v not in self.into:
            return self.load(v, self.k)
        expensive = v.type == "float" and self.plan.cost(v, _EXPENSIVE) > _EXPENSIVE
        if earlier and expensive and self.plan.passes[v] == self.at_pass:
            return self.load_kept("entry", v, self.k)
        return self.operation(v, lambda a, _: self.entry(a))

    def operation(self, v: Node, value: Callable[[Node, str], str]) -> str:
        """Write an operation on entries or numbers.

        ``value(input, type)`` writes an input; floating inputs get the given type.
        """
        type = "double" if v.type != "float" and all(a.type == "weak" for a in v.inputs) else self.float
        args = [value(a, type) for a in v.inputs]
        suffix = "f32" if type == "float" else "f64"
        integers = any(a.type == "int" for a in v.inputs)
        if v.op in _OPERATIONS:
            return self.emit(f"{_OPERATIONS[v.op]} contract {type} {', '.join(args)}")
        if v.op == "negative":
            return self.emit(f"fneg {type} {args[0]}")
        if v.op in _INTRINSICS:
            return self.emit(
                f"call {type} @llvm.{_INTRINSICS[v.op]}.{suffix}({', '.join(f'{type} {a}' for a in args)})"
            )
        if v.op in _COMPARISONS and integers:
            args = [str(int(a.args[0])) if a.op == "constant" else x for a, x in zip(v.inputs, args, strict=True)]
            return self.emit(f"icmp {_INTEGER_COMPARISONS[v.op]} i64 {', '.join(args)}")
        if v.op in _COMPARISONS:
            return self.emit(f"fcmp {_COMPARISONS[v.op]} {type} {', '.join(args)}")
        if v.op in _LOGIC:
            return self.emit(f"{_LOGIC[v.op]} i1 {', '.join(args)}")
        if v.op == "logical_not":
            return self.emit(f"xor i1 {args[0]}, true")
        if v.op == "where":
            return self.select(args[0], args[1], args[2], type)
        self.functions.add((v.op, type))
        return self.emit(f"call {type} @{v.op}.{type}({type} {args[0]})")

    def cast(self, x: str, old: str, new: str) -> str:
        if old == new or old in ("bool", "int"):
            return x
        return self.emit(f"{'fpext' if new == 'double' else 'fptrunc'} {old} {x} to {new}")

    # --- memory

    def accumulator_type(self, v: Node) -> str:
        return self.float if v.op == "rmax" else "double"

    def start_accumulator(self, v: Node, start: float) -> None:
        type = self.accumulator_type(v)
        name = self.accumulators[v] = f"%sum{self.plan.nodes.index(v)}"
        self.prologue += [f"{name} = alloca {type}", f"{name}.partial = alloca {self.float}", f"{name}.nan = alloca i1"]
        self.lines += [f"store {type} {literal(start, type)}, ptr {name}", f"store i1 false, ptr {name}.nan"]

    def accumulate(self, v: Node, x: str, how: str, part: str = "", type: str = "") -> None:
        type, name = type or self.accumulator_type(v), self.accumulators[v] + part
        old = self.emit(f"load {type}, ptr {name}")
        if how == "add":  # reassoc lets LLVM add in any order, and so use vectors
            new = self.emit(f"fadd reassoc {type} {old}, {x}")
        else:  # a separate flag for NaN is faster than a maximum that propagates NaN
            suffix = "f32" if type == "float" else "f64"
            new = self.emit(f"call nnan nsz {type} @llvm.maxnum.{suffix}({type} {old}, {type} {x})")
            found = self.emit(f"load i1, ptr {name}.nan")
            found = self.emit(f"or i1 {found}, {self.emit(f'fcmp uno {type} {x}, {x}')}")
            self.lines.append(f"store i1 {found}, ptr {name}.nan")
        self.lines.append(f"store {type} {new}, ptr {name}")

    def pointer(self, v: Node) -> str:
        v = self.into.get(v, v)
        return f"%a{v.args[0]}" if v.op == "argument" else f"%o{self.outputs.index(v)}"

    def pitch(self, v: Node) -> str:
        """Return the distance between the starts of two rows, in entries."""
        v = self.into.get(v, v)
        return f"%p{v.args[0]}" if v.op == "argument" and len(v.args) > 1 else "%K"

    def type_of(self, v: Node) -> str:
        return {"float": self.float, "weak": "double"}.get(v.type, v.type)

    def type_in_memory(self, v: Node) -> str:
        return _MEMORY[self.type_of(v)]

    def start(self, v: Node) -> str:
        """Return the address of row m of entries, or of the first number of rows or columns."""
        if v.kind != "E":
            return self.pointer(v)
        return self.starts.setdefault(v, f"%r{self.at_pass}.{len(self.starts)}")

    def load(self, v: Node, i: str) -> str:
        type = self.type_in_memory(v)
        place = self.emit(f"getelementptr inbounds {type}, ptr {self.start(v)}, i64 {i}")
        x = self.emit(f"load {type}, ptr {place}")
        return self.emit(f"icmp ne i8 {x}, 0") if type == "i8" else x

    def store(self, v: Node, i: str, x: str) -> None:
        memory = self.type_in_memory(v)
        if v.type == "bool":
            x = self.emit(f"zext i1 {x} to i8")
        place = self.emit(f"getelementptr inbounds {memory}, ptr {self.start(v)}, i64 {i}")
        self.lines.append(f"store {memory} {x}, ptr {place}")

    def kept_address(self, what: str, v: Node, i: str) -> tuple[str, str]:
        """Return the type and the address of a kept number; each kept value has K or M places of 8 bytes."""
        self.kept.setdefault((what, v))
        number, type = list(self.kept).index((what, v)), "double" if what == "sum" else self.float
        return type, self.emit(f"getelementptr inbounds {type}, ptr %s{number}, i64 {i}")

    def store_kept(self, what: str, v: Node, i: str, x: str) -> None:
        type, place = self.kept_address(what, v, i)
        self.lines.append(f"store {type} {x}, ptr {place}")

    def load_kept(self, what: str, v: Node, i: str) -> str:
        type, place = self.kept_address(what, v, i)
        return self.emit(f"load {type}, ptr {place}")

    # --- text

    @property
    def flat(self) -> bool:
        """Whether all rows together can be handled as one."""
        return all(v.kind in "ES" and v.op not in REDUCTIONS and self.pitch(v) == "%K" for v in self.plan.nodes)

    @property
    def splits(self) -> bool:
        """Whether threads can share the rows: each computes some of them, and its own sums over them."""
        return not any(self.plan.passes.values()) and all(v.op == "csum" for v in self.outputs if v.kind in "CS")

    @property
    def scratch(self) -> tuple[int, int]:
        """How many kept values have K places, and how many M."""
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
        """Return the function and those that it calls."""
        # A caller may pass one array both as an argument to overwrite and as another. No other memory overlaps.
        unshared = {n for type, n in self.parameters() if type == "ptr" and not (self.into and n.startswith("%a"))}
        parameters = ", ".join(f"{type} {'noalias ' * (n in unshared)}{n}" for type, n in self.parameters())
        starts, columns, rows = [], 0, 0
        for i, (what, _) in enumerate(self.kept):
            starts += [f"%n{i} = mul i64 %K, {columns if what != 'row' else self.scratch[0]}",
                       f"%l{i} = mul i64 %M, {rows if what == 'row' else 0}", f"%t{i} = add i64 %n{i}, %l{i}",
                       f"%s{i} = getelementptr inbounds double, ptr %scratch, i64 %t{i}"]  # fmt: skip
            columns, rows = columns + (what != "row"), rows + (what == "row")
        body = "\n  ".join([*self.prologue, *starts, *self.lines, "ret void"])
        return f"define {linkage} void @{name}({parameters}) {{\n  {body}\n}}\n" + text_of_functions(self.functions)

    def text_of_pieces(self, name: str, offset: int | None) -> str:
        """Return the function with two more parameters: the number of pieces to share, and whom to share them with.

        A piece is some of the rows; if the loops are flat, some of the entries. Each has its own row of the outputs
        that are sums over rows, and its own scratch memory. With an offset, arrays are NumPy's objects, which hold the
        address of their entries at this offset.
        """
        outer = [*self.parameters(), ("i64", "%pieces"), ("ptr", "%team")]
        names = {n for type, n in self.parameters() if type == "ptr"} if offset else set()
        head = ", ".join(f"{type} {n}{'.object' * (n in names)}" for type, n in outer)
        lines = [f"{n}.place = getelementptr i8, ptr {n}.object, i64 {offset}\n{n} = load ptr, ptr {n}.place"
                 for n in sorted(names)]  # fmt: skip
        writes, reads = packed(outer[:-1])
        call = f"call void @share(ptr @{name}.piece, ptr %packed, i64 %pieces, ptr %team)"
        return "\n".join([
            f"define void @{name}({head}) {{", *lines, *writes, call, "ret void", "}",
            f"define internal void @{name}.piece(ptr %packed, i64 %piece) noinline {{", *reads,
            *self._lines_of_piece(f"{name}.rows"), "ret void", "}", SHARE, self.text(f"{name}.rows", "internal"),
        ])  # fmt: skip

    def _lines_of_piece(self, name: str) -> list[str]:
        """Return lines that call the function for the rows of ``%piece``."""
        lines, whole = Lines(), "%K" if self.flat else "%M"
        ends = [lines.emit(f"udiv i64 {lines.emit(f'mul i64 {whole}, {number}')}, %pieces")
                for number in ("%piece", lines.emit("add i64 %piece, 1"))]  # fmt: skip
        begin, length = ends[0], lines.emit(f"sub i64 {ends[1]}, {ends[0]}")
        given = {whole: length}

        def move(type: str, n: str, unit: str, count: str) -> None:
            shift = lines.emit(f"mul i64 {unit}, {count}")
            given[n] = lines.emit(f"getelementptr inbounds {type}, ptr {n}, i64 {shift}")

        for v in [*self.arguments, *(v for v in self.outputs if v not in self.into)]:
            if v.kind in "ER" and self.type_of(v) != "weak":
                row = "1" if self.flat or v.kind == "R" else self.pitch(v)
                move(self.type_in_memory(v), self.pointer(v), begin, row)
            elif v.op != "argument":
                move(self.type_in_memory(v), self.pointer(v), "%piece", "%K" if v.kind == "C" else "1")
        move("double", "%scratch", "%piece", lines.emit(f"mul i64 {given.get('%K', '%K')}, {self.scratch[0]}"))
        parameters = ", ".join(f"{type} {given.get(n, n)}" for type, n in self.parameters())
        return [*lines.lines, f"call void @{name}({parameters})"]


def print_kernel(outputs: Sequence[Node], float: str, into: dict[Node, Node] | None = None) -> Loops:
    """Return the text of a function that computes outputs, with entries of type ``float`` or ``double``.

    >>> from .tracing import Graph
    >>> import numpy as np
    >>> x = Graph(np.dtype(np.float32)).argument("E", ndim=1)
    >>> "fmul contract float" in print_kernel([(x * x).node], "float").text("square")
    True
    """
    kernel = Loops(outputs, float, into or {})
    if into and max(kernel.plan.phases[v] + kernel.plan.passes[v] for v in into):
        raise Untraceable("an update in place must work entry by entry, without sums or maxima")
    return kernel
