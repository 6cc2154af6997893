// Pan and zoom: wheel, drag, pinch, keys and buttons.

const view = { x: 0, y: 0, scale: 1, dragged: false, pointers: new Map() };
const SMALLEST = 0.02, LARGEST = 4, READABLE = 0.5, MARGIN = 16;

function applyView() {
  stage.setAttribute("transform", `translate(${r(view.x)} ${r(view.y)}) scale(${view.scale.toFixed(4)})`);
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

// The width of the drawing's window as it is beside the panel, open or not.
function widthBesidePanel() {
  const { hidden } = panel;
  panel.hidden = false;
  const w = canvas.clientWidth;
  panel.hidden = hidden;
  return w;
}

// The whole drawing, so that the panel will cover nothing of it; at the start not smaller than can be read: then from
// its top and left.
function fit(least = SMALLEST) {
  const w = canvas.clientWidth, h = canvas.clientHeight, beside = widthBesidePanel();
  const whole = Math.min((beside - 2 * MARGIN) / root.w, (h - 2 * MARGIN) / root.h, 1.25);
  view.scale = Math.max(whole, least);
  const width = root.w * view.scale;
  view.x = Math.max(Math.min((w - width) / 2, beside - MARGIN - width), MARGIN);
  view.y = Math.max((h - root.h * view.scale) / 2, MARGIN);
  applyView();
  const items = [...vertices, ...outputs, ...boxes].filter((item) => item.parent && visible(item) === item);
  const seen = (item) => item.X * view.scale + view.x < w && item.Y * view.scale + view.y < h;
  if (items.length && !items.some(seen)) center(items.reduce((top, item) => (item.Y < top.Y ? item : top)));
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

// Moves the drawing just so far that an item is not outside of the window, which the panel may have narrowed.
function showItem(item) {
  const side = (place, size, room) => Math.min(0, room - MARGIN - place - size) || Math.max(0, MARGIN - place);
  const x = view.x + item.X * view.scale, y = view.y + item.Y * view.scale, w = item.w * view.scale, h = item.h * view.scale;
  if (w < canvas.clientWidth && h < canvas.clientHeight) pan(side(x, w, canvas.clientWidth), side(y, h, canvas.clientHeight));
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
