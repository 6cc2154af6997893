// The layout of a loop's steps: side by side, with time to the right.
//
// What a step hands to the next runs straight to the right. What enters from above runs in lanes over the steps, what
// skips a step in lanes under and over them, and what leaves goes straight down.

const LANE = 9, COLUMN = 34;

function layOutRow(box) {
  const items = box.children.filter(isDrawn);
  const wires = [...box.wires.values()];
  const next = new Map(items.map((item, i) => [item, items[i + 1]]));
  const skips = (wire) => [...wire.ends.keys()].filter((end) => end !== "bottom" && end !== next.get(wire.from));
  const entering = wires.filter((wire) => typeof wire.from === "string");
  const skipping = wires.filter((wire) => typeof wire.from !== "string" && skips(wire).length);
  const places = sidesOfItems(items, wires, next, skips);
  const over = laneNumbers([...skipping, ...entering.filter((wire) => wire.ends.size > 1)]);
  const under = laneNumbers(skipping);
  const top = HEAD + over.size * LANE + 30;
  const right = columns(items, wires, next, top, Math.max(box.headW || 0, 2 * PAD));
  const bottom = top + Math.max(0, ...items.map((item) => item.h));
  Object.assign(box, { w: right, h: bottom + under.size * LANE + 20, pieces: [], labels: [] });
  box.ports = { top: new Map(), bottom: new Map(), left: new Map(), right: new Map() };
  const overY = (wire) => HEAD + 8 + over.get(wire) * LANE, underY = (wire) => bottom + 12 + under.get(wire) * LANE;
  for (const wire of entering) enterRow(box, wire, places, over.has(wire) ? overY(wire) : null);
  for (const wire of wires) if (typeof wire.from !== "string") leaveStep(box, wire, places, next, { overY, underY });
}

function laneNumbers(wires) {
  return new Map(wires.map((wire, i) => [wire, i]));
}

// Where wires touch each item: x on its top and bottom, y on its left and right, relative to it.
function sidesOfItems(items, wires, next, skips) {
  const touching = new Map(items.map((item) => [item, { top: [], bottom: [], left: [], right: [] }]));
  const hasPart = (wire) => [...wire.ends.values()].some((list) => list[0].part !== "");
  const lastParts = [...wires].sort((a, b) => hasPart(a) - hasPart(b)); // their labels stand to the right
  for (const wire of lastParts) {
    for (const end of wire.ends.keys()) {
      if (end === "bottom") continue;
      touching.get(end)[end === next.get(wire.from) ? "left" : "top"].push(wire);
    }
    if (typeof wire.from === "string") continue;
    if (wire.ends.has(next.get(wire.from))) touching.get(wire.from).right.push(wire);
    if (wire.ends.has("bottom") || skips(wire).length) touching.get(wire.from).bottom.push(wire);
  }
  return (item, side, wire) => {
    if (item.isBox && !item.closed) return item.ports[side].get(wire.key);
    const list = touching.get(item)[side], share = (list.indexOf(wire) + 1) / (list.length + 1);
    return side === "top" || side === "bottom" ? item.bodyX + item.bodyW * share : item.h * share;
  };
}

// Sets the place of each item, with room for labels between them; returns the right end of the row.
function columns(items, wires, next, top, least) {
  let x = PAD;
  items.forEach((item, i) => {
    Object.assign(item, { x, y: top });
    const labels = wires.filter((wire) => wire.from === item && wire.ends.has(next.get(item))).map(labelOf);
    x += item.w + (i + 1 < items.length ? Math.max(COLUMN, ...labels.map((text) => widthOf(text, SMALL) + 18)) : PAD);
  });
  return Math.max(x, least);
}

