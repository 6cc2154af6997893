"""Read drawings: the frames, boxes and edges in DOT text or an SVG, in the words of tests/networks/drawn.py."""

from __future__ import annotations

import html
import re
from collections import Counter
from itertools import pairwise

__all__ = ["expectation", "read_dot"]


def expectation(text):
    """Return frames, boxes and edges of an expectation: each frame with its path, each box with its name and path."""
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
    """Return the path of each box by its name, which has a number if there are several of the same name."""
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
            path[-1] = title[1]
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
