// The drawing as SVG: a group for each open box with its wires, and one for each item, side by side (browsers cannot
// nest groups as deeply as scopes may be).

const SVG = "http://www.w3.org/2000/svg";
const canvas = document.getElementById("drawing"), stage = document.getElementById("stage");

function svg(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// What the drawing shows now: elements of items and wires, the area that they cover, and the level of detail.
const drawn = { items: new Map(), pieces: [], area: null, level: 0, labelled: true };
const firstInSight = () => laid.items.find((item) => drawn.items.has(item));
const SMALLEST_TEXT = 6, SMALLEST_OPEN = 24; // heights in pixels: readable text, and a box that shows its items

// Draws what is in sight and around it.
function draw() {
  const focused = stage.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  Object.assign(drawn, { items: new Map(), pieces: [], area: areaInSight(0.5), level: levelOfDetail() });
  drawn.labelled = view.printing || 12 * view.scale >= SMALLEST_TEXT;
  stage.replaceChildren();
  stage.classList.toggle("far", !drawn.labelled);
  const full = new Set();
  for (const box of laid.boxes) {
    if (box !== root && !(full.has(box.parent) && isNear(box, box.X, box.Y))) continue;
    if (box === root || box.h * view.scale > SMALLEST_OPEN) full.add(box);
    drawBox(box, stage, full.has(box));
  }
  for (const item of laid.items) if (full.has(item.parent) && isNear(item, item.X, item.Y)) drawItem(item, stage);
  if (drawn.labelled) drawLabels(full);
  paintHeat(state.heat);
  paintSelection(shownSelection());
  if (focused) (stage.querySelector(`[data-at=${focused}][role]`) || canvas).focus({ preventScroll: true });
}

// Labels last: they are above all wires.
function drawLabels(open) {
  const labels = svg("g", { class: "labels" }, stage);
  const write = (box, x, y, text, extra) => {
    if (text && isNear({ w: 0, h: 0 }, box.X + x, box.Y + y)) svg("text", { x: r(box.X + x), y: r(box.Y + y), ...extra }, labels, text);
  };
  for (const box of open) {
    for (const { x, y, text, anchor } of box.labels) write(box, x, y, text, { "text-anchor": anchor || "start" });
    for (const { end, edges } of box.pieces) if (end) write(box, end.x + 5, end.y - 9, saidOf(edges), { class: "argument" });
  }
}

// Level -2 begins at scale 1/2, where names become readable, so `applyView` draws again there.
function levelOfDetail() {
  return Math.floor(2 * Math.log2(view.scale));
}

// Whether something is in the area that is drawn.
function isNear({ w, h }, X, Y) {
  const { area } = drawn;
  return X <= area.x + area.w && X + w >= area.x && Y <= area.y + area.h && Y + h >= area.y;
}

// The names of the arguments that edges feed, where they are seen to feed them.
function saidOf(edges) {
  return [...new Set(edges.filter((edge) => visible(edge.to) === edge.to).map((edge) => edge.said))].filter(Boolean).join(", ");
}

function drawBox(box, parent, open) {
  const group = svg("g", { class: `scope${box.row ? " row" : ""}`, "data-id": box.id, transform: `translate(${r(box.X)} ${r(box.Y)})` }, parent);
  let target = group;
  for (const k of box.stack ? [6, 3, 0] : [0]) if (box !== root) target = svg("rect", { class: "frame", x: k, y: k, width: r(box.w), height: r(box.h), rx: 6 }, group);
  if (open) for (const piece of box.pieces) if (isNear(piece.area, box.X + piece.area.x, box.Y + piece.area.y)) drawPiece(piece, group);
  if (open && box !== root && drawn.labelled) target = drawHeader(box, group);
  if (box !== root) makeSelectable(target, box);
  drawn.items.set(box, { group, target, chips: [] });
}

function drawHeader(box, group) {
  const name = short(box.name, 60), w = widthOf(name, 12, "600");
  let count = plural(box.count, "operation"), width = w + widthOf(count, SMALL) + 36, place = freePlace(box, width);
  if (place === undefined) [count, width, place] = ["", w + 28, freePlace(box, w + 28) || 0];
  const header = svg("g", { class: "header", transform: `translate(${r(place)} 0)` }, group);
  const back = svg("rect", { class: "back", x: 2, y: 2, width: r(width), height: 19, rx: 5 }, header);
  drawFold(header, box, 4, 4, "−");
  svg("text", { x: 24, y: 16, class: "name" }, header, name);
  svg("text", { x: r(30 + w), y: 16, class: "small" }, header, count);
  return back;
}

// Where a header can stand, as far left as no wire enters the box there.
function freePlace(box, width) {
  const ports = [...box.ports.top.values()].sort((a, b) => a - b);
  const places = [0, ...ports.map((x) => x + 4)].filter((x) => x + width + 4 <= box.w);
  return places.find((x) => !ports.some((port) => port > x && port < x + width + 4));
}

// The circle is a target for fingers, at least 40 pixels wide at every scale of this level of detail.
function drawFold(parent, box, x, y, sign) {
  const group = svg("g", { class: "fold", "data-at": box.id, transform: `translate(${r(x)} ${r(y)})` }, parent);
  svg("circle", { cx: 7.5, cy: 7.5, r: r(20 / 2 ** (drawn.level / 2)) }, group);
  svg("rect", { width: 15, height: 15, rx: 4 }, group);
  svg("text", { x: 7.5, y: 11.5 }, group, sign);
}

function drawItem(item, parent) {
  const group = svg("g", { class: `item ${item.kind}${item.born ? " born" : ""}`, "data-id": item.id, transform: `translate(${r(item.X)} ${r(item.Y)})` }, parent);
  if (item.closed) svg("rect", { class: "behind", x: item.bodyX + 4, y: 4, width: r(item.bodyW), height: r(item.h), rx: 6 }, group);
  const top = item.chips[0] && item.chips[0].inside ? (item.h - CHIP - 5 - item.textH) / 2 : (item.h - item.textH) / 2;
  const body = svg("rect", { class: "body", x: r(item.bodyX), width: r(item.bodyW), height: r(item.h), rx: item.kind === "input" || item.kind === "output" ? 2 : 6 }, group);
  makeSelectable(body, item);
  drawn.items.set(item, { group, target: body, chips: item.chips });
  for (const chip of item.chips) drawChip(item, chip, group);
  if (!drawn.labelled) return;
  item.lines.forEach((line, i) => {
    const x = item.bodyX + (item.bodyW + (item.closed ? 14 : 0)) / 2;
    svg("text", { x: r(x), y: r(top + i * LINE + 11), class: line.size === 12 ? "name" : "small", "font-weight": line.weight }, group, line.text);
  });
  if (item.closed) drawFold(group, item, item.bodyX + 4, (item.h - 15) / 2, "+");
}

function drawChip(item, chip, parent) {
  chip.stem = chip.inside || !drawn.labelled ? null : svg("path", { class: chip.parameter ? "stem" : "stem quiet", d: `M${r(chip.x + chip.w)} ${r(chip.y + CHIP / 2)}H${r(item.bodyX)}` }, parent);
  const place = { transform: `translate(${r(chip.x)} ${r(chip.y)})` }, { parameter } = chip;
  const group = svg("g", parameter ? { class: `item ${parameter.kind}`, "data-parameter": parameter.id, ...place } : { class: "constant", ...place }, parent);
  const body = svg("rect", { class: "body", width: r(chip.w), height: CHIP, rx: 3 }, group);
  if (drawn.labelled) svg("text", { x: r(chip.w / 2), y: 11.5, class: "small" }, group, chip.text);
  if (parameter) makeSelectable(body, parameter, `${parameter.label}, ${chip.argument} of ${item.label}`);
  Object.assign(chip, { group, mark: "" });
}

function drawPiece(piece, parent) {
  const group = svg("g", { class: piece.loose ? "wire loose" : "wire" }, parent);
  if (drawn.labelled) svg("path", { class: "casing", d: piece.d }, group);
  const line = svg("path", { class: "line", d: piece.d }, group);
  let arrow = null;
  if (piece.end && drawn.labelled) {
    const { x, y, way } = piece.end;
    arrow = svg("path", { class: "arrow", d: way === "down" ? `M${r(x - 4)} ${r(y - 7)}h8l-4 7z` : `M${r(x - 7)} ${r(y - 4)}v8l7 -4z` }, group);
  }
  drawn.pieces.push({ piece, group, line, arrow });
}

// Makes a shape the button of an item, which clicks and keys select. A shape has no children, so buttons never nest.
function makeSelectable(element, item, label = item.label) {
  const state = item.isBox ? `, ${plural(item.count, "operation")}, ${item.closed ? "closed" : "open"}` : "";
  const attributes = { "data-at": item.id, tabindex: -1, role: "button", "aria-label": label + state };
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
}

function itemAt(element) {
  const at = element.closest("[data-at]");
  return at ? itemOf.get(at.dataset.at) : null;
}

// Colours by the "heat" of gradients: of an item its own, of a wire the largest that came back along it, of a stub what
// its parameter got from this use. Or by the "time" of items. Or, with neither key, none.
function paintHeat(key) {
  const on = key === "heat", some = (heat) => (heat && heat.norm !== 0 ? heat : null);
  document.body.classList.toggle("heated", on);
  document.body.classList.toggle("coloured", Boolean(key));
  for (const [item, { group, chips }] of drawn.items) {
    if (item === root || (item.isBox && !item.closed) || item.kind === "omitted") continue;
    const folded = on && isFolded(item), heat = key ? some(heatOf(item, key)) : null, body = group.querySelector(":scope > .body");
    body.style.fill = heat ? heat.color : folded ? "var(--frame)" : "";
    paintStrip(item, group, key);
    group.classList.toggle("cold", on && !heat && !folded);
    for (const text of group.querySelectorAll(":scope > text")) text.style.fill = heat ? heat.ink : "";
    for (const chip of chips) {
      const flow = on ? some(chip.heat) : null, fill = on ? flow : chip.parameter && chip.parameter.vertex.shared;
      chip.group.classList.toggle("cold", on && Boolean(chip.parameter) && !flow && !folded);
      chip.group.querySelector("rect").style.fill = fill ? fill.color : "";
      for (const text of chip.group.querySelectorAll("text")) text.style.fill = fill ? fill.ink : "";
      if (chip.stem) chip.stem.style.stroke = flow ? flow.color : "";
    }
  }
  for (const { piece, group, line, arrow } of drawn.pieces) {
    const heat = on ? some(largest(piece.edges.map((edge) => edge.heat))) : null;
    line.style.stroke = heat ? heat.color : "";
    if (arrow) arrow.style.fill = heat ? heat.color : "";
    const folded = piece.edges.some((edge) => isFolded(edge.from) || isFolded(edge.to));
    group.classList.toggle("cold", on && !heat && !folded);
    group.classList.toggle("plain", on && !heat && folded);
  }
}

// Colours the steps of a folded loop, in a strip at the bottom of its body.
function paintStrip(item, group, key) {
  const old = group.querySelector(":scope > .strip"), colours = (key && item.vertex && item.vertex.strips[key]) || [];
  if (old) old.remove();
  if (!colours.length) return;
  const strip = svg("g", { class: "strip" }, group), width = item.bodyW / colours.length;
  colours.forEach((fill, k) => svg("rect", { x: r(item.bodyX + k * width), y: r(item.h - 5), width: r(width), height: 5, fill }, strip));
}

// Marks the selected item, the wires to and from it, and what is at their other ends. If drawn, it is the only tab stop.
function paintSelection(item) {
  const { near, ways } = neighbours(item);
  for (const [other, entry] of drawn.items) {
    mark(entry, other === item ? "selected" : near.has(other) ? "near" : "");
    for (const chip of entry.chips) mark(chip, chip.parameter === item ? "selected" : other === item ? "near" : "");
  }
  for (const entry of drawn.pieces) {
    const found = new Set(entry.piece.edges.map((edge) => ways.get(edge)));
    mark(entry, found.has("into") ? "into" : found.has("out") ? "out" : "");
  }
  document.body.classList.toggle("selecting", Boolean(item));
  const stop = drawn.items.get(item) || drawn.items.get(firstInSight());
  for (const element of document.querySelectorAll("#drawing, #stage [tabindex='0']")) element.setAttribute("tabindex", "-1");
  (stop ? stop.target : canvas).setAttribute("tabindex", "0");
}

// Gives an element a class in place of the one it had; most have none before and after.
function mark(entry, name) {
  const before = entry.mark || "";
  if (before === name) return;
  if (before) entry.group.classList.remove(before);
  if (name) entry.group.classList.add(name);
  entry.mark = name;
}

function within(item, box) {
  for (let at = item.parent; at; at = at.parent) if (at === box) return true;
  return false;
}

// What feeds an item or is fed by it, and each edge of it with its way: into the item or out of it.
function neighbours(item) {
  const near = new Set(), ways = new Map();
  if (!item) return { near, ways };
  if (item.vertex && item.vertex.stub) for (const user of usersOf.get(item)) near.add(visible(user));
  for (const edge of edges) {
    const isFrom = edge.from === item || within(edge.from, item), isTo = edge.to === item || within(edge.to, item);
    if (isFrom === isTo) continue;
    near.add(visible(isFrom ? edge.to : edge.from));
    ways.set(edge, isTo ? "into" : "out");
  }
  return { near, ways };
}
