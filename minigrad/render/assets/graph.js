// The graph as items within items: vertices, outputs, and boxes that can be closed.

const data = JSON.parse(document.getElementById("data").textContent);

class Item {
  constructor(kind, id, parent, extra) {
    Object.assign(this, { kind, id, parent, children: [], isBox: false, closed: false, stale: true, row: false, count: 0 }, extra);
    this.depth = parent ? parent.depth + 1 : 0;
    if (parent) parent.children.push(this);
  }
}

const root = new Item("root", "root", null, { isBox: true });
const boxes = [];
for (const [i, box] of data.boxes.entries()) {
  const parent = box.parent < 0 ? root : boxes[box.parent];
  boxes.push(new Item("box", "b" + i, parent, { isBox: true, row: box.row, stack: box.stack, name: box.name, box }));
}
// Parameters, and inputs of many uses, have no place of their own: they are stubs beside each that uses them.
const vertices = data.vertices.map((vertex, i) => {
  const parent = vertex.box < 0 ? root : boxes[vertex.box];
  return new Item(vertex.kind, "n" + i, vertex.stub ? null : parent, { number: i, name: vertex.name, vertex });
});
const outputs = data.outputs.map((output, i) => new Item("output", "o" + i, root, { name: output.name, output }));
const itemOf = new Map([root, ...boxes, ...vertices, ...outputs].map((item) => [item.id, item]));

// Whether it stands for several, as in a folded loop, which have no common colour.
function isFolded(item) {
  return Boolean(item.vertex && item.vertex.standsFor);
}

// Children in the order of the listing: a box stands where its first vertex does.
for (const item of vertices) {
  for (let at = item; at && at.first === undefined; at = at.parent) at.first = item.number;
  if (["parameter", "buffer", "input"].includes(item.kind)) continue;
  for (let at = item.parent; at; at = at.parent) at.count += item.vertex.standsFor || 1;
}
for (const item of outputs) item.first = Infinity;
for (const item of [root, ...boxes]) item.children.sort((a, b) => a.first - b.first || 0);

for (const box of boxes) box.heat = box.time = null;
for (const item of vertices) {
  const { vertex } = item;
  item.born = vertex.birth;
  for (let at = item.parent; at; at = at.parent) {
    at.born = at.born || vertex.birth; // where a NaN or an infinity was born
    at.heat = largest([at.heat, vertex.heat]);
    at.time = largest([at.time, vertex.time]);
  }
}

// Every edge between vertices that are no stubs, and to the outputs; of stubs, what flowed at each use. What is said
// of an edge or a stub is the name of its argument, where the order of arguments matters.
const edges = [];
const stubName = ({ vertex: { shared } }, name) => ending(name, 30) + (shared ? ` (shared ${shared.number})` : "");
for (const item of vertices) {
  item.stubs = [];
  for (const edge of item.vertex.inputs) {
    const source = vertices[edge.source];
    const { slot, part, said, heat, argument } = edge, name = source.vertex.stub && stubName(source, edge.stub);
    if (source.vertex.stub) item.stubs.push({ parameter: source, argument, heat, text: said ? `${said}: ${name}` : name });
    else edges.push({ from: source, slot, to: item, part, said, heat });
  }
}
for (const item of outputs) {
  const from = vertices[item.output.source];
  if (!from.vertex.stub) edges.push({ from, slot: item.output.slot, to: item, part: "", said: "", heat: from.vertex.heat });
  else item.stubs = [{ parameter: from, argument: "value", heat: from.vertex.heat, text: stubName(from, from.name) }];
}
for (const item of [...vertices, ...outputs]) item.fedBy = [];
for (const edge of edges) edge.to.fedBy.push(edge);
const slotsOf = new Map(vertices.map((item) => [item, new Set()]));
for (const edge of edges) slotsOf.get(edge.from).add(edge.slot);
for (const item of itemOf.values()) item.usedSlots = item.vertex ? [...slotsOf.get(item)].sort((a, b) => a - b) : [0];
const usersOf = new Map(vertices.map((item) => [item, []]));
for (const item of vertices) for (const edge of item.vertex.inputs) usersOf.get(vertices[edge.source]).push(item);
for (const item of outputs) usersOf.get(vertices[item.output.source]).push(item);
// Where an item is: of a parameter, which has no place of its own, the first item that uses it.
const placeOf = (item) => (item.parent ? item : usersOf.get(item)[0]);

// Accessible names: kind, name and shapes. Items with equal names also get their scope, and if need be a number.
const labelled = [...boxes, ...vertices, ...outputs];
for (const item of labelled) {
  const { kind, name, row, vertex } = item, step = vertex && vertex.step !== null ? `, step ${vertex.step} of ${vertex.last + 1}` : "";
  item.label = `${item.isBox ? (row ? "steps" : "scope") : kind} ${(vertex && vertex.full) || name}${step}`;
}
for (const more of [({ parent }) => (parent && parent !== root ? ` in ${parent.name}` : ""), (_, i, { length }) => `, ${i + 1} of ${length}`]) {
  const alike = new Map();
  for (const item of labelled) alike.set(item.label, alike.get(item.label) || []).get(item.label).push(item);
  for (const items of alike.values()) if (items.length > 1) items.forEach((item, i) => { item.label += more(item, i, items); });
}
for (const item of labelled) {
  const shapes = (item.vertex ? item.vertex.outputs : [item.output || {}]).map(({ shape }) => shape && shape.replace(/[[\]]/g, ""));
  item.label = [item.label, ...new Set(shapes)].filter(Boolean).join(", ");
}

// The item that stands for another in the drawing: the outermost closed box around it, or itself.
function visible(item) {
  let shown = item;
  for (let at = item; at; at = at.parent) if (at.closed) shown = at;
  return shown;
}

function ancestors(item) {
  const path = [];
  for (let at = item.parent; at; at = at.parent) path.push(at);
  return path;
}

function setClosed(box, closed) {
  box.closed = closed;
  markStale(box);
}

// Marks the boxes whose layout changes with that of a box: those around it, and those that its wires pass.
function markStale(box) {
  const mark = (item) => { for (let at = item; at; at = at.parent) at.stale = true; };
  mark(box);
  for (const { from, to } of edges) {
    if (within(from, box) !== within(to, box)) mark(within(from, box) ? to : from);
  }
}

// Opens what hides an item; tells whether anything was closed.
function reveal(item) {
  const hidden = ancestors(item).filter((box) => box.closed);
  for (const box of hidden) setClosed(box, false);
  return hidden.length > 0;
}

// A large graph starts with boxes closed: as many levels open as stay readable.
function closeForStart(most) {
  const items = [...vertices, ...outputs, ...boxes].filter((item) => item.parent), at = [];
  for (const item of items) at[item.depth] = (at[item.depth] || 0) + 1;
  let shown = items.length, depth = at.length - 1;
  while (depth > 1 && shown > most) shown -= at[depth--];
  for (const box of boxes) box.closed = box.depth >= depth && depth < at.length - 1;
}

// What colours an item, by its "heat" or its "time": of a box, closed, the largest within it.
function heatOf(item, key) {
  if (item.output) return key === "heat" ? vertices[item.output.source].vertex.heat : null;
  return (item.vertex || item)[key];
}

function largest(heats) {
  const size = (heat) => (typeof heat.norm === "number" ? heat.norm : Infinity);
  return heats.reduce((best, heat) => (heat && (!best || size(heat) > size(best)) ? heat : best), null);
}
