"""Functions of one number as LLVM text, from which LLVM makes vectors: exp, expm1, tanh, log and log1p.

A number x is reduced to a small one, and Taylor's polynomial gives the rest. With x = n ln 2 + r and |r| <= ln(2) / 2,

    exp(x) = 2^n exp(r),        expm1(x) = 2^n expm1(r) + (2^n - 1),
    tanh(x) = -e / (2 + e) with e = expm1(-2 |x|), and x's sign,
    log(2^n m) = n ln 2 + 2 atanh((m - 1) / (m + 1)) for m between sqrt(1/2) and sqrt(2).

Results are within 2 units of the last place. exp overflows to infinity and underflows through the subnormal numbers;
NaN stays NaN.
"""

from __future__ import annotations

import math
import struct

__all__ = ["Lines", "number", "text_of_functions"]


def number(x: float, type: str) -> str:
    """Return a number as LLVM writes it: the bits of a double, also for a float."""
    if type == "float":
        x = struct.unpack("f", struct.pack("f", x))[0]
    return "0x" + struct.pack(">d", x).hex().upper()


class Lines:
    """Lines of LLVM text. Each operation writes one line and returns the name of its result."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def new(self, text: str) -> str:
        """Write ``%v = text`` with a new name, and return the name."""
        self.count += 1
        self.lines.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def select(self, condition: str, x: str, y: str, type: str) -> str:
        return self.new(f"select i1 {condition}, {type} {x}, {type} {y}")


class _Formula(Lines):
    """A function of ``%x``, in float or double."""

    def __init__(self, type: str) -> None:
        super().__init__()
        self.type = type
        narrow = type == "float"
        self.int, self.shift, self.bias = ("i32", 23, 127) if narrow else ("i64", 52, 1023)
        self.terms, self.log_terms = (7, 5) if narrow else (13, 11)  # the next is below the last place
        self.lowest, self.highest = (-104.0, 89.0) if narrow else (-746.0, 710.0)  # exp is 0 and infinity beyond

    def constant(self, x: float | str) -> str:
        return x if isinstance(x, str) else number(x, self.type)

    def op(self, name: str, x: float | str, y: float | str) -> str:
        return self.new(f"{name} contract {self.type} {self.constant(x)}, {self.constant(y)}")

    def add(self, x: float | str, y: float | str) -> str:
        return self.op("fadd", x, y)

    def mul(self, x: float | str, y: float | str) -> str:
        return self.op("fmul", x, y)

    def sub(self, x: float | str, y: float | str) -> str:
        return self.op("fsub", x, y)

    def div(self, x: float | str, y: float | str) -> str:
        return self.op("fdiv", x, y)

    def compare(self, test: str, x: float | str, y: float | str) -> str:
        return self.new(f"fcmp {test} {self.type} {self.constant(x)}, {self.constant(y)}")

    def choose(self, condition: str, x: float | str, y: float | str) -> str:
        return self.select(condition, self.constant(x), self.constant(y), self.type)

    def bits(self, x: str) -> str:
        return self.new(f"bitcast {self.type} {x} to {self.int}")

    def from_bits(self, i: str) -> str:
        return self.new(f"bitcast {self.int} {i} to {self.type}")

    def polynomial(self, r: str, coefficients: list[float]) -> str:
        p = self.constant(coefficients[-1])
        for c in coefficients[-2::-1]:
            p = self.add(self.mul(p, r), c)
        return p

    def reduced(self, x: str) -> tuple[str, str, str]:
        """Return r, and two factors whose product is 2^n: either is a normal number, also where 2^n is not."""
        x = self.choose(self.compare("ogt", x, self.highest), self.highest, x)
        x = self.choose(self.compare("olt", x, self.lowest), self.lowest, x)
        # Adding 1.5 2^shift rounds to an integer, and leaves it in the lowest bits.
        magic = 1.5 * 2.0**self.shift
        rounded = self.add(self.mul(x, 1 / math.log(2)), magic)
        n = self.sub(rounded, magic)
        high = 0.693359375 if self.type == "float" else 0.6931471803691238  # n high is exact
        low = math.log(2) - high if self.type == "float" else 1.9082149292705877e-10
        r = self.sub(self.sub(x, self.mul(n, high)), self.mul(n, low))
        first_bits = struct.unpack("i" if self.type == "float" else "q",
                                   struct.pack("f" if self.type == "float" else "d", magic))[0]  # fmt: skip
        n = self.new(f"sub {self.int} {self.bits(rounded)}, {first_bits}")
        half = self.new(f"ashr {self.int} {n}, 1")
        return r, self.power_of_2(half), self.power_of_2(self.new(f"sub {self.int} {n}, {half}"))

    def power_of_2(self, n: str) -> str:
        biased = self.new(f"add {self.int} {n}, {self.bias}")
        return self.from_bits(self.new(f"shl {self.int} {biased}, {self.shift}"))

    def exp(self, x: str) -> str:
        r, first, second = self.reduced(x)
        p = self.polynomial(r, [1 / math.factorial(k) for k in range(self.terms + 1)])
        return self.mul(self.mul(p, first), second)

    def expm1_below(self, x: str) -> str:
        """Compute expm1 for x up to 40."""
        r, first, second = self.reduced(x)
        p = self.mul(r, self.polynomial(r, [1 / math.factorial(k) for k in range(1, self.terms + 2)]))
        factor = self.mul(first, second)
        return self.add(self.mul(factor, p), self.sub(factor, 1.0))

    def expm1(self, x: str) -> str:
        return self.choose(self.compare("ogt", x, 40.0), self.exp(x), self.expm1_below(x))

    def tanh(self, x: str) -> str:
        suffix = "f32" if self.type == "float" else "f64"
        size = self.new(f"call {self.type} @llvm.fabs.{suffix}({self.type} {x})")
        e = self.expm1_below(self.mul(size, -2.0))
        y = self.div(self.sub(0.0, e), self.add(e, 2.0))
        return self.new(f"call {self.type} @llvm.copysign.{suffix}({self.type} {y}, {self.type} {x})")

    def log(self, x: str) -> str:
        smallest, lift = 2.0 ** (1 - self.bias), self.shift + 1  # of the normal numbers
        tiny = self.compare("olt", x, smallest)
        y = self.choose(tiny, self.mul(x, 2.0**lift), x)
        start = struct.unpack("i" if self.type == "float" else "q",
                              struct.pack("f" if self.type == "float" else "d", math.sqrt(0.5)))[0]  # fmt: skip
        i = self.bits(y)
        n = self.new(f"ashr {self.int} {self.new(f'sub {self.int} {i}, {start}')}, {self.shift}")
        m = self.from_bits(self.new(f"sub {self.int} {i}, {self.new(f'shl {self.int} {n}, {self.shift}')}"))
        n = self.new(f"sitofp {self.int} {n} to {self.type}")
        n = self.sub(n, self.choose(tiny, float(lift), 0.0))
        s = self.div(self.sub(m, 1.0), self.add(m, 1.0))
        p = self.mul(s, self.polynomial(self.mul(s, s), [2 / (2 * k + 1) for k in range(self.log_terms)]))
        high = 0.693359375 if self.type == "float" else 0.6931471803691238
        low = math.log(2) - high if self.type == "float" else 1.9082149292705877e-10
        y = self.add(self.mul(n, high), self.add(p, self.mul(n, low)))
        y = self.choose(self.compare("oeq", x, math.inf), math.inf, y)
        y = self.choose(self.compare("oeq", x, 0.0), -math.inf, y)
        return self.choose(self.compare("oge", x, 0.0), y, math.nan)

    def log1p(self, x: str) -> str:
        """log(u) x / (u - 1) with the rounded u = 1 + x: the errors of both factors cancel (Kahan)."""
        u = self.add(x, 1.0)
        known = self.mul(self.log(u), self.div(x, self.sub(u, 1.0)))
        known = self.choose(self.compare("oeq", u, 1.0), x, known)
        return self.choose(self.compare("oeq", x, math.inf), x, known)


def text_of_functions(needed: set[tuple[str, str]]) -> str:
    """Return the definitions of functions, by name and type."""
    text = ""
    for name, type in sorted(needed):
        formula = _Formula(type)
        result = getattr(formula, name)("%x")
        lines = "\n  ".join([*formula.lines, f"ret {type} {result}"])
        text += f"define internal {type} @{name}.{type}({type} %x) alwaysinline {{\n  {lines}\n}}\n"
    return text