function enterRow(box, wire, places, lane) {
  const ends = [...wire.ends.entries()].map(([item, list]) => ({ item, list, x: item.x + places(item, "top", wire), y: item.y }));
  const port = lane === null ? ends[0].x : mean(ends.map((end) => end.x));
  box.ports.top.set(wire.key, port);
  for (const { item, list, x, y } of ends) {
    const points = lane === null ? [[x, 0], [x, y]] : [[port, 0], [port, lane], [x, lane], [x, y]];
    addPiece(box, wire, list, points, arrowAt(item, x, y, "down"));
  }
}

function leaveStep(box, wire, places, next, { overY, underY }) {
  const item = wire.from, right = item.x + (item.isBox && !item.closed ? item.w : item.bodyX + item.bodyW);
  const text = wire.item === item ? labelOf(wire) : "";
  for (const [end, list] of wire.ends) {
    if (end === next.get(item)) {
      const y0 = item.y + places(item, "right", wire), y1 = end.y + places(end, "left", wire);
      const left = end.x + (end.isBox && !end.closed ? 0 : end.bodyX), middle = r((right + left) / 2);
      const d = Math.abs(y0 - y1) < 0.5 ? `M${r(right)} ${r(y0)}H${r(left)}` : `M${r(right)} ${r(y0)}C${middle} ${r(y0)} ${middle} ${r(y1)} ${r(left)} ${r(y1)}`;
      const area = { x: right, y: Math.min(y0, y1), w: left - right, h: Math.abs(y0 - y1) };
      box.pieces.push({ wire, edges: list, d, end: arrowAt(end, left, y1, "right"), area });
      if (text) box.labels.push({ x: right + 5, y: y0 - 5, text, wire });
      continue;
    }
    const x0 = item.x + places(item, "bottom", wire), y0 = item.y + item.h;
    if (end === "bottom") {
      box.ports.bottom.set(wire.key, x0);
      addPiece(box, wire, list, [[x0, y0], [x0, box.h]], null);
    } else {
      const x1 = end.x + places(end, "top", wire), gap = end.x - 12, low = underY(wire), high = overY(wire);
      addPiece(box, wire, list, [[x0, y0], [x0, low], [gap, low], [gap, high], [x1, high], [x1, end.y]], arrowAt(end, x1, end.y, "down"));
    }
    if (!text || wire.ends.has(next.get(item))) continue;
    const isLeft = item.usedSlots.length > 1 && wire.slot === item.usedSlots[0]; // two labels stand on both sides
    box.labels.push({ x: x0 + (isLeft ? -5 : 5), y: y0 + 11, text, wire, anchor: isLeft ? "end" : "start" });
  }
}

function arrowAt(item, x, y, way) {
  return item.isBox && !item.closed ? null : { x, y, way };
}

function addPiece(box, wire, list, points, end) {
  const area = points.map(([x, y]) => ({ x, y, w: 0, h: 0 })).reduce(union);
  box.pieces.push({ wire, edges: list, d: rounded(points), end, area });
  const parts = new Set(list.map((edge) => edge.part));
  if (end && parts.size === 1 && list[0].part && !list[0].said) box.labels.push({ x: end.x + 5, y: end.y - 9, text: list[0].part, wire });
}

// A line through the points with round corners.
function rounded(points, radius = 5) {
  let d = `M${r(points[0][0])} ${r(points[0][1])}`;
  for (let i = 1; i < points.length; i += 1) {
    const [x, y] = points[i], [px, py] = points[i - 1], after = points[i + 1];
    if (!after) return `${d}L${r(x)} ${r(y)}`;
    const back = Math.hypot(x - px, y - py), on = Math.hypot(after[0] - x, after[1] - y);
    const cut = Math.min(radius, back / 2, on / 2) || 0;
    if (!cut) { d += `L${r(x)} ${r(y)}`; continue; }
    const a = [x - ((x - px) / back) * cut, y - ((y - py) / back) * cut];
    const b = [x + ((after[0] - x) / on) * cut, y + ((after[1] - y) / on) * cut];
    d += `L${r(a[0])} ${r(a[1])}Q${r(x)} ${r(y)} ${r(b[0])} ${r(b[1])}`;
  }
  return d;
}
