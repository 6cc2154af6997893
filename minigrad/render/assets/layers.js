// The layout of a box in layers: each child below those that feed it, wires between them as chains of cells.

const MOST_CELLS = 15000, PAD = 14, HEAD = 24, GAP = 22, RISE = 36, STRAIGHT = 14;

function layOutLayers(box) {
  const cellOf = new Map(box.children.filter(isDrawn).map((item) => [item, newCell(item.w, item.h, { item })]));
  const layers = layersOf(box, cellOf);
  const pieces = [];
  const loose = looseWires(box, layers, cellOf);
  for (const wire of box.wires.values()) thread(wire, layers, cellOf, pieces, loose.has(wire));
  untangle(layers);
  place(layers, GAP);
  setPlaces(box, layers);
  setPorts(box, layers);
  box.pieces = joined(box, pieces);
}

// The pieces with their paths; pieces that follow each other without a branch are one.
function joined(box, pieces) {
  const result = [], endingAt = new Map();
  for (const piece of pieces) {
    const d = layerPath(box, piece), end = piece.b.item ? arrowEnd(piece) : null, area = areaOf(box, piece);
    let whole = piece.a.outs.length === 1 ? endingAt.get(piece.a) : undefined;
    if (whole) Object.assign(whole, { d: whole.d + d.replace("M", "L"), end, area: union(whole.area, area) });
    else result.push((whole = { wire: piece.wire, edges: piece.edges, loose: piece.loose, d, end, area }));
    if (!piece.b.item) endingAt.set(piece.b, whole);
  }
  return result;
}

function isDrawn(item) {
  return visible(item) === item;
}

function newCell(w, h, extra) {
  return { w, h, x: 0, ins: [], outs: [], item: null, pin: 0, side: "", ...extra };
}

// Longest-path ranks; a child without inputs stands right above the first that it feeds.
function layersOf(box, cellOf) {
  const cells = [...cellOf.values()], next = new Map(cells.map((cell) => [cell, []])), before = new Map(cells.map((cell) => [cell, 0]));
  for (const wire of box.wires.values()) {
    const from = cellOf.get(wire.from);
    for (const to of wire.ends.keys()) {
      if (from && cellOf.has(to)) { next.get(from).push(cellOf.get(to)); before.set(cellOf.get(to), before.get(cellOf.get(to)) + 1); }
    }
  }
  const fed = new Set(cells.filter((cell) => before.get(cell) > 0));
  const order = cells.filter((cell) => !before.get(cell));
  for (const cell of cells) cell.rank = 0;
  for (let i = 0; i < order.length; i += 1) {
    for (const cell of next.get(order[i])) {
      cell.rank = Math.max(cell.rank, order[i].rank + 1);
      before.set(cell, before.get(cell) - 1);
      if (!before.get(cell)) order.push(cell);
    }
  }
  const entered = new Set();
  for (const wire of box.wires.values()) if (typeof wire.from === "string") for (const to of wire.ends.keys()) entered.add(cellOf.get(to));
  for (const cell of cells) {
    if (!fed.has(cell) && !entered.has(cell) && next.get(cell).length) cell.rank = Math.min(...next.get(cell).map((c) => c.rank)) - 1;
  }
  // A rank above all for what enters the box, and one below all for what leaves it.
  const lowest = Math.max(0, ...cells.map((cell) => cell.rank));
  const layers = Array.from({ length: lowest + 3 }, () => []);
  for (const cell of cells) { cell.rank += 1; layers[cell.rank].push(cell); }
  return layers;
}

// Wires that run too far for what a browser can lay out: they get no cells, and may be drawn across boxes.
function looseWires(box, layers, cellOf) {
  const spans = [...box.wires.values()].map((wire) => {
    const from = cellOf.has(wire.from) ? cellOf.get(wire.from).rank : 0;
    const ranks = [...wire.ends.keys()].map((end) => (cellOf.has(end) ? cellOf.get(end).rank : end === "bottom" ? layers.length - 1 : 0));
    return [Math.max(...ranks) - from, wire];
  }).sort((a, b) => a[0] - b[0]);
  let cells = 0;
  return new Set(spans.filter(([span]) => (cells += span) > MOST_CELLS).map(([, wire]) => wire));
}

