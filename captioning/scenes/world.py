"""Small worlds: things of a kind, colour, size and count, in a relation to each other, before a background.

A scene is a row of one to three columns. A column is a thing on the ground (a bird or a kite hovers) and,
if it is a stack, a second thing on, inside or above the first. Everything left of everything else is
`left of` it, and a stack adds its own relation. So a scene's relations are known by construction, and a
picture cannot contradict them. No two things of a scene are of the same kind: a kind names a thing.

Coordinates are fractions of the picture's side, x to the right and y downwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
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
    "scene_from_json",
    "scene_to_json",
]


@dataclass(frozen=True)
class Kind:
    """What the world knows of a kind: how much room it takes and what it can do.

    `width` and `height` are hundredths of the picture's side for a big thing. `seat` is the height of the
    surface that carries other things, with `seat_x` its middle counted from the left. `opening` is
    (width, height, sill) of the hole in which another thing can be, the sill counted from the ground.
    `light` things can be on and inside others, `airborne` ones above them, and one that `hovers` never
    touches the ground.
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
"""Sizes and their scale: a size is relative to the kind, so a small bus may be as wide as a big ball."""
BACKGROUNDS = ("beach", "street", "snow", "meadow", "room")
RELATIONS = ("left of", "above", "inside", "on")
VIEWS = 3
"""Each background is painted in this many ways, which no caption mentions."""

_ROOM = 0.97  # the share of the picture's side that a row may take
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
    """Objects of one kind, colour and size; `places` holds (x, y) of the middle of each one's lower edge."""

    kind: str
    colour: str
    size: str
    places: tuple[tuple[float, float], ...]

    @property
    def count(self) -> int:
        """How many objects there are, 1 to 3."""
        return len(self.places)


@dataclass(frozen=True)
class Relation:
    """`subject` is `name` (one of RELATIONS) `object`; both are kinds of the scene."""

    subject: str
    name: str
    object: str


@dataclass(frozen=True)
class Scene:
    """A world: the background and which of its views, the things, and every relation that holds between them.

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
    """Whether only validation shows a `kind` that is the subject of `relation` before `background`.

    For each kind and relation one background of the five is held out; which one moves on by one a kind and
    by two a relation, so that every kind, every relation and every background is also trained on, and so is
    each pair of them that can be drawn.

    Raises:
        ValueError: a kind, relation or background that the world does not have.

    Example:
        >>> [background for background in BACKGROUNDS if held_out("cat", "on", background)]
        ['snow']
    """
    for value, known in ((kind, tuple(KINDS)), (relation, RELATIONS), (background, BACKGROUNDS)):
        if value not in known:
            raise ValueError(f"held_out: {value!r} is none of {', '.join(known)}")
    turn = list(KINDS).index(kind) + 2 * RELATIONS.index(relation)
    return BACKGROUNDS.index(background) == turn % len(BACKGROUNDS)


def is_held_out(scene: Scene) -> bool:
    """Whether any relation of the scene makes a held-out combination with its subject and the background."""
    return any(held_out(relation.subject, relation.name, scene.background) for relation in scene.relations)


# ---------------------------------------------------------------------- drawing lots
@dataclass(frozen=True)
class _Group:
    """A thing before it has a place."""

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
        """Side by side around x, all with the lower edge at y."""
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
    """A random scene. What does not fit the picture is drawn again, so the call always returns."""
    while True:
        pattern = str(rng.choice(list(_PATTERNS), p=list(_PATTERNS.values())))
        scene = _place(rng, _columns(rng, pattern))
        if scene is not None:
            return scene


def draw_lone_scene(rng: np.random.Generator, kind: str | None = None) -> Scene:
    """A scene with a single object, of the given kind or of a random one.

    A lone object stands near the middle: it strays by at most 2.5 % of the picture's side, so that its kind
    can be told from the raw pixels. Colour, size, background and view are free.

    Raises:
        ValueError: an unknown kind.

    Example:
        >>> draw_lone_scene(np.random.default_rng(0), "kite").things[0].kind
        'kite'
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"draw_lone_scene: kind {kind!r} is none of {', '.join(KINDS)}")
    scene = None
    while scene is None:
        scene = _place(rng, [_Column(_group(rng, kind or _pick(rng, list(KINDS))))])
    return scene


def draw_scenes(seed: int, split: str, count: int) -> Iterator[Scene]:
    """`count` scenes of a split, the same for the same seed; a longer list begins with the shorter one.

    Training scenes never show a held-out combination. Of the validation scenes every second one shows at
    least one, the others are drawn as in training.

    Raises:
        ValueError: a split other than "train" and "val", or a count below 0.

    Example:
        >>> any(is_held_out(scene) for scene in draw_scenes(0, "train", 50))
        False
        >>> sum(is_held_out(scene) for scene in draw_scenes(0, "val", 50))
        25
    """
    if split not in ("train", "val"):
        raise ValueError(f"draw_scenes: split {split!r} is neither 'train' nor 'val'")
    if count < 0:
        raise ValueError(f"draw_scenes: count must be 0 or more, got {count}")
    return _scenes(np.random.default_rng([seed, 0 if split == "train" else 1]), split, count)


