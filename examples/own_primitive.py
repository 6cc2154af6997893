"""Declare a primitive with its VJP and a reference, and let the checker find a mistake in it."""

import numpy as np

import minigrad as mg


@mg.primitive(broadcasts=True)
def squared_distance(a, b):
    """(a - b)^2, entry by entry, with broadcasting."""
    d = a - b
    return d * d, (d,)


@squared_distance.vjp
def _(g, needs, d):
    return (2 * d * g if needs[0] else None, -2 * d * g if needs[1] else None)


@squared_distance.reference
def _(a, b):
    return mg.square(mg.subtract(a, b))


def main() -> str:
    """Check a right VJP, then a wrong one; return the error message."""
    a, b = np.array([[1.0], [2.0]]), np.array([0.5, 3.0, -1.0])
    mg.gradcheck(squared_distance, [a, b])
    print("squared_distance: the VJP is right")

    @mg.primitive
    def wrong(x):
        return x**3, (x,)

    @wrong.vjp
    def _(g, needs, x):
        return (3 * x * g,)

    try:
        mg.gradcheck(wrong, [np.array([1.0, 2.0])])
    except mg.check.GradcheckError as error:
        print(error)
        return str(error)
    raise AssertionError("the checker missed it")


if __name__ == "__main__":
    main()