// Adds the cells of a wire: one in each layer that it passes, shared by all its ends below.
function thread(wire, layers, cellOf, pieces, loose) {
  const ranks = [...wire.ends.keys()].filter((end) => cellOf.has(end)).map((end) => cellOf.get(end).rank);
  const add = (rank, extra) => {
    const cell = newCell(6, 0, { rank, wire, ...extra });
    layers[rank].push(cell);
    return cell;
  };
  let at = cellOf.get(wire.from);
  if (!at) at = wire.from === "left" ? add(Math.min(...ranks) - 1, { side: "left", pin: -1 }) : add(0, { side: "top" });
  const ends = [...wire.ends.entries()].map(([end, list]) => {
    const rank = end === "bottom" ? layers.length - 1 : end === "right" ? at.rank + 1 : cellOf.get(end).rank;
    return { end, list, rank };
  }).sort((a, b) => a.rank - b.rank);
  ends.forEach(({ end, list, rank }, i) => {
    while (at.rank < rank - 1 && !loose) {
      const cell = add(at.rank + 1, {});
      pieces.push(link(wire, at, cell, ends.slice(i).flatMap((e) => e.list)));
      at = cell;
    }
    const last = end === "bottom" ? add(rank, { side: "bottom" }) : end === "right" ? add(rank, { side: "right", pin: 1 }) : cellOf.get(end);
    pieces.push(link(wire, at, last, list));
  });
}

// Joins two cells; where on them the wire ends is known as far as the item tells it.
function link(wire, a, b, list) {
  const from = a.item ? outPlace(a.item, wire) - a.w / 2 : 0, to = b.item ? inPlace(b.item, wire) - b.w / 2 : 0;
  const made = { wire, a, b, loose: b.rank > a.rank + 1, edges: list, fromOffset: from, toOffset: to, fromShare: from / (a.w + 1), toShare: to / (b.w + 1) };
  a.outs.push(made);
  b.ins.push(made);
  return made;
}

// Where wires leave a vertex at its bottom: one place for each output that is used.
function outPlace(item, wire) {
  if (item.isBox && !item.closed) return item.ports.bottom.get(wire.key);
  const k = item.closed ? 0 : item.usedSlots.indexOf(wire.slot), n = item.closed ? 1 : item.usedSlots.length;
  return item.bodyX + (item.bodyW * (k + 1)) / (n + 1);
}

function inPlace(item, wire) {
  if (item.isBox && !item.closed) return item.ports.top.get(wire.key);
  return item.bodyX + item.bodyW / 2;
}

function setPlaces(box, layers) {
  const header = box === root ? 0 : HEAD;
  let y = header, left = Infinity, right = -Infinity;
  layers.forEach((layer, rank) => {
    const height = Math.max(0, ...layer.map((cell) => cell.h));
    // Wires from the left side run below the layer, those to the right side above it, each in a lane of its own.
    const lefts = layer.filter((cell) => cell.side === "left"), rights = layer.filter((cell) => cell.side === "right");
    y += rights.length * 9;
    rights.forEach((cell, i) => { cell.lane = y - 4 - 9 * (rights.length - 1 - i); });
    for (const cell of layer) {
      Object.assign(cell, { y: y + (height - cell.h) / 2, bandTop: y, bandBottom: y + height });
      left = Math.min(left, cell.x - cell.w / 2);
      right = Math.max(right, cell.x + cell.w / 2);
    }
    y += height;
    if (lefts.length && layer.some((cell) => cell.item)) y += STRAIGHT; // below the labels
    lefts.forEach((cell, i) => { cell.lane = y + 4 + 9 * (lefts.length - 1 - i); });
    y += lefts.length * 9;
    if (rank < layers.length - 1) y += riseBelow(layer, layers[rank + 1], rank === 0, rank === layers.length - 2);
  });
  const least = box.headW || 0;
  const w = Math.max(right - left + 2 * PAD, least), shift = (w - (right - left)) / 2 - left;
  for (const layer of layers) for (const cell of layer) cell.x += left === Infinity ? 0 : shift;
  Object.assign(box, { w, h: Math.max(y, header + PAD) });
  for (const layer of layers) for (const cell of layer) if (cell.item) Object.assign(cell.item, { x: cell.x - cell.w / 2, y: cell.y });
}

