// Sizes of items from their texts, then the layout of every open box, inner ones first.

const LINE = 15, CHIP = 17, SMALL = 11;
const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();

function widthOf(text, size, weight = "400") {
  const key = `${weight} ${size} ${text}`;
  if (!widths.has(key)) {
    pen.font = `${weight} ${size}px system-ui, "Segoe UI", "DejaVu Sans", sans-serif`;
    widths.set(key, pen.measureText(text).width);
  }
  return widths.get(key);
}

function short(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : letters.slice(0, most - 1).join("") + "…";
}

// The end of a path, which tells more than its start; whole names, if one fits.
function ending(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : "…" + letters.slice(1 - most).join("").replace(/^[^.]*\.(?=.*\.)/, "");
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

// The lines of an item's body; the first is its name.
function linesOf(item) {
  const name = { text: short(item.name, 40), size: 12, weight: "600" };
  const small = (text) => ({ text: short(text, 34), size: SMALL, weight: "400" });
  if (item.isBox) return [name, small(plural(item.count, "operation"))];
  if (item.output) return [name, small(item.output.shape)];
  const vertex = item.vertex;
  if (vertex.kind === "input") return [name, small(vertex.outputs[0].shape)];
  if (vertex.kind === "omitted") return [{ ...name, weight: "400" }];
  const remark = inLines(vertex.remark.split(" "), " ").map(small);
  if (vertex.step !== null) return [small(`step ${vertex.step}`), name, ...inLines(vertex.constants, "\u2002").map(small), ...remark];
  return [name, ...[vertex.said].filter(Boolean).map(small), ...remark];
}

// Words in lines.
function inLines(words, gap, most = 26) {
  const lines = [];
  for (const word of words.filter(Boolean)) {
    if (lines.length && lines.at(-1).length + word.length < most) lines.push(`${lines.pop()}${gap}${word}`);
    else lines.push(word);
  }
  return lines;
}

function labelOf(wire) {
  const item = wire.item;
  if (item.isBox ? wire.slots.size !== 1 : item.kind !== "operation") return "";
  const [id, slot] = [...wire.slots][0].split(":");
  const output = itemOf.get(id).vertex.outputs[slot];
  return output ? `${output.name} ${output.shape}`.trim() : "";
}

// What stands as stubs at an item: parameters, and constants; of a step the constants are lines.
function chipsOf(item) {
  const constants = item.vertex && item.vertex.step === null ? item.vertex.constants : [];
  const texts = constants.map((text) => ({ heat: null, text: short(text, 34) }));
  return [...(item.stubs || []), ...texts].map((chip) => ({ ...chip, w: widthOf(chip.text, SMALL) + 10 }));
}

// Body and stubs of an item. Stubs stand to its left; in a row within it, for wires come from the left there.
function measure(item) {
  item.lines = linesOf(item);
  const chips = chipsOf(item), said = item.isBox ? [] : item.fedBy.map((edge) => edge.said).filter(Boolean);
  const inside = Boolean(item.parent && item.parent.row), textW = Math.max(...item.lines.map((l) => widthOf(l.text, l.size, l.weight)));
  const rowW = chips.reduce((sum, chip) => sum + chip.w + 4, 0), chipW = Math.max(0, ...chips.map((chip) => chip.w));
  item.saidW = Math.max(0, ...said.map((text) => widthOf(text, SMALL)));
  item.bodyW = Math.max(said.length * (13 + item.saidW) + 16, textW + 20 + (item.isBox ? 16 : 0), inside ? rowW + 12 : 0, 48);
  item.bodyX = !inside && chips.length ? chipW + 14 : 0;
  item.textH = item.lines.length * LINE;
  item.h = Math.max(item.textH + 10 + (inside && chips.length ? CHIP + 4 : 0), inside ? 44 : 0, inside ? 0 : chips.length * (CHIP + 3) - 3);
  let x = item.bodyX + (item.bodyW - rowW + 4) / 2;
  item.chips = chips.map((chip, i) => {
    const y = (item.h - chips.length * (CHIP + 3) + 3) / 2 + i * (CHIP + 3);
    const at = inside ? x : chipW - chip.w;
    x += chip.w + 4;
    return { ...chip, x: at, y, inside };
  });
  item.w = item.bodyX + item.bodyW + Math.max(0, item.saidW - 8);
}

// Closed items of a row are equally high, so that what they hand on runs straight.
function evenOut(row) {
  const items = row.children.filter((item) => !item.isBox || item.closed), h = Math.max(...items.map((item) => item.h));
  for (const item of items) {
    item.h = h;
    for (const chip of item.chips) chip.y = h - CHIP - 5;
  }
}

// Room to the right of a wire for its label.
function makeRoom(box) {
  for (const wire of box.wires.values()) {
    const text = wire.from === wire.item ? labelOf(wire) : "";
    const { usedSlots, bodyX, bodyW } = wire.item;
    if (text && usedSlots.length > 1) {
      wire.item.bodyW = Math.max(bodyW, (usedSlots.length + 1) * (widthOf(text, SMALL) + 10));
      wire.item.w = Math.max(wire.item.w, bodyX + wire.item.bodyW);
    }
    if (text) wire.item.w = Math.max(wire.item.w, outPlace(wire.item, wire) + 6 + widthOf(text, SMALL));
  }
}

const laid = { boxes: [], items: [] }; // the open boxes, outer ones first, and all other items in the drawing

function layOut() {
  routeWires();
  drawn.area = null; // force a redraw
  laid.boxes = [root, ...boxes].filter((box) => isDrawn(box) && !box.closed);
  for (const box of [...laid.boxes].reverse()) if (box.stale) layOutBox(box);
  Object.assign(root, { X: 0, Y: 0 });
  laid.items = [];
  for (const box of laid.boxes) {
    for (const item of box.children) {
      Object.assign(item, { X: box.X + item.x, Y: box.Y + item.y });
      if (!item.isBox || item.closed) laid.items.push(item);
    }
  }
  drawMap();
}

function layOutBox(box) {
  box.headW = box === root ? 0 : widthOf(short(box.name, 60), 12, "600") + widthOf(plural(box.count, "operation"), SMALL) + 76;
  for (const item of box.children) if (!item.isBox || item.closed) measure(item);
  box.stale = false;
  if (box.row) {
    evenOut(box);
    layOutRow(box);
    return;
  }
  makeRoom(box);
  layOutLayers(box);
  box.labels = [...box.wires.values()].filter((wire) => wire.from === wire.item && labelOf(wire)).map((wire) => ({
    x: wire.item.x + outPlace(wire.item, wire) + 5, y: wire.item.y + wire.item.h + (wire.item.isBox ? 14 : 11), text: labelOf(wire), wire,
  }));
}
