// What the page does: selection, opening and closing, search, heat, keys.

const state = { selected: null, heat: "", matches: [], at: -1 };
const MOST_AT_START = 160;
const search = document.getElementById("search"), count = document.getElementById("count");

function redraw() {
  layOut();
  draw();
  paintHeat(state.heat);
  paintSelection(shownSelection());
}

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
  box.closed = !box.closed;
  redraw();
  pan((before[0] - box.X) * view.scale, (before[1] - box.Y) * view.scale);
  const again = drawn.items.get(box).group.querySelector(".fold");
  if (again) again.focus({ preventScroll: true });
}

function setAll(closed) {
  for (const box of boxes) box.closed = closed;
  redraw();
  fit(READABLE);
}

// Selects an item and brings it into sight; of a parameter, the first that uses it.
function find(item) {
  const place = item.parent ? item : usersOf.get(item)[0];
  if (place && reveal(place)) redraw();
  select(item);
  if (place) center(visible(place));
}

function matching(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const names = (item) => [item.name, item.vertex ? item.vertex.full : ""];
  return [...boxes, ...vertices, ...outputs].filter((item) => names(item).some((name) => name.toLowerCase().includes(wanted)));
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

// What items can be coloured by: the ticks of the scale, and what stands above it.
const HEATS = {
  heat: { ticks: data.heat, said: "norm of the gradient: blue vanishes, red explodes (dotted: none)" },
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
for (const key of Object.keys(HEATS)) onClick(key, () => switchHeat(key));
canvas.addEventListener("click", () => { if (!view.dragged) select(null); });
search.addEventListener("input", () => searchFor(search.value));
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") { search.value = ""; searchFor(""); search.blur(); }
});

const KEYS = {
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: () => fit(), f: () => fit(), "/": () => search.focus(),
  h: () => { if (data.heat) switchHeat("heat"); }, t: () => { if (data.times) switchHeat("time"); }, Escape: () => select(null),
  ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
};
document.addEventListener("keydown", (event) => {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

document.getElementById("title").textContent = data.title;
document.getElementById("size").textContent = plural(root.count, "operation");
for (const [key, { ticks }] of Object.entries(HEATS)) document.getElementById(key).hidden = !ticks;
for (const id of ["open-all", "close-all"]) document.getElementById(id).hidden = !boxes.length;
closeForStart(MOST_AT_START);
redraw();
fit(READABLE);
document.body.classList.add("ready");
