"""Random scenes: things of a kind, colour, size and count, and their relations, before a background.

A scene is a row of one to three columns. A column is a thing on the ground (a bird or a kite hovers) or a stack, with a
second thing on, inside or above the first. A thing is `left of` all things to its right, and a stack adds its own
relation. So the relations of a scene are known by construction. No two things of a scene have the same kind, so the
kind identifies the thing.

Coordinates are fractions of the picture's side, x to the right and y downwards.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "KINDS",
    "RELATIONS",
    "SIZES",
    "VIEWS",
    "Kind",
    "Relation",
    "Scene",
    "Thing",
    "draw_lone_scene",
    "draw_scene",
    "draw_scenes",
    "held_out",
    "is_held_out",
    "pick",
    "scene_from_json",
    "scene_to_json",
]


@dataclass(frozen=True)
class Kind:
    """The size of a kind of thing, and its possible relations. Lengths are hundredths of the picture's side.

    width, height: of a big thing.
    light: whether it can be on and inside other things.
    airborne: whether it can be above other things.
    hovers: whether it never touches the ground.
    seat, seat_x: height, and middle from the left, of the surface that carries other things.
    opening: (width, height, sill) of the hole that other things fit in, with the sill's height above the ground.
    """

    width: float
    height: float
    light: bool = False
    airborne: bool = False
    hovers: bool = False
    seat: float | None = None
    seat_x: float = 0.0
    opening: tuple[float, float, float] | None = None


KINDS: dict[str, Kind] = {
    "dog": Kind(46, 38, light=True),
    "cat": Kind(36, 42, light=True),
    "bird": Kind(38, 32, light=True, airborne=True, hovers=True),
    "fish": Kind(44, 28, light=True),
    "car": Kind(52, 28, seat=28, seat_x=25),
    "bus": Kind(58, 32, seat=32, seat_x=29),
    "boat": Kind(48, 48),
    "tree": Kind(40, 54),
    "house": Kind(50, 50, opening=(29, 27, 1)),
    "ball": Kind(32, 32, light=True, airborne=True),
    "chair": Kind(30, 46, seat=20, seat_x=16),
    "cup": Kind(36, 30, light=True),
    "kite": Kind(34, 50, airborne=True, hovers=True),
    "umbrella": Kind(46, 44, airborne=True),
    "box": Kind(48, 40, seat=40, seat_x=24, opening=(40, 31, 4)),
}
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SIZES: dict[str, float] = {"small": 0.6, "big": 1.0}
"""Scale of each size, relative to the kind: a small bus may be as wide as a big ball."""
BACKGROUNDS = ("beach", "street", "snow", "meadow", "room")
RELATIONS = ("left of", "above", "inside", "on")
VIEWS = 3
"""Each background has this many pictures, which no caption tells apart."""

_ROOM = 0.97  # largest width of a row, as a share of the picture's side
_GAP = 0.03  # between columns
_NEAR = 0.015  # between the objects of a group
_PATTERNS = {
    "lone": 0.25,
    "group": 0.15,
    "row of two": 0.22,
    "stack": 0.23,
    "row of three": 0.05,
    "stack and one": 0.1,
}


@dataclass(frozen=True)
class Thing:
    """One to three equal objects; `places` has (x, y) of the middle of the lower edge of each."""

    kind: str
    colour: str
    size: str
    places: tuple[tuple[float, float], ...]

    @property
    def count(self) -> int:
        """The number of objects, 1 to 3."""
        return len(self.places)


@dataclass(frozen=True)
class Relation:
    """`subject` is `name` `object`, such as dog, on, box: two kinds of the scene and one of RELATIONS."""

    subject: str
    name: str
    object: str


@dataclass(frozen=True)
class Scene:
    """A background and its view, the things, and every relation between them.

    Example:
        >>> scene = draw_scene(np.random.default_rng(1))
        >>> [(thing.count, thing.size, thing.colour, thing.kind) for thing in scene.things]
        [(1, 'big', 'red', 'cat'), (1, 'big', 'pink', 'tree')]
    """

    background: str
    view: int
    things: tuple[Thing, ...]
    relations: tuple[Relation, ...] = ()


# ---------------------------------------------------------------------- held out
def held_out(kind: str, relation: str, background: str) -> bool:
    """Return whether training never shows a `kind` as the subject of `relation` before `background`.

    For each kind and relation one of the five backgrounds is held out. The next kind has the next one, and the next
    relation the next but one. So training shows every pair of kind, relation and background that can be drawn.

    Example:
        >>> [background for background in BACKGROUNDS if held_out("cat", "on", background)]
        ['snow']
    """
    turn = list(KINDS).index(kind) + 2 * RELATIONS.index(relation)
    return BACKGROUNDS.index(background) == turn % len(BACKGROUNDS)


def is_held_out(scene: Scene) -> bool:
    """Return whether the scene shows any held-out combination."""
    return any(held_out(relation.subject, relation.name, scene.background) for relation in scene.relations)


# ---------------------------------------------------------------------- random scenes
@dataclass(frozen=True)
class _Group:
    """A thing without a position."""

    kind: str
    colour: str
    size: str
    count: int = 1

    @property
    def step(self) -> float:
        return KINDS[self.kind].width * SIZES[self.size] / 100 + _NEAR

    @property
    def width(self) -> float:
        return self.step * self.count - _NEAR

    @property
    def height(self) -> float:
        return KINDS[self.kind].height * SIZES[self.size] / 100

    def placed(self, x: float, y: float) -> Thing:
        """Place the objects side by side around x, with the lower edge at y."""
        first = x - self.step * (self.count - 1) / 2
        places = tuple((round(first + i * self.step, 4), round(y, 4)) for i in range(self.count))
        return Thing(self.kind, self.colour, self.size, places)


@dataclass(frozen=True)
class _Column:
    base: _Group
    relation: str = ""  # of the top to the base
    top: _Group | None = None

    @property
    def width(self) -> float:
        return max(self.base.width, self.top.width if self.top else 0.0)


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw random scenes until one fits the picture, and return it."""
    while True:
        pattern = str(rng.choice(list(_PATTERNS), p=list(_PATTERNS.values())))
        scene = _place(rng, _columns(rng, pattern))
        if scene is not None:
            return scene


