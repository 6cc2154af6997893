"""Read frames, boxes and edges from DOT text, SVGs and pages, in the notation of tests/networks/drawn.py."""

from __future__ import annotations

import html
import re
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np

__all__ = ["expectation", "frames_in", "leaving", "read_dot", "read_page", "read_svg"]


def expectation(text):
    """Read an expectation: the paths of frames, the label and path of each box by its name, and the edges."""
    frames, boxes, edges, path = [], [], [], []
    lines = text.strip().splitlines()
    tree = [(len(line) - len(line.lstrip()), line.strip()) for line in lines if not re.search(r" [-~]> ", line)]
    for (depth, line), (below, _) in pairwise([*tree, (0, "")]):
        path = [*path[: depth // 2], line]
        if below > depth:
            frames.append(tuple(path))
        else:
            boxes.append((line, tuple(path[:-1])))
    for line in lines:
        words = re.split(r" ([-~])> ", line)
        edges += [(words[k], words[k + 1], words[k + 2]) for k in range(0, len(words) - 2, 2)]
    return sorted(frames), _named(boxes), sorted(edges)


def _named(boxes):
    """Return the label and path of each box by its name, which has a number if several boxes have the same."""
    short = [re.sub(r" · .*| \(strip\)$", "", label) for label, _ in boxes]
    total, seen, named = Counter(short), Counter(), {}
    for name, (label, path) in zip(short, boxes, strict=True):
        seen[name] += 1
        named[f"{name} {seen[name]}" if total[name] > 1 else name] = label, path
    return named


def read_dot(text):
    """Return frames, boxes and edges of DOT text, as `expectation` does."""
    frames, nodes, edges, path = [], {}, set(), []
    for line in text.splitlines():
        if "subgraph cluster_s" in line:
            continue  # keeps stubs together
        if "subgraph cluster_" in line:
            path.append("")
        elif (title := re.match(r' *label="(.+?)" labeljust', line)) and path:
            path[-1] = title[1] + " (pile)" * (path[-3:-1] == ["", ""])
            frames.append(tuple(filter(None, path)))
        elif line.strip().startswith("}"):
            del path[len(path) - line.count("}") :]
        elif node := re.match(r" *([no]\d+) \[label=(.*)", line):
            nodes[node[1]] = _label(node[2]), tuple(filter(None, path))
        elif edge := re.match(r" *([no]\d+)(?::\w)? -> ([no]\d+)(?::\w)?(.*)", line):
            source, target, style = edge.groups()
            if "style=invis" not in style:
                feedback = 'style="dashed"' in style
                edges.add((target, "~", source) if "dir=back" in style else (source, "~" if feedback else "-", target))
    return _read(frames, nodes, edges)


def _label(text):
    """Return the first line of a label, and whether a strip of colours is below it."""
    if text.startswith('"'):
        return re.match(r'"(.*?)(?:\\n|")', text)[1]
    return html.unescape(re.search(r"<td[^>]*>([^<]+)<", text)[1]) + " (strip)"


def _read(frames, nodes, edges):
    order = sorted(nodes, key=lambda name: (name[0] == "o", int(name[1:])))
    boxes = _named([nodes[name] for name in order])
    names = dict(zip(order, boxes, strict=True))
    return sorted(frames), boxes, sorted({(names[a], kind, names[b]) for a, kind, b in edges})


def read_page(content):
    """Return frames, boxes and edges of a page's content, as `expectation` does, but no edges from the previous step.

    Pages draw none; the panel lists what comes from the previous step.
    """
    paths, nodes, edges = [], {}, set()
    for box in content["boxes"]:
        title = box["name"] + " (pile)" * box["stack"]
        paths.append((*(paths[box["parent"]] if box["parent"] >= 0 else ()), title))
    shown = {f"n{i}": vertex for i, vertex in enumerate(content["vertices"]) if not vertex["stub"]}
    for name, vertex in shown.items():
        strip = " (strip)" * bool(vertex["strips"]["heat"])
        nodes[name] = vertex["name"] + strip, paths[vertex["box"]] if vertex["box"] >= 0 else ()
        edges |= {(f"n{e['source']}", "-", name) for e in vertex["inputs"] if f"n{e['source']}" in shown}
    for i, output in enumerate(content["outputs"]):
        nodes[f"o{i}"] = output["name"], ()
        edges.add((f"n{output['source']}", "-", f"o{i}"))
    return _read(paths, nodes, edges)


# SVG ------------------------------------------------------------------------------------------------------------------


class _Shape:
    """A frame, box or edge of an SVG: its lines of text, the points of its outline, and its smallest rectangle."""

    def __init__(self, group):
        parts = [(part.tag.partition("}")[2], part) for part in group.iter()]
        self.title = next(part.text for tag, part in parts if tag == "title")
        self.texts = [part.text.replace("\xa0", " ") for tag, part in parts if tag == "text"]
        self.outlines = [_points(part) for tag, part in parts if tag in ("path", "polygon")]
        self.dashed = any("stroke-dasharray" in part.attrib for _, part in parts)
        self.low, self.high = (end(self.outlines[0], axis=0) for end in (np.min, np.max)) if self.outlines else (0, 0)

    def holds(self, points):
        return bool(((self.low <= points) & (points <= self.high)).all())


def _points(part):
    return np.array(
        [xy.split(",") for xy in re.findall(r"-?[\d.]+,-?[\d.]+", part.get("d") or part.get("points"))], float
    )


def _shapes(svg, kind):
    groups = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g")
    return [shape for group in groups if group.get("class") == kind and (shape := _Shape(group)).outlines]


def read_svg(svg):
    """Return frames, boxes and edges of an SVG, as `expectation` does, by what is inside the outline of a frame."""
    clusters = frames_in(svg)
    frames = [path for shape in clusters if (path := _around(clusters, shape)) and shape.texts]
    shapes = [shape for shape in _shapes(svg, "node") if re.fullmatch(r"[no]\d+", shape.title)]
    strip = [" (strip)" * (len(shape.outlines) > 2) for shape in shapes]
    nodes = {s.title: (s.texts[0] + mark, _around(clusters, s)) for s, mark in zip(shapes, strip, strict=True)}
    edges = set()
    for shape in _shapes(svg, "edge"):
        source, target = re.sub(r":\w", "", shape.title).split("->")
        if source in nodes and target in nodes:
            curve, arrow = shape.outlines
            start, end = (np.linalg.norm(arrow.mean(axis=0) - curve[k]) for k in (0, -1))
            edges.add((source, "~" if shape.dashed else "-", target)[:: -1 if start < end else 1])
    return _read(frames, nodes, edges)


def frames_in(svg):
    """Return the outlines of all frames, outermost first."""
    frames = [shape for shape in _shapes(svg, "cluster") if not shape.title.startswith("cluster_s")]
    return sorted(frames, key=lambda shape: -np.prod(shape.high - shape.low))


def _around(frames, shape):
    """Return the titles of the frames around a shape, or around and including a frame."""
    titles = ["".join(f.texts) for f in frames if f.holds(shape.low) and f.holds(shape.high)]
    piled = [t + " (pile)" * (titles[max(k - 2, 0) : k] == ["", ""]) for k, t in enumerate(titles)]
    return tuple(filter(None, piled))


def leaving(svg):
    """Return each edge that leaves a frame around both of its ends: the frame, the edge, and by how many points."""
    nodes, frames, found = {shape.title: shape for shape in _shapes(svg, "node")}, frames_in(svg), []
    for shape in _shapes(svg, "edge"):
        ends = [nodes[name] for name in re.sub(r":\w", "", shape.title).split("->")]
        points = _sampled(shape.outlines[0])
        for frame in frames:
            if all(frame.holds(end.low) and frame.holds(end.high) for end in ends):
                far = max(np.max(frame.low - points), np.max(points - frame.high))
                found += [("".join(frame.texts), shape.title, float(far))] if far > 0 else []
    return found


def _sampled(curve):
    """Return points on a curve of Bézier pieces, because their control points may be far from it."""
    t = np.linspace(0, 1, 20)[:, None]
    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
    pieces = [curve[k : k + 4] for k in range(0, len(curve) - 3, 3)]
    return np.concatenate([sum(w * point for w, point in zip(weights, piece, strict=True)) for piece in pieces])
