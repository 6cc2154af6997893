// Pan and zoom: wheel, drag, pinch, keys and buttons.

const view = { x: 0, y: 0, scale: 1, dragged: false, printing: false, pointers: new Map() };
const SMALLEST = 0.02, LARGEST = 4, READABLE = 1, MARGIN = 16;

function applyView() {
  stage.setAttribute("transform", view.printing ? "" : `translate(${r(view.x)} ${r(view.y)}) scale(${view.scale.toFixed(4)})`);
  const { x, y, w, h } = areaInSight(0), { area } = drawn;
  const holds = area && x >= area.x && y >= area.y && x + w <= area.x + area.w && y + h <= area.y + area.h;
  if (!holds || levelOfDetail() !== drawn.level) draw();
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

// The whole drawing; at the start not smaller than can be read: then its top, with the first item in the middle.
function fit(least = SMALLEST) {
  const w = canvas.clientWidth, h = canvas.clientHeight, first = laid.items.reduce((top, item) => (item.Y < top.Y ? item : top));
  view.scale = Math.max(Math.min((w - 2 * MARGIN) / root.w, (h - 2 * MARGIN) / root.h, 1.25), least);
  view.x = centered((w - root.w * view.scale) / 2, first.X, first.w, root.w, w);
  view.y = centered((h - root.h * view.scale) / 2, first.Y, first.h, root.h, h);
  applyView();
}

// Brings an item towards the middle of the window, no farther than the drawing fills it: its neighbours come along.
function center(item) {
  view.scale = Math.max(view.scale, READABLE);
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

canvas.addEventListener("wheel", (event) => {
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
