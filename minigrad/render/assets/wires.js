// Wires: what one output feeds, cut into a piece for each box that it passes.
//
// Within a box a wire has one start (a child, or the box's top or left side) and ends (children, or the bottom or the
// right side). So every box can be laid out by itself, and a wire enters and leaves it at a place of its own.

function routeWires() {
  for (const box of [root, ...boxes]) if (box.stale) box.wires = new Map();
  for (const edge of edges) {
    const from = visible(edge.from), to = visible(edge.to);
    if (from !== to) route(edge, from, to);
  }
}

// All that a closed box gives is one wire.
function wireKey(edge, from) {
  return from.isBox ? from.id : from.id + ":" + edge.slot;
}

function route(edge, from, to) {
  const inside = new Set(ancestors(from));
  const common = ancestors(to).find((box) => inside.has(box));
  const key = wireKey(edge, from);
  const up = pathTo(from, common), down = pathTo(to, common); // from the item to the child of the common box
  const start = up.at(-1), end = down.at(-1);
  const beside = common.row && follows(common, start, end);
  for (let i = 0; i + 1 < up.length; i += 1) {
    const side = beside && i + 2 === up.length ? "right" : "bottom";
    addWire(up[i + 1], key, edge, from, up[i], side);
  }
  addWire(common, key, edge, from, start, end);
  for (let i = 0; i + 1 < down.length; i += 1) {
    const side = beside && i + 2 === down.length ? "left" : "top";
    addWire(down[i + 1], key, edge, from, side, down[i]);
  }
}

function pathTo(item, common) {
  const path = [item];
  while (path.at(-1).parent !== common) path.push(path.at(-1).parent);
  return path;
}

// Whether an item is the next one in its row.
function follows(row, a, b) {
  if (row.places === undefined) row.places = new Map(row.children.map((child, i) => [child, i]));
  return row.places.get(b) === row.places.get(a) + 1;
}

// from, to: a child, or a side of the box: top or left, bottom or right.
function addWire(box, key, edge, item, from, to) {
  if (!box.stale) return;
  let wire = box.wires.get(key);
  if (!wire) box.wires.set(key, (wire = { key, item, slot: edge.slot, from, ends: new Map(), slots: new Set() }));
  wire.slots.add(edge.from.id + ":" + edge.slot);
  if (!wire.ends.has(to)) wire.ends.set(to, []);
  wire.ends.get(to).push(edge);
}
