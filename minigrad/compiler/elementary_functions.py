"""exp, expm1, tanh, log and log1p as LLVM text, which LLVM vectorises.

Argument reduction leaves a small number, whose Taylor polynomial is accurate. With x = n ln 2 + r, |r| <= ln(2) / 2,

    exp(x) = 2^n exp(r),        expm1(x) = 2^n expm1(r) + (2^n - 1),
    tanh(x) = -e / (2 + e) with e = expm1(-2 |x|), and x's sign,
    log(2^n m) = n ln 2 + 2 atanh((m - 1) / (m + 1)) for m between sqrt(1/2) and sqrt(2).

The errors are at most 3 units in the last place, for log1p 5. exp overflows to infinity and underflows gradually; NaN
stays NaN.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Lines", "literal", "text_of_functions"]


def literal(x: float, type: str) -> str:
    """Return a number as an LLVM literal: the bits of a double, even for a float."""
    if type == "float":
        x = ctypes.c_float(x).value  # infinite if it is too large
    return "0x" + struct.pack(">d", x).hex().upper()


class Lines:
    """Lines of LLVM text. Each operation adds one line and returns the name of its result.

    Attributes:
        prologue: the lines at the start of the function, which allocate variables.
    """

    def __init__(self) -> None:
        self.prologue: list[str] = []
        self.lines: list[str] = []
        self.count = 0

    def emit(self, text: str) -> str:
        """Add ``%v = text`` under a new name, and return the name."""
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def select(self, condition: str, x: str, y: str, type: str) -> str:
        return self.emit(f"select i1 {condition}, {type} {x}, {type} {y}")

    @contextmanager
    def loop(self, end: str, start: str = "0", step: int = 1) -> Iterator[str]:
        """Put what the with block adds into a loop, and pass it the loop's counter."""
        self.count += 1
        n = self.count
        self.prologue.append(f"%i{n} = alloca i64")
        self.lines += [f"store i64 {start}, ptr %i{n}", f"br label %head{n}", f"head{n}:"]
        now = self.emit(f"load i64, ptr %i{n}")
        self.lines += [f"%more{n} = icmp ult i64 {now}, {end}", f"br i1 %more{n}, label %body{n}, label %exit{n}",
                       f"body{n}:"]  # fmt: skip
        yield now
        after = self.emit(f"add nuw nsw i64 {now}, {step}")
        self.lines += [f"store i64 {after}, ptr %i{n}", f"br label %head{n}", f"exit{n}:"]


