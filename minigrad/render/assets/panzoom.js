// Pan and zoom: wheel, drag, pinch, keys and buttons.

const view = { x: 0, y: 0, scale: 1, dragged: false, printing: false, pointers: new Map() };
const SMALLEST = 0.02, LARGEST = 4, MARGIN = 16, NARROW = 640, map = document.getElementById("map"), sight = document.getElementById("sight");

// The smallest scale at which labels can be read: the least of the first view.
function readable() {
  return canvas.clientWidth < NARROW ? 0.65 : 1;
}

function applyView() {
  stage.setAttribute("transform", view.printing ? "" : `translate(${r(view.x)} ${r(view.y)}) scale(${view.scale.toFixed(4)})`);
  stage.classList.toggle("names", !view.printing && SMALL * view.scale < SMALLEST_TEXT);
  const { x, y, w, h } = areaInSight(0), { area } = drawn;
  const holds = area && x >= area.x && y >= area.y && x + w <= area.x + area.w && y + h <= area.y + area.h;
  if (!holds || levelOfDetail() !== drawn.level) draw();
  map.toggleAttribute("hidden", w >= root.w && h >= root.h);
  sight.setAttribute("d", outline(x, y, w, h));
}

function outline(x, y, w, h) {
  return `M${r(x)} ${r(y)}h${r(w)}v${r(h)}h${r(-w)}z`;
}

// Draws the map: a path for each kind of item, and a rectangle for the part in sight.
function drawMap() {
  const size = Math.min(150 / root.w, 110 / root.h), paths = new Map();
  for (const item of [...laid.boxes, ...laid.items]) {
    const { X, Y, w, h, isBox, closed, kind, bodyX, bodyW } = item, open = isBox && !closed, key = open ? "frame" : `item ${kind}`;
    paths.set(key, (paths.get(key) || "") + (open ? outline(X, Y, w, h) : outline(X + bodyX, Y, bodyW, h)));
  }
  map.setAttribute("viewBox", `0 0 ${r(root.w)} ${r(root.h)}`);
  Object.assign(map.style, { width: `${Math.max(root.w * size, 30)}px`, height: `${Math.max(root.h * size, 30)}px` });
  map.replaceChildren(...[...paths].map(([key, d]) => svg("path", { class: key, d })), sight);
}

// Moves the view to the point of the map that is pressed.
function moveToPoint(event) {
  if (!event.buttons) return;
  const frame = map.getBoundingClientRect();
  map.setPointerCapture(event.pointerId);
  view.x = canvas.clientWidth / 2 - ((event.clientX - frame.left) / frame.width) * root.w * view.scale;
  view.y = canvas.clientHeight / 2 - ((event.clientY - frame.top) / frame.height) * root.h * view.scale;
  applyView();
}

// The part of the drawing that the window shows, and a margin, in windows; in print, all of it.
function areaInSight(margin) {
  if (view.printing) return { x: 0, y: 0, w: root.w, h: root.h };
  const side = (start, room, total) => {
    const from = Math.max((-start - margin * room) / view.scale, 0), to = Math.min(((1 + margin) * room - start) / view.scale, total);
    return [from, Math.max(to - from, 0)];
  };
  const [x, w] = side(view.x, canvas.clientWidth, root.w), [y, h] = side(view.y, canvas.clientHeight, root.h);
  return { x, y, w, h };
}

// Zooms by a factor around a point of the window.
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, SMALLEST), LARGEST);
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  applyView();
}

function pan(dx, dy) {
  view.x += dx;
  view.y += dy;
  applyView();
}

// Fits the whole drawing into the window. With a least scale, as at the start, only its width has to fit; if it is still
// too large, its top is in sight, with the first item in the middle.
function fit(least = SMALLEST) {
  const w = canvas.clientWidth, h = canvas.clientHeight, first = laid.items.reduce((top, item) => (item.Y < top.Y ? item : top));
  const forWidth = (w - 2 * MARGIN) / root.w, forHeight = Math.max((h - 2 * MARGIN) / root.h, least === SMALLEST ? 0 : 1);
  view.scale = Math.max(Math.min(forWidth, forHeight, 1.25), least);
  view.x = centered((w - root.w * view.scale) / 2, first.X, first.w, root.w, w);
  view.y = centered((h - root.h * view.scale) / 2, first.Y, first.h, root.h, h);
  applyView();
}

// Brings an item towards the middle of the window, no farther than the drawing fills it: its neighbours come along.
function center(item) {
  view.scale = Math.max(view.scale, readable());
  view.x = centered(view.x, item.X, item.w, root.w, canvas.clientWidth);
  view.y = centered(view.y, item.Y, item.h, root.h, canvas.clientHeight);
  applyView();
}

// Where the drawing begins, in one direction: where it was if all of it can be seen there.
function centered(before, place, size, total, room) {
  const last = room - MARGIN - total * view.scale; // where its end is in sight
  if (last >= MARGIN) return Math.min(Math.max(before, MARGIN), last);
  const wish = room / 2 - (place + Math.min(size, room / view.scale) / 2) * view.scale;
  return Math.min(Math.max(wish, last), MARGIN);
}

// Moves an item into the window, which the panel may have narrowed; or the whole drawing, if there is room.
function showItem(item) {
  const { scale } = view, { w, X } = root.w * scale < canvas.clientWidth ? root : item;
  const into = (at, size, room) => (size < room ? Math.min(0, room - MARGIN - at - size) || Math.max(0, MARGIN - at) : 0);
  pan(into(view.x + X * scale, w * scale, canvas.clientWidth), into(view.y + item.Y * scale, item.h * scale, canvas.clientHeight));
}

function pointOf(event) {
  const frame = canvas.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
}

// In a frame, the wheel and vertical swipes scroll the page around it, until a click into the frame.
document.body.classList.toggle("framed", window !== window.parent);
canvas.addEventListener("wheel", (event) => {
  if (window !== window.parent && !document.hasFocus() && !event.ctrlKey) return;
  event.preventDefault();
  const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? canvas.clientHeight : 1;
  zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0015)), ...pointOf(event));
}, { passive: false });

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  view.pointers.set(event.pointerId, pointOf(event));
  if (view.pointers.size === 1) Object.assign(view, { dragged: false, start: pointOf(event) });
});

canvas.addEventListener("pointermove", (event) => {
  const before = view.pointers.get(event.pointerId);
  if (!before) return;
  const now = pointOf(event), others = [...view.pointers].filter(([id]) => id !== event.pointerId);
  if (Math.hypot(now[0] - view.start[0], now[1] - view.start[1]) > 4 && !view.dragged) {
    view.dragged = true; // from now on it is no click, and the pointer may leave the window
    canvas.setPointerCapture(event.pointerId);
  }
  if (others.length) {
    const other = others[0][1], far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    zoom(far(now) / far(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  } else if (view.dragged) {
    pan(now[0] - before[0], now[1] - before[1]);
  }
  view.pointers.set(event.pointerId, now);
});

for (const name of ["pointerdown", "pointermove"]) map.addEventListener(name, moveToPoint);
for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => view.pointers.delete(event.pointerId));

// In print the whole drawing fits on the page; small ones are not enlarged much.
function setPrinting(on) {
  const w = Math.max(root.w, 700);
  if (on) canvas.setAttribute("viewBox", `${(root.w - w) / 2} 0 ${w} ${root.h}`);
  else canvas.removeAttribute("viewBox");
  view.printing = on;
  drawn.area = null;
  applyView();
}

window.addEventListener("beforeprint", () => setPrinting(true));
window.addEventListener("afterprint", () => setPrinting(false));
