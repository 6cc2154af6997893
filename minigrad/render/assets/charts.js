// Small charts of statistics: a histogram, and norms over the steps of a sequence.

function chart(w, h, label) {
  return svg("svg", { class: "chart", width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": label });
}

function histogram(stats, label) {
  const w = 272, h = 84, base = 64, most = Math.max(...stats.bars, 1), step = w / stats.bars.length;
  const figure = chart(w, h, label);
  stats.bars.forEach((count, i) => {
    const high = (count / most) * (base - 4);
    const bar = svg("rect", { class: "bar", x: r(i * step + 0.5), y: r(base - high), width: r(step - 1), height: r(high) }, figure);
    svg("title", {}, bar, plural(count, "entry").replace("entrys", "entries"));
  });
  svg("path", { class: "axis", d: `M0 ${base + 0.5}H${w}` }, figure);
  const flat = stats.low === stats.high, low = flat ? stats.low - 0.5 : stats.low, high = flat ? stats.high + 0.5 : stats.high;
  svg("text", { x: 0, y: h - 6 }, figure, number(low));
  svg("text", { x: w, y: h - 6, "text-anchor": "end" }, figure, number(high));
  if (low < 0 && high > 0) {
    const zero = (-low / (high - low)) * w;
    svg("path", { class: "axis", d: `M${r(zero)} ${base}v5` }, figure);
    if (zero > 60 && zero < w - 60) svg("text", { x: r(zero), y: h - 6, "text-anchor": "middle" }, figure, "0");
  }
  return figure;
}

// Bars on a log scale of at least a factor of ten, one for each step; the current step stands out.
function steps(norms, current, label) {
  const w = 272, h = 84, base = 64, width = w / norms.length, figure = chart(w, h, label);
  const good = norms.filter((norm) => typeof norm === "number" && norm > 0).map(Math.log10);
  const low = Math.min(...good), top = Math.max(...good), span = Math.max(top - low, 1);
  norms.forEach((norm, i) => {
    if (typeof norm !== "number" || norm <= 0) return;
    const high = 6 + (1 - (top - Math.log10(norm)) / span) * (base - 12);
    const bar = svg("rect", { class: i === current ? "bar current" : "bar", x: r(i * width), y: r(base - high), width: r(Math.max(width - 1, 0.5)), height: r(high) }, figure);
    svg("title", {}, bar, `step ${i}: ${number(norm)}`);
  });
  svg("path", { class: "axis", d: `M0 ${base + 0.5}H${w}` }, figure);
  svg("text", { x: 0, y: h - 6 }, figure, "step 0");
  svg("text", { x: w, y: h - 6, "text-anchor": "end" }, figure, `step ${norms.length - 1}`);
  if (good.length) {
    svg("text", { x: w / 2, y: h - 6, "text-anchor": "middle" }, figure, `${number(10 ** low)} to ${number(10 ** top)}, log scale`);
  }
  return figure;
}

function number(x) {
  if (typeof x !== "number") return String(x);
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size >= 0.001 && size < 100000 ? String(Number(x.toPrecision(4))) : x.toExponential(2);
}
