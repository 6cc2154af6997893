// What the page does: selection, opening and closing, search, heat, keys.

const state = { selected: null, heat: "", matches: [], at: -1 };
const MOST_AT_START = 150;
const search = document.getElementById("search"), count = document.getElementById("count"), keys = document.getElementById("keys");

// What is selected, or the closed box that hides it. A parameter shows as stubs.
function shownSelection() {
  return state.selected && state.selected.parent ? visible(state.selected) : state.selected;
}

function select(item) {
  state.selected = item;
  showPanel(item);
  const shown = shownSelection();
  if (shown && shown.parent) showItem(shown);
  paintSelection(shown);
}

// Opens or closes a box; its corner stays where it is in the window.
function toggle(box) {
  const before = [box.X, box.Y];
  setClosed(box, !box.closed);
  layOut();
  pan((before[0] - box.X) * view.scale, (before[1] - box.Y) * view.scale);
}

function setAll(closed) {
  for (const box of [root, ...boxes]) Object.assign(box, { closed: closed && box !== root, stale: true });
  layOut();
  fit(readable());
}

// In a narrow window, closes boxes that are wider than the window at a readable scale, inner ones first.
function closeWideBoxes() {
  const room = (canvas.clientWidth - 2 * MARGIN) / readable(), wide = laid.boxes.filter((box) => box !== root && box.w > room);
  if (canvas.clientWidth >= NARROW || root.w <= room || !wide.length) return;
  setClosed(wide.at(-1), true);
  layOut();
  closeWideBoxes();
}

// The next item in a direction: one that a wire joins to this one, or else the nearest in the drawing.
function nextItem(item, dx, dy) {
  const { near } = neighbours(item), far = root.w + root.h;
  let best = null, least = Infinity;
  for (const other of [...near, ...laid.items]) {
    const x = other.X + other.w / 2 - item.X - item.w / 2, y = other.Y + other.h / 2 - item.Y - item.h / 2;
    const ahead = x * dx + y * dy, aside = Math.abs(x * dy) + Math.abs(y * dx);
    const distance = ahead + 2 * aside + (near.has(other) ? 0 : 3 * far);
    if (ahead > 1 && (ahead >= aside || (near.has(other) && dy)) && distance < least) [best, least] = [other, distance];
  }
  return best;
}

// Goes to the next item in a direction, or, with nothing selected, to the first item in sight.
function move(dx, dy) {
  const to = state.selected ? nextItem(visible(placeOf(state.selected)), dx, dy) : firstInSight() || laid.items[0];
  if (to) goTo(to);
}

function goTo(item) {
  select(item);
  if (drawn.items.has(item)) drawn.items.get(item).target.focus({ preventScroll: true });
}

// Selects an item and brings it into sight.
function find(item) {
  const place = placeOf(item);
  if (reveal(place)) layOut();
  select(item);
  center(visible(place));
}

function matching(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const names = (item) => [item.name, item.vertex ? item.vertex.full : ""];
  return [...boxes, ...vertices, ...outputs].filter((item) => !(item.box && item.box.group) && names(item).some((name) => name.toLowerCase().includes(wanted)));
}

function searchFor(text) {
  state.matches = matching(text);
  state.at = -1;
  showCount();
}

function showCount() {
  const { matches, at } = state;
  count.textContent = !search.value.trim() ? "" : !matches.length ? "none" : at < 0 ? `${matches.length} found` : `${at + 1} of ${matches.length}`;
}

function step(by) {
  const size = state.matches.length;
  if (!size) return;
  state.at = state.at < 0 ? (by > 0 ? 0 : size - 1) : (state.at + by + size) % size;
  find(state.matches[state.at]);
  showCount();
}

// What items can be coloured by: the ticks of the scale, and its title.
const HEATS = {
  heat: { ticks: data.heat, said: "norm of the gradient: blue vanishes, red explodes (dotted: none, strip: the steps of a folded loop)" },
  time: { ticks: data.times, said: "time, forward + backward" },
};

// Colours by one of them, or no longer if that is what it does.
function switchHeat(key) {
  state.heat = state.heat === key ? "" : key;
  for (const each of Object.keys(HEATS)) document.getElementById(each).setAttribute("aria-pressed", String(each === state.heat));
  document.getElementById("scale").hidden = !state.heat;
  if (state.heat) fillScale(HEATS[key]);
  paintHeat(state.heat);
}

function fillScale({ ticks, said }) {
  document.getElementById("said").textContent = said;
  const cells = ticks.map(({ norm, text, color, ink }) => {
    const cell = tag("span", {}, text || number(norm));
    cell.style.background = color;
    cell.style.color = ink;
    return cell;
  });
  document.getElementById("ticks").replaceChildren(...cells);
}

function onClick(id, action) {
  document.getElementById(id).addEventListener("click", action);
}

onClick("plus", () => zoom(1.25));
onClick("minus", () => zoom(0.8));
onClick("fit", () => fit());
onClick("open-all", () => setAll(false));
onClick("close-all", () => setAll(true));
onClick("next", () => step(1));
onClick("previous", () => step(-1));
onClick("shut", () => select(null));
onClick("help", () => keys.showModal());
for (const key of Object.keys(HEATS)) onClick(key, () => switchHeat(key));
canvas.addEventListener("click", (event) => {
  const item = itemAt(event.target);
  if (item && (event.target.closest(".fold") || (item.isBox && event.detail === 2))) toggle(item);
  else if (!view.dragged) select(item);
});
search.addEventListener("input", () => searchFor(search.value));
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") { search.value = ""; searchFor(""); search.blur(); }
});

// Arrows follow wires; with Shift they move the drawing. Space opens or closes the box of an item, or the one around it.
const arrow = (dx, dy) => (event) => (event.shiftKey ? pan(-60 * dx, -60 * dy) : move(dx, dy));
const KEYS = {
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => fit(), f: () => fit(), "/": () => search.focus(),
  h: () => { if (data.heat) switchHeat("heat"); }, t: () => { if (data.times) switchHeat("time"); }, Escape: () => select(null),
  ArrowLeft: arrow(-1, 0), ArrowRight: arrow(1, 0), ArrowUp: arrow(0, -1), ArrowDown: arrow(0, 1), "?": () => keys.showModal(),
};
const ITEM_KEYS = {
  Enter: (item) => select(item),
  " ": (item) => {
    const box = item.isBox ? item : item.parent || root;
    if (box !== root) { toggle(box); goTo(box); }
  },
};
document.addEventListener("keydown", (event) => {
  if (event.target === search || keys.open || event.ctrlKey || event.metaKey || event.altKey) return;
  const item = itemAt(event.target);
  if (item && ITEM_KEYS[event.key]) ITEM_KEYS[event.key](item);
  else if (KEYS[event.key]) KEYS[event.key](event);
  else return;
  event.preventDefault();
});

document.getElementById("title").textContent = data.title || "graph";
document.getElementById("size").textContent = plural(root.count, "operation");
for (const [key, { ticks }] of Object.entries(HEATS)) document.getElementById(key).hidden = !ticks;
for (const id of ["open-all", "close-all"]) document.getElementById(id).hidden = !boxes.length;
function start() {
  closeForStart(MOST_AT_START);
  layOut();
  closeWideBoxes();
  fit(readable());
  window.addEventListener("resize", applyView);
  document.body.classList.add("ready");
}
// The frame of a notebook may get its size only after its script has run.
const sized = new ResizeObserver(() => {
  if (!canvas.clientWidth) return;
  sized.disconnect();
  start();
});
sized.observe(canvas);