def _scenes(rng: np.random.Generator, split: str, count: int) -> Iterator[Scene]:
    for index in range(count):
        wanted = split == "val" and index % 2 == 1
        scene = draw_scene(rng)
        while is_held_out(scene) != wanted:
            scene = draw_scene(rng)
        yield scene


def _pick(rng: np.random.Generator, options: list[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _group(rng: np.random.Generator, kind: str, count: int = 1, size: str | None = None) -> _Group:
    return _Group(kind, _pick(rng, list(COLOURS)), size or _pick(rng, list(SIZES)), count)


def _columns(rng: np.random.Generator, pattern: str) -> list[_Column]:
    """The things of a pattern, in columns from left to right."""
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
    """Two things of which the first kinds that suit a random relation are made."""
    relation = _pick(rng, ["above", "inside", "on"])
    if relation == "above":
        top = next(kind for kind in kinds if KINDS[kind].airborne)
        base = next(kind for kind in kinds if kind != top and not KINDS[kind].hovers)
        count = 2 if may_be_many and rng.random() < 0.3 else 1
        return _Column(_group(rng, base), relation, _group(rng, top, count))
    top = next(kind for kind in kinds if KINDS[kind].light)
    carries = [kind for kind in kinds if (KINDS[kind].opening if relation == "inside" else KINDS[kind].seat)]
    return _Column(_group(rng, carries[0], size="big"), relation, _group(rng, top, size="small"))


def _place(rng: np.random.Generator, columns: list[_Column]) -> Scene | None:
    """Give everything its place; None if it does not fit the picture."""
    slack = _ROOM - sum(column.width for column in columns) - _GAP * (len(columns) - 1)
    if slack < 0:
        return None
    ground = rng.uniform(0.895, 0.925)
    shares = rng.dirichlet(np.full(len(columns) + 1, 20.0)) * slack
    left = (1 - _ROOM) / 2
    things: list[list[Thing]] = []
    for column, share in zip(columns, shares, strict=False):
        middle = left + share + column.width / 2
        if len(columns) == 1:  # a single column strays less, see draw_lone_scene
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
    """The top of a stack first, then its base; None if the stack is too high."""
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
    lowest = ground - base.height - 0.05  # a gap that nobody takes for contact
    if lowest - top.height < 0.02:
        return None
    height = rng.uniform(max(lowest - 0.12, top.height + 0.02), lowest)
    return [top.placed(x + rng.uniform(-0.02, 0.02), height), base.placed(x, ground)]


def _relations(columns: list[_Column]) -> tuple[Relation, ...]:
    """Every relation that holds: that of each stack, and that of any two columns' things."""
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


# ---------------------------------------------------------------------- one line of JSON
def scene_to_json(scene: Scene) -> str:
    """The scene as one line of JSON, which `scene_from_json` reads."""
    return json.dumps(asdict(scene))


def scene_from_json(line: str) -> Scene:
    """The scene that `scene_to_json` wrote.

    Raises:
        ValueError: the line is no scene: what is missing or unknown.

    Example:
        >>> scene = draw_scene(np.random.default_rng(3))
        >>> scene_from_json(scene_to_json(scene)) == scene
        True
    """
    try:
        raw = json.loads(line)
        things = tuple(
            Thing(
                thing["kind"],
                thing["colour"],
                thing["size"],
                tuple((float(x), float(y)) for x, y in thing["places"]),
            )
            for thing in raw["things"]
        )
        relations = tuple(Relation(r["subject"], r["name"], r["object"]) for r in raw["relations"])
        scene = Scene(raw["background"], int(raw["view"]), things, relations)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a scene: {type(error).__name__}: {error}") from error
    _check_scene(scene)
    return scene


def _check_scene(scene: Scene) -> None:
    kinds = [thing.kind for thing in scene.things]
    checks = [(scene.background, BACKGROUNDS), (scene.view, tuple(range(VIEWS)))]
    for thing in scene.things:
        checks += [(thing.kind, tuple(KINDS)), (thing.colour, COLOURS), (thing.size, tuple(SIZES))]
    for relation in scene.relations:
        checks += [
            (relation.name, RELATIONS),
            (relation.subject, tuple(kinds)),
            (relation.object, tuple(kinds)),
        ]
    for value, known in checks:
        if value not in known:
            raise ValueError(f"not a scene: {value!r} is none of {', '.join(map(str, known))}")
    if not kinds or len(set(kinds)) < len(kinds):
        raise ValueError(f"not a scene: it needs one thing or more, each of another kind, got {kinds}")
    if any(not 1 <= thing.count <= 3 for thing in scene.things):
        raise ValueError("not a scene: every thing needs one to three places")
