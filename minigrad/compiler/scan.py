"""Scans over time: one call of machine code runs all steps of a recurrent layer, forwards or backwards.

Each step consists of a matrix product, which OpenBLAS computes, and a *cell*. A cell is a function written with NumPy
that reads arrays of n rows and H columns and writes some of them, entry by entry. The compiler calls it once with
:class:`Slots`, which record what it writes. The recorded graph becomes a loop over the columns of one row, which the
machine code runs for each step and row::

    forwards    for each step t:     a = h before it @ W
                                     for each row:  cell(a, input, …)
    backwards   for each step t:     for each row:  cell(cotangents, da, …)
                (from the last)      cotangent of h = (its direct path) + da @ W'

Threads share a step by its columns (:mod:`.workers`): each computes some columns of all gates and of the states. All
wait for each other once a step, before the product, which needs all columns of h or da.

>>> import numpy as np
>>> def cell(a, p, h):
...     a += p
...     np.tanh(a[0], out=h)
>>> operands = Rows("own", 1), Rows("input", 1), Rows("before"), Rows("step")
>>> layout = Layout(lambda a, p, before, h: cell(a, p, h), np.dtype(np.float32), operands)
>>> "call void @cell" in Scan(layout, "i64").text
True
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..runtime import blas
from ..runtime.threads import run_in_parallel
from ..spec import Array
from .codegen import print_kernel
from .elementary_functions import Lines, literal
from .machine_code import address_of
from .tracing import Graph, Node, Traced, Untraceable
from .workers import SHARE, awake, packed

__all__ = ["Layout", "Rows", "Scan", "Slots", "run_scan"]

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112  # constants of CBLAS


class Slots(NDArrayOperatorsMixin):
    """A traced array (n, H), or a traced stack of arrays (S, n, H), that a cell reads and writes.

    Views share memory, as NumPy's do: each slot of the memory holds the value that was written last.

    >>> graph = Graph(np.dtype(np.float32))
    >>> stack = Slots([graph.argument("E", 1) for _ in range(2)], range(2), True)
    >>> first, second = stack
    >>> stack *= second
    >>> first.memory
    [E multiply, E multiply]
    """

    def __init__(self, memory: list[Traced], places: range, stack: bool) -> None:
        self.memory, self.places, self.stack = memory, places, stack

    @property
    def dtype(self) -> Any:
        return self.memory[0].dtype

    def read(self, count: int) -> list[Traced]:
        """Return the current values of a stack of ``count`` arrays. A single array broadcasts to it."""
        if self.stack and len(self.places) != count:
            raise Untraceable(f"stacks of {len(self.places)} and {count} arrays do not broadcast")
        return [self.memory[place] for place in self.places] * (1 if self.stack else count)

    def write(self, values: list[Traced]) -> Slots:
        if len(values) != len(self.places):
            raise Untraceable(f"a stack of {len(self.places)} arrays cannot hold {len(values)}")
        for place, value in zip(self.places, values, strict=True):
            self.memory[place] = value
        return self

    def __getitem__(self, index: Any) -> Slots:
        if index is ...:
            return self
        if not self.stack or not isinstance(index, (int, slice)):
            raise Untraceable(f"[{index}]: a cell can only index the first axis of a stack")
        place = self.places[index]
        return Slots(self.memory, place, True) if isinstance(place, range) else Slots(
            self.memory, range(place, place + 1), False)  # fmt: skip

    def __setitem__(self, index: Any, value: Slots) -> None:
        target = self[index]
        target.write(value.read(len(target.places)))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        if method != "__call__" or options:
            raise Untraceable(f"np.{ufunc.__name__} with {', '.join(options) or method}: only with out")
        stacks = [len(x.places) for x in (*inputs, *out) if isinstance(x, Slots) and x.stack]
        count = stacks[0] if stacks else 1
        columns = [x.read(count) if isinstance(x, Slots) else [x] * count for x in inputs]
        made = [ufunc(*column) for column in zip(*columns, strict=True)]
        return out[0].write(made) if out else Slots(made, range(count), bool(stacks))

    __bool__ = __float__ = __int__ = __index__ = __len__ = __array__ = __array_function__ = Traced._refuse
    __getattr__ = Traced.__getattr__


class Rows(NamedTuple):
    """Where a step finds its rows of an operand.

    Fields:
        place: one of

            - ``step``: the step's rows of an array of all rows. A stack (S, n, H) is contiguous.
            - ``row``: the same, but the S parts of a row are contiguous.
            - ``input``: as ``row``, with the rows that an index selects.
            - ``own``: as ``row``, in memory that all steps share.
            - ``before``: the rows of the previous step.
            - ``all``: one row for all steps and sequences.
        lanes: the number S of arrays of a stack; 0 for a single array.
    """

    place: str
    lanes: int = 0


class Layout(NamedTuple):
    """What the text of a scan depends on: the function of the operands, their dtype, and their places.

    The first operand of a backward function is the cotangent of h. The function returns None if the next state uses h
    only in the product, which then overwrites this cotangent. Otherwise the product is added to it.
    """

    function: Callable[..., Any]
    dtype: np.dtype[Any]
    operands: tuple[Rows, ...]
    back: bool = False


class Scan(Lines):
    """The text of a scan. ``integer`` is BLAS's integer type, ``i32`` or ``i64``.

    Forwards, the product is h W: h is the first operand at ``before``. Backwards, it is da W': da is the first operand
    at ``row``. Its result goes into the first of all operands, a or the cotangent of h.
    """

    def __init__(self, layout: Layout, integer: str) -> None:
        super().__init__()
        self.layout, self.integer = layout, integer
        self.float = "float" if layout.dtype == np.float32 else "double"
        self.record()
        self.write()

    def record(self) -> None:
        """Call the function, and print the values that it wrote into slots."""
        operands, graph = self.layout.operands, Graph(self.layout.dtype)
        memories = [[graph.argument("E", 1) for _ in range(rows.lanes or 1)] for rows in operands]
        before = [list(memory) for memory in memories]
        try:
            self.direct = self.layout.function(*(
                Slots(memory, range(len(memory)), rows.lanes > 0)
                for memory, rows in zip(memories, operands, strict=True)
            )) is not None  # fmt: skip
        except Untraceable as error:
            error.add_note(f"in {self.layout.function}, which a scan compiles")
            raise
        into: dict[Node, Node] = {}
        self.places = [(i, lane) for i, memory in enumerate(memories) for lane in range(len(memory))]
        written: dict[Node, tuple[int, int]] = {}
        overwritten = 0 if self.direct else len(memories[0])  # arrays that the product overwrites
        for i, lane in self.places[overwritten:]:
            new, old = memories[i][lane].node, before[i][lane].node
            if new is not old:
                if new in written or new.op == "argument" or new.kind != "E":
                    raise Untraceable("a cell must compute a value of its own for each array that it writes")
                written[new] = i, lane
                if operands[i].place == "own":
                    into[new] = old
        self.printed = print_kernel(list(written), self.float, into)
        if not self.printed.flat:
            raise Untraceable("a cell must work entry by entry, without sums or maxima")
        self.used = [self.places[v.args[0]] for v in self.printed.arguments]
        self.used += [written[v] for v in self.printed.outputs if v not in into]

    # --- printing

    def write(self) -> None:
        """Write what a piece of step %k computes: some columns of the product and of the cell's arrays."""
        operands, back = self.layout.operands, self.layout.back
        self.width = self.emit("udiv i64 %H, %pieces")
        self.begin = self.arithmetic("mul", self.width, "%piece")
        self.bases, t = [f"%x{i}" for i in range(len(operands))], "%k"
        if back:  # the cotangent of h is complete only after all pieces of the later step
            later = self.arithmetic("sub", "%steps", "%k")
            later = self.emit(f"call i64 @llvm.umin.i64(i64 {later}, i64 {self.arithmetic('sub', '%steps', 1)})")
            start, n = self.rows_of(later)
            self.product(start, self.select(self.emit("icmp eq i64 %k, 0"), "0", n, "i64"))
            t = self.emit(f"call i64 @llvm.usub.sat.i64(i64 %steps, i64 {self.arithmetic('add', '%k', 1)})")
        start, n = self.rows_of(t)
        earlier = self.load_index("%starts", self.emit(f"call i64 @llvm.usub.sat.i64(i64 {t}, i64 1)"))
        first = self.emit(f"icmp eq i64 {t}, 0")
        for i, rows in enumerate(operands):
            if rows.place == "before":
                moved = self.entry_address(self.bases[i], self.arithmetic("mul", earlier, "%H"))
                self.bases[i] = self.select(first, f"%first{i}", moved, "ptr")
        if not back:
            self.product(start, n)
        with self.loop(self.select(self.emit("icmp ult i64 %k, %steps"), n, "0", "i64")) as j:
            row = self.arithmetic("add", start, j)
            self.rows = {"step": (start, n, j), "row": row, "input": self.load_index("%index", row), "own": j,
                         "before": j, "all": "0"}  # fmt: skip
            pointers = ", ".join(f"ptr {self.address(i, lane)}" for i, lane in self.used)
            self.lines.append(f"call void @cell(i64 1, i64 {self.width}, {pointers}, ptr null)")

    def rows_of(self, t: str) -> tuple[str, str]:
        """Return the first row of step t, and the number of its rows."""
        start = self.load_index("%starts", t)
        end = self.load_index("%starts", self.arithmetic("add", t, 1))
        return start, self.arithmetic("sub", end, start)

    def address(self, i: int, lane: int) -> str:
        """Return the address of this piece's columns of the current row in one array of an operand."""
        rows = self.layout.operands[i]
        count, place = str(rows.lanes or 1), self.rows[rows.place]
        if isinstance(place, str):
            unit = self.arithmetic("add", self.arithmetic("mul", place, count), lane)
        else:
            start, n, j = place
            unit = self.arithmetic("add", self.arithmetic("mul", start, count), self.arithmetic("mul", n, lane))
            unit = self.arithmetic("add", unit, j)
        entry = self.arithmetic("add", self.arithmetic("mul", unit, "%H"), self.begin)
        return self.entry_address(self.bases[i], entry)

    def product(self, start: str, n: str) -> None:
        """Multiply n rows by this piece's columns of the matrix, one block after another."""
        back, places = self.layout.back, [rows.place for rows in self.layout.operands]
        i = places.index("row" if back else "before")
        G = self.arithmetic("mul", "%H", self.layout.operands[i if back else 0].lanes)
        left = self.entry_address(self.bases[i], self.arithmetic("mul", start, G)) if back else self.bases[i]
        K, columns = (G, "%H") if back else ("%H", G)
        size = self.arithmetic("mul", K, "%width")
        with self.loop("%parts") as part, self.loop("%blocks") as b:
            place = self.arithmetic("add", self.arithmetic("mul", part, "%pieces"), "%piece")
            place = self.arithmetic("add", self.arithmetic("mul", place, "%blocks"), b)
            block = self.entry_address("%W", self.arithmetic("mul", place, size))
            column = self.arithmetic("add", self.arithmetic("mul", part, "%H"), self.begin)
            out = self.entry_address("%x0", self.arithmetic("add", column, self.arithmetic("mul", b, "%width")))
            lengths = [x if self.integer == "i64" else self.emit(f"trunc i64 {x} to {self.integer}")
                       for x in (n, "%width", K, K, K if back else "%width", columns)]  # fmt: skip
            m, width, K_, lda, ldb, ldc = (f"{self.integer} {x}" for x in lengths)
            one, beta = (f"{self.float} {literal(x, self.float)}" for x in (1.0, float(self.direct)))
            how = f"i32 {_ROW_MAJOR}, i32 {_PLAIN}, i32 {_TRANSPOSED if back else _PLAIN}"
            self.lines.append(f"call void %gemm({how}, {m}, {width}, {K_}, {one}, ptr {left}, {lda}, ptr {block}, "
                              f"{ldb}, {beta}, ptr {out}, {ldc})")  # fmt: skip

    def arithmetic(self, name: str, x: str, y: str | int) -> str:
        return self.emit(f"{name} i64 {x}, {y}")

    def load_index(self, numbers: str, i: str) -> str:
        return self.emit(f"load i64, ptr {self.emit(f'getelementptr inbounds i64, ptr {numbers}, i64 {i}')}")

    def entry_address(self, base: str, i: str) -> str:
        return self.emit(f"getelementptr inbounds {self.float}, ptr {base}, i64 {i}")

    @property
    def operands(self) -> list[str]:
        """The names of the operands' pointers."""
        operands = enumerate(self.layout.operands)
        return [name for i, x in operands for name in [f"%x{i}", f"%first{i}"][: 1 + (x.place == "before")]]

    @property
    def text(self) -> str:
        outer = [(type, f"%{name}") for type, name in _PARAMETERS] + [("ptr", name) for name in self.operands]
        writes, reads = packed([*outer, ("i64", "%k")])
        steps = Lines()
        with steps.loop(steps.emit(f"add i64 %steps, {int(self.layout.back)}")) as k:
            steps.lines += [f"store i64 {k}, ptr %k.packed",
                            "call void @share(ptr @scan.piece, ptr %packed, i64 %pieces, ptr %team)"]  # fmt: skip
        cell, rest = self.printed.text("cell", "internal").split("{", 1)
        cell = cell.replace("ptr %", "ptr noalias %")  # operands share no memory
        return "\n".join([
            f"{cell}{{{rest}",
            "define internal void @scan.piece(ptr %packed, i64 %piece) noinline {",
            *reads, *self.prologue, *self.lines, "ret void", "}",
            f"define void @scan({', '.join(map(' '.join, outer))}) {{", "%k = add i64 0, 0",
            *writes, *steps.prologue, *steps.lines, "ret void", "}", SHARE,
        ])  # fmt: skip