def draw_lone_scene(rng: np.random.Generator, kind: str | None = None) -> Scene:
    """Draw a random scene with a single object, of the given kind or of a random one.

    The object is at most 2.5 % of the picture's side off the middle, so raw pixels tell its kind.

    Raises:
        ValueError: if the kind is unknown.

    Example:
        >>> draw_lone_scene(np.random.default_rng(0), "kite").things[0].kind
        'kite'
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"draw_lone_scene: unknown kind {kind!r}. Use one of {', '.join(KINDS)}.")
    scene = None
    while scene is None:
        scene = _place(rng, [_Column(_group(rng, kind or pick(rng, list(KINDS))))])
    return scene


def draw_scenes(seed: int, split: str, count: int) -> Iterator[Scene]:
    """Yield `count` random scenes of a split, always the same for a seed; a longer list begins with the shorter one.

    Training scenes never show a held-out combination. Every second validation scene shows one; the others do not.

    Raises:
        ValueError: if the split is neither "train" nor "val".

    Example:
        >>> any(is_held_out(scene) for scene in draw_scenes(0, "train", 50))
        False
        >>> sum(is_held_out(scene) for scene in draw_scenes(0, "val", 50))
        25
    """
    if split not in ("train", "val"):
        raise ValueError(f"draw_scenes: unknown split {split!r}. Use 'train' or 'val'.")
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    for index in range(count):
        wanted = split == "val" and index % 2 == 1
        scene = draw_scene(rng)
        while is_held_out(scene) != wanted:
            scene = draw_scene(rng)
        yield scene


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Return a random one of the options."""
    return options[int(rng.integers(len(options)))]


def _group(rng: np.random.Generator, kind: str, count: int = 1, size: str | None = None) -> _Group:
    return _Group(kind, pick(rng, list(COLOURS)), size or pick(rng, list(SIZES)), count)


def _columns(rng: np.random.Generator, pattern: str) -> list[_Column]:
    """Draw the things of a pattern, in columns from left to right."""
    kinds = [str(kind) for kind in rng.permutation(list(KINDS))]
    if pattern == "lone":
        return [_Column(_group(rng, kinds[0]))]
    if pattern == "group":
        return [_Column(_group(rng, kinds[0], count=int(rng.integers(2, 4))))]
    if pattern == "row of two":
        counts = ((1, 1), (1, 1), (2, 1), (1, 2))[int(rng.integers(4))]
        return [_Column(_group(rng, kind, count)) for kind, count in zip(kinds, counts, strict=False)]
    if pattern == "row of three":
        return [_Column(_group(rng, kind)) for kind in kinds[:3]]
    stack = _stack(rng, kinds, may_be_many=pattern == "stack")
    if pattern == "stack":
        return [stack]
    assert stack.top is not None
    other = next(kind for kind in kinds if kind not in (stack.base.kind, stack.top.kind))
    columns = [stack, _Column(_group(rng, other, size="small"))]
    return columns if rng.random() < 0.5 else columns[::-1]


