// The panel beside the drawing: all that is known of the selected item. Text is only ever set as text.

const panel = document.getElementById("panel"), facts = document.getElementById("facts");

function tag(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function showPanel(item) {
  panel.hidden = !item;
  facts.replaceChildren();
  if (!item) return;
  const kinds = { box: item.row ? "steps" : "scope", omitted: "left out" };
  document.getElementById("kind").textContent = kinds[item.kind] || item.kind;
  document.getElementById("name").textContent = item.name;
  facts.append(...(item.isBox ? factsOfBox(item) : item.output ? factsOfOutput(item) : factsOfVertex(item)).filter(Boolean));
  panel.scrollTop = 0;
}

function section(title, ...children) {
  const shown = children.filter(Boolean);
  return shown.length ? tag("section", {}, tag("h3", {}, title), ...shown) : null;
}

function table(rows) {
  const body = rows.map(([name, ...cells]) => tag("tr", {}, tag("th", { scope: "row" }, name), ...cells.map((cell) => tag("td", {}, cell))));
  return body.length ? tag("table", {}, ...body) : null;
}

function linkTo(item) {
  const link = tag("button", { type: "button", class: "link" }, item.vertex && item.vertex.step !== null ? `${item.name}, step ${item.vertex.step}` : item.name);
  link.addEventListener("click", () => find(item));
  return link;
}

function factsOfBox(box) {
  const inside = vertices.filter((item) => within(item, box)), counts = new Map();
  for (const item of inside) if (item.kind === "operation") counts.set(item.name, (counts.get(item.name) || 0) + 1);
  const parameters = [...new Set(inside.flatMap((item) => item.stubs.map((stub) => stub.parameter)))];
  const toggleButton = tag("button", { type: "button", class: "wide" }, box.closed ? "open" : "close");
  toggleButton.addEventListener("click", () => { toggle(box); showPanel(box); });
  return [
    toggleButton,
    section("place", table([["scope", pathOf(box)], ["operations", box.count.toLocaleString("en")]])),
    section("operations", table([...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => [name, String(count)]))),
    section("parameters", table(parameters.map((item) => [linkTo(item), item.vertex.outputs[0].shape]))),
  ];
}

function pathOf(box) {
  return [...ancestors(box).filter((at) => at !== root).reverse().map((at) => at.name), box.name].join(" / ");
}

function factsOfOutput(item) {
  const source = vertices[item.output.source];
  return [section("output", table([["of", linkTo(source)], ["shape", item.output.shape]]))];
}

function factsOfVertex(item) {
  const { vertex } = item, known = data.primitives[vertex.primitive];
  const description = known ? [tag("code", { class: "signature" }, known.signature), tag("p", {}, known.text)] : [];
  const place = [];
  if (vertex.kind === "omitted") place.push(["stands for", plural(vertex.standsFor, "operation")]);
  if (vertex.full && vertex.full !== item.name) place.push(["full name", vertex.full]);
  if (vertex.scope.length) place.push(["scope", vertex.scope.join(" / ")]);
  if (vertex.step !== null) place.push(["step", String(vertex.step)]);
  if (vertex.line) place.push(["source line", vertex.line]);
  if (known) place.push(["declared in", known.module]);
  const users = [...new Set(usersOf.get(item))];
  return [
    ...description,
    vertex.remark ? tag("p", { class: "faint" }, vertex.remark) : null,
    section("place", table(place)),
    section("arguments", table(argumentRows(vertex))),
    section("options", table(vertex.options)),
    section("outputs", table(vertex.outputs.map((output, i) => [output.name || (vertex.outputs.length > 1 ? String(i) : "shape"), output.shape]))),
    section("used by", usedBy(users)),
    section(vertex.step === null ? "time" : "time of all steps", table(vertex.spent)),
    ...statistics(vertex),
  ];
}

function argumentRows(vertex) {
  const names = [...new Set([...vertex.arguments.map(([name]) => name), ...vertex.inputs.map((edge) => edge.argument)])];
  const shapes = new Map(vertex.arguments);
  return names.flatMap((name) => {
    const fed = vertex.inputs.filter((edge) => edge.argument === name);
    if (!fed.length) return [[name, tag("span", { class: "faint" }, "constant"), shapes.get(name) || ""]];
    return fed.map((edge) => {
      const source = vertices[edge.source], output = source.vertex.outputs[edge.slot];
      const shape = output ? `${output.name} ${output.shape} ${edge.part}`.trim() : edge.part;
      return [name || "from", linkTo(source), shape];
    });
  });
}

function usedBy(users) {
  const most = 12, list = tag("div", { class: "links" }, ...users.slice(0, most).map(linkTo));
  if (users.length > most) list.append(tag("span", { class: "faint" }, `and ${(users.length - most).toLocaleString("en")} more`));
  return users.length ? list : null;
}

// Statistics of each output, as far as they were recorded; where nothing was, how to record.
function statistics(vertex) {
  if (vertex.kind === "omitted") return [];
  const parts = [];
  for (const [key, title, norm] of [["values", "value", "value"], ["gradients", "gradient", "gradient"]]) {
    for (const output of vertex.outputs) {
      const name = output.name ? `${title} of ${output.name}` : title;
      if (output[key]) parts.push(section(name, statsTable(output[key]), histogram(output[key], `histogram of the ${name}`)));
      else if (output[norm] !== null) parts.push(section(name, table([["norm", number(output[norm])]])));
    }
  }
  parts.push(...seriesOf(vertex));
  const hint = "No value or gradient was recorded here: run the forward and the backward pass within `with mg.record():`.";
  if (!parts.length) parts.push(section("statistics", tag("p", { class: "faint hint" }, hint)));
  return parts;
}

function statsTable(stats) {
  const rows = [["norm", number(stats.norm)], ["mean", number(stats.mean)], ["std", number(stats.std)], ["range", `${number(stats.low)} to ${number(stats.high)}`], ["entries", stats.size.toLocaleString("en")]];
  if (stats.unusual) rows.push(["NaN or infinite", stats.unusual.toLocaleString("en")]);
  return table(rows);
}

function seriesOf(vertex) {
  if (vertex.series === null) return [];
  const { names, values, gradients } = data.series[vertex.series], parts = [];
  for (const [title, lists] of [["value", values], ["gradient", gradients]]) {
    lists.forEach((norms, slot) => parts.push(section(`norm of the ${title} of ${names[slot]}, step by step`, steps(norms, vertex.step, `norm of the ${title} at each step`))));
  }
  return parts;
}