_PARAMETERS = (("i64", "steps"), ("ptr", "starts"), ("ptr", "index"), ("i64", "H"), ("ptr", "gemm"), ("ptr", "W"),
               ("i64", "width"), ("i64", "blocks"), ("i64", "parts"), ("i64", "pieces"), ("ptr", "team"))  # fmt: skip


@cache
def _compiled(layout: Layout, integer: str) -> Callable[..., None]:
    scan, kinds = Scan(layout, integer), {"i64": ctypes.c_int64, "ptr": ctypes.c_void_p}
    types = [*(kinds[type] for type, _ in _PARAMETERS), *[ctypes.c_void_p] * len(scan.operands)]
    return ctypes.CFUNCTYPE(None, *types)(address_of("scan", scan.text))


def run_scan(
    layout: Layout, operands: Sequence[Any], matrix: Array, groups: Sequence[tuple[int, Array]], index: Array,
    pieces: int = 1,
) -> None:  # fmt: skip
    """Run all steps of groups of sequences: each group on a thread, or one group after another in pieces of columns.

    Args:
        operands: contiguous arrays, as the layout lists them. For ``before``, a pair: the initial states, and the
            states after each row.
        matrix: W in blocks (parts, J, K, width), or (parts, J, width, K) for products with its transpose. Each part
            has the columns of a piece in one gate, gate by gate; or a single part has all.
        groups: for each group, its first row among the ``own`` rows, and the first row of each step and the row after
            the last.
        index: for each row, the ``input`` row that it takes.
        pieces: how many threads share each step. It divides H.
    """
    arrays = [a for x in (*operands, matrix) for a in (x if isinstance(x, tuple) else (x,))]
    assert all(a.flags.c_contiguous and a.dtype == layout.dtype for a in arrays)
    gemm = blas.gemm(layout.dtype)
    assert gemm is not None
    address, integer = gemm
    call, size = _compiled(layout, integer), layout.dtype.itemsize
    parts, J = matrix.shape[:2]
    width = matrix.shape[2 if layout.back else 3]
    H = parts * J * width if layout.back else matrix.shape[2]

    def run(first: int, starts: Array) -> None:
        pointers = []
        for x, rows in zip(operands, layout.operands, strict=True):
            shift = first * H * size * (rows.lanes or 1)
            if isinstance(x, tuple):
                pointers += [x[1].ctypes.data, x[0].ctypes.data + shift]
            else:
                pointers.append(x.ctypes.data + shift * (rows.place == "own"))
        if steps := len(starts) - 1:
            call(steps, starts.ctypes.data, index.ctypes.data, H, address, matrix.ctypes.data, width, J,
                 parts // pieces, pieces, awake(pieces), *pointers)  # fmt: skip

    def run_all() -> None:
        for group in groups:
            run(*group)

    run_in_parallel([run_all] if pieces > 1 else [partial(run, *group) for group in groups])