class _Formula(Lines):
    """A function of ``%x``, in float or double."""

    def __init__(self, type: str) -> None:
        super().__init__()
        self.type = type
        narrow = type == "float"
        self.int, self.shift, self.bias = ("i32", 23, 127) if narrow else ("i64", 52, 1023)
        self.formats = ("f", "i") if narrow else ("d", "q")  # of struct: a number, and its bits
        self.terms, self.log_terms = (7, 5) if narrow else (13, 11)  # the next term is below the last place
        self.lowest, self.highest = (-104.0, 89.0) if narrow else (-746.0, 710.0)  # beyond, exp is 0 or infinity
        # ln 2 in two parts; n times the first is exact
        self.ln2 = (0.693359375, math.log(2) - 0.693359375) if narrow else (0.6931471803691238, 1.9082149292705877e-10)

    def constant(self, x: float | str) -> str:
        return x if isinstance(x, str) else literal(x, self.type)

    def op(self, name: str, x: float | str, y: float | str) -> str:
        return self.emit(f"{name} contract {self.type} {self.constant(x)}, {self.constant(y)}")

    def add(self, x: float | str, y: float | str) -> str:
        return self.op("fadd", x, y)

    def mul(self, x: float | str, y: float | str) -> str:
        return self.op("fmul", x, y)

    def sub(self, x: float | str, y: float | str) -> str:
        return self.op("fsub", x, y)

    def div(self, x: float | str, y: float | str) -> str:
        return self.op("fdiv", x, y)

    def compare(self, test: str, x: float | str, y: float | str) -> str:
        return self.emit(f"fcmp {test} {self.type} {self.constant(x)}, {self.constant(y)}")

    def choose(self, condition: str, x: float | str, y: float | str) -> str:
        return self.select(condition, self.constant(x), self.constant(y), self.type)

    def bits_of_constant(self, x: float) -> int:
        number, bits = self.formats
        return int(struct.unpack(bits, struct.pack(number, x))[0])

    def bits(self, x: str) -> str:
        return self.emit(f"bitcast {self.type} {x} to {self.int}")

    def from_bits(self, i: str) -> str:
        return self.emit(f"bitcast {self.int} {i} to {self.type}")

    def polynomial(self, r: str, coefficients: list[float]) -> str:
        p = self.constant(coefficients[-1])
        for c in coefficients[-2::-1]:
            p = self.add(self.mul(p, r), c)
        return p

    def reduced(self, x: str, lowest: float, highest: float) -> tuple[str, str]:
        """Return r and n for x clipped to bounds."""
        x = self.choose(self.compare("ogt", x, highest), highest, x)
        x = self.choose(self.compare("olt", x, lowest), lowest, x)
        # Adding 1.5 2^shift rounds to an integer, which is then in the lowest bits.
        magic = 1.5 * 2.0**self.shift
        rounded = self.add(self.mul(x, 1 / math.log(2)), magic)
        n = self.sub(rounded, magic)
        high, low = self.ln2
        r = self.sub(self.sub(x, self.mul(n, high)), self.mul(n, low))
        return r, self.emit(f"sub {self.int} {self.bits(rounded)}, {self.bits_of_constant(magic)}")

    def power_of_2(self, n: str) -> str:
        biased = self.emit(f"add {self.int} {n}, {self.bias}")
        return self.from_bits(self.emit(f"shl {self.int} {biased}, {self.shift}"))

    def exp(self, x: str) -> str:
        r, n = self.reduced(x, self.lowest, self.highest)
        p = self.polynomial(r, [1 / math.factorial(k) for k in range(self.terms + 1)])
        half = self.emit(f"ashr {self.int} {n}, 1")  # two factors, since 2^n itself may overflow or be subnormal
        return self.mul(self.mul(p, self.power_of_2(half)), self.power_of_2(self.emit(f"sub {self.int} {n}, {half}")))

    def expm1_below(self, x: str) -> str:
        """Compute expm1 for x up to 40; below -40 it rounds to -1."""
        r, n = self.reduced(x, -40.0, 40.0)
        p = self.mul(r, self.polynomial(r, [1 / math.factorial(k) for k in range(1, self.terms + 2)]))
        factor = self.power_of_2(n)
        return self.add(self.mul(factor, p), self.sub(factor, 1.0))

    def expm1(self, x: str) -> str:
        y = self.choose(self.compare("ogt", x, 40.0), self.exp(x), self.expm1_below(x))
        return self.choose(self.compare("oeq", x, 0.0), x, y)  # -0 stays -0

    def tanh(self, x: str) -> str:
        suffix = "f32" if self.type == "float" else "f64"
        size = self.emit(f"call {self.type} @llvm.fabs.{suffix}({self.type} {x})")
        e = self.expm1_below(self.mul(size, -2.0))
        y = self.div(self.sub(0.0, e), self.add(e, 2.0))
        return self.emit(f"call {self.type} @llvm.copysign.{suffix}({self.type} {y}, {self.type} {x})")

    def log(self, x: str) -> str:
        smallest_normal, lift = 2.0 ** (1 - self.bias), self.shift + 1
        tiny = self.compare("olt", x, smallest_normal)
        y = self.choose(tiny, self.mul(x, 2.0**lift), x)
        start = self.bits_of_constant(math.sqrt(0.5))
        i = self.bits(y)
        n = self.emit(f"ashr {self.int} {self.emit(f'sub {self.int} {i}, {start}')}, {self.shift}")
        m = self.from_bits(self.emit(f"sub {self.int} {i}, {self.emit(f'shl {self.int} {n}, {self.shift}')}"))
        n = self.emit(f"sitofp {self.int} {n} to {self.type}")
        n = self.sub(n, self.choose(tiny, float(lift), 0.0))
        s = self.div(self.sub(m, 1.0), self.add(m, 1.0))
        p = self.mul(s, self.polynomial(self.mul(s, s), [2 / (2 * k + 1) for k in range(self.log_terms)]))
        high, low = self.ln2
        y = self.add(self.mul(n, high), self.add(p, self.mul(n, low)))
        y = self.choose(self.compare("oeq", x, math.inf), math.inf, y)
        y = self.choose(self.compare("oeq", x, 0.0), -math.inf, y)
        return self.choose(self.compare("oge", x, 0.0), y, math.nan)

    def log1p(self, x: str) -> str:
        """Compute log(u) x / (u - 1), where u is 1 + x rounded: the errors of both factors cancel (Kahan)."""
        u = self.add(x, 1.0)
        known = self.mul(self.log(u), self.div(x, self.sub(u, 1.0)))
        known = self.choose(self.compare("oeq", u, 1.0), x, known)
        return self.choose(self.compare("oeq", x, math.inf), x, known)


def text_of_functions(needed: set[tuple[str, str]]) -> str:
    """Return the definitions of functions, given by name and type."""
    text = ""
    for name, type in sorted(needed):
        formula = _Formula(type)
        result = getattr(formula, name)("%x")
        lines = "\n  ".join([*formula.lines, f"ret {type} {result}"])
        text += f"define internal {type} @{name}.{type}({type} %x) alwaysinline {{\n  {lines}\n}}\n"
    return text