// The distance to the next layer: more where wires run far to the side, so that they do not lie on each other.
function riseBelow(layer, below, first, last) {
  const far = Math.max(0, ...layer.flatMap((cell) => cell.outs.map((l) => Math.abs(l.b.x + l.toOffset - cell.x - l.fromOffset))));
  const bent = far > 0.5 && layer.some((cell) => cell.item) ? STRAIGHT - 2 : 0;
  const rise = Math.min(Math.max(RISE, far / 8), 130) + bent;
  if (first && !layer.length) return PAD / 2;
  if (last && !below.length) return PAD;
  return first || last ? Math.max(18, rise - 14) : rise;
}

function setPorts(box, layers) {
  box.ports = { top: new Map(), bottom: new Map(), left: new Map(), right: new Map() };
  for (const cell of layers.flat()) {
    if (cell.side === "top" || cell.side === "bottom") box.ports[cell.side].set(cell.wire.key, cell.x);
    if (cell.side === "left" || cell.side === "right") box.ports[cell.side].set(cell.wire.key, cell.lane);
  }
  for (const cell of layers.flat()) if (cell.item && !(cell.item.isBox && !cell.item.closed)) arrive(cell);
}

// Wires into a vertex arrive side by side in the order in which they come: straight from above where that is possible.
function arrive(cell) {
  const { bodyX, bodyW } = cell.item, from = (made) => made.a.x + made.fromOffset;
  const ins = [...cell.ins].sort((p, q) => from(p) - from(q));
  const left = cell.x - cell.w / 2 + bodyX, low = left + 12, high = left + bodyW - 12;
  const ends = ins.map((made) => ({ w: 10 + cell.item.saidW, weight: 1, wish: Math.min(Math.max(from(made), low), high) }));
  spread(ends, 3);
  const fits = ends.every((end) => end.x >= low - 4 && end.x <= high + 4);
  ins.forEach((made, i) => { made.toOffset = (fits ? ends[i].x : left + (bodyW * (i + 1)) / (ins.length + 1)) - cell.x; });
}

// Down within the layer, a curve in the free space between layers, and down again: so no box is crossed.
function layerPath(box, { a, b, fromOffset, toOffset }) {
  const x0 = a.x + fromOffset, x1 = b.x + toOffset;
  let start = `M${r(x0)} ${r(a.item ? a.y + a.item.h : a.bandTop)}`, y0 = a.bandBottom;
  if (a.item && Math.abs(x0 - x1) >= 0.5) y0 += STRAIGHT; // beside its label
  if (a.side === "top") start = `M${r(x0)} 0`;
  if (a.side === "left") { start = `M0 ${r(a.lane)}H${r(x0 - 5)}q5 0 5 5`; y0 = a.lane + 5; }
  let y1 = b.bandTop, end = b.item ? `V${r(b.y)}` : "";
  if (b.side === "bottom") end = `V${r(box.h)}`;
  if (b.side === "right") { y1 = b.lane - 5; end = `q0 5 5 5H${r(box.w)}`; }
  const bend = Math.max((y1 - y0) * 0.5, 4);
  const middle = Math.abs(x0 - x1) < 0.5 ? `V${r(y1)}` : `C${r(x0)} ${r(y0 + bend)} ${r(x1)} ${r(y1 - bend)} ${r(x1)} ${r(y1)}`;
  return `${start}V${r(y0)}${middle}${end}`;
}

// The area that the path stays in.
function areaOf(box, { a, b, fromOffset, toOffset }) {
  const left = a.side === "left" ? 0 : Math.min(a.x + fromOffset, b.x + toOffset);
  const right = b.side === "right" ? box.w : Math.max(a.x + fromOffset, b.x + toOffset);
  return { x: left, y: a.side ? 0 : a.y, w: right - left, h: (b.side ? box.h : b.y) - (a.side ? 0 : a.y) };
}

function union(a, b) {
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

function r(x) {
  return Math.round(x * 10) / 10;
}

function arrowEnd({ b, toOffset }) {
  return b.item.isBox && !b.item.closed ? null : { x: b.x + toOffset, y: b.y, way: "down" };
}