def _stack(rng: np.random.Generator, kinds: list[str], may_be_many: bool) -> _Column:
    """Stack the first kinds that suit a random relation."""
    relation = pick(rng, ["above", "inside", "on"])
    if relation == "above":
        top = next(kind for kind in kinds if KINDS[kind].airborne)
        base = next(kind for kind in kinds if kind != top and not KINDS[kind].hovers)
        count = 2 if may_be_many and rng.random() < 0.3 else 1
        return _Column(_group(rng, base), relation, _group(rng, top, count))
    top = next(kind for kind in kinds if KINDS[kind].light)
    carries = [kind for kind in kinds if (KINDS[kind].opening if relation == "inside" else KINDS[kind].seat)]
    return _Column(_group(rng, carries[0], size="big"), relation, _group(rng, top, size="small"))


def _place(rng: np.random.Generator, columns: list[_Column]) -> Scene | None:
    """Place everything; None if it does not fit the picture."""
    slack = _ROOM - sum(column.width for column in columns) - _GAP * (len(columns) - 1)
    if slack < 0:
        return None
    ground = rng.uniform(0.895, 0.925)
    shares = rng.dirichlet(np.full(len(columns) + 1, 20.0)) * slack
    left = (1 - _ROOM) / 2
    things: list[list[Thing]] = []
    for column, share in zip(columns, shares, strict=False):
        middle = left + share + column.width / 2
        if len(columns) == 1:  # a single column stays near the middle
            middle = 0.5 + min(slack / 2, 0.025) * rng.uniform(-1, 1)
        placed = _place_column(rng, column, middle, ground)
        if placed is None:
            return None
        things.append(placed)
        left += share + column.width + _GAP
    return Scene(
        BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))],
        int(rng.integers(VIEWS)),
        tuple(thing for column in things for thing in column),
        _relations(columns),
    )


def _place_column(rng: np.random.Generator, column: _Column, x: float, ground: float) -> list[Thing] | None:
    """Place the top of a stack and then its base; None if the stack is too high."""
    base, top = column.base, column.top
    kind, scale = KINDS[base.kind], SIZES[base.size]
    if top is None:
        return [base.placed(x, ground - (rng.uniform(0.18, 0.20) if kind.hovers else 0.0))]
    if column.relation == "inside":
        width, height, sill = kind.opening or (0.0, 0.0, 0.0)
        if top.width * 100 > width * scale or top.height * 100 > height * scale:
            return None
        return [top.placed(x, ground - sill * scale / 100), base.placed(x, ground)]
    if column.relation == "on":
        seat = (kind.seat or 0.0) * scale / 100
        shift = (kind.seat_x - kind.width / 2) * scale / 100
        return [top.placed(x + shift, ground - seat), base.placed(x, ground)]
    lowest = ground - base.height - 0.05  # a gap that is clearly visible
    if lowest - top.height < 0.02:
        return None
    height = rng.uniform(max(lowest - 0.12, top.height + 0.02), lowest)
    return [top.placed(x + rng.uniform(-0.02, 0.02), height), base.placed(x, ground)]


def _relations(columns: list[_Column]) -> tuple[Relation, ...]:
    """Return every relation: those of the stacks, and those between the columns."""
    names = [[group.kind for group in (column.top, column.base) if group] for column in columns]
    stacks = [Relation(c.top.kind, c.relation, c.base.kind) for c in columns if c.top]
    rows = [
        Relation(subject, "left of", other)
        for i, left in enumerate(names)
        for right in names[i + 1 :]
        for subject in left
        for other in right
    ]
    return tuple(stacks + rows)


# ---------------------------------------------------------------------- JSON
def scene_to_json(scene: Scene) -> str:
    """Return the scene as one line of JSON."""
    return json.dumps(asdict(scene))


def scene_from_json(line: str) -> Scene:
    """Read what `scene_to_json` wrote.

    Raises:
        ValueError: if the line is not a scene.

    Example:
        >>> scene = draw_scene(np.random.default_rng(3))
        >>> scene_from_json(scene_to_json(scene)) == scene
        True
    """
    try:
        raw = json.loads(line)
        things = [thing | {"places": tuple((x, y) for x, y in thing["places"])} for thing in raw["things"]]
        relations = tuple(Relation(**relation) for relation in raw["relations"])
        scene = Scene(raw["background"], raw["view"], tuple(Thing(**thing) for thing in things), relations)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a scene: {type(error).__name__}: {error}") from error
    kinds = [thing.kind for thing in scene.things]
    checks: list[tuple[object, Collection[object]]] = [(scene.background, BACKGROUNDS), (scene.view, range(VIEWS))]
    for thing in scene.things:
        checks += [(thing.kind, KINDS), (thing.colour, COLOURS), (thing.size, SIZES), (thing.count, range(1, 4))]
    for relation in scene.relations:
        checks += [(relation.name, RELATIONS), (relation.subject, kinds), (relation.object, kinds)]
    for value, known in checks:
        if value not in known:
            raise ValueError(f"not a scene: {value!r} is not one of {', '.join(map(str, known))}")
    return scene
