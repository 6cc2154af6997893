// The order and the places of cells in layers: fewer crossings first, then short wires.

const IS_LARGE = vertices.length > 3000; // fewer sweeps, to keep the layout fast

// Sorts the cells of each layer by the mean place of their neighbours, down and up, and keeps the best order found.
function untangle(layers, sweeps = IS_LARGE ? 2 : 6) {
  const number = () => layers.forEach((layer) => layer.forEach((cell, i) => { cell.order = i; }));
  for (const layer of layers) layer.sort((a, b) => a.pin - b.pin);
  number();
  let best = layers.map((layer) => [...layer]), fewest = crossings(layers), idle = 0;
  for (let sweep = 0; sweep < sweeps && fewest > 0 && idle < 2; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const cell of layer) {
        const near = down ? cell.ins.map((link) => link.a.order + link.fromShare) : cell.outs.map((link) => link.b.order + link.toShare);
        cell.wish = cell.pin ? cell.pin * 1e9 : near.length ? mean(near) : cell.order;
      }
      layer.sort((a, b) => a.wish - b.wish || a.order - b.order);
      layer.forEach((cell, i) => { cell.order = i; });
    }
    const count = crossings(layers);
    idle += 1;
    if (count < fewest) { fewest = count; best = layers.map((layer) => [...layer]); idle = 0; }
  }
  best.forEach((layer, i) => { layers[i] = layer; });
  number();
}

function mean(numbers) {
  return numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
}

// Pairs of links between neighbouring layers that cross, counted with a Fenwick tree.
function crossings(layers) {
  let total = 0;
  for (const layer of layers) {
    const ends = [];
    for (const cell of layer) {
      const places = cell.outs.map((link) => link.b.order).sort((x, y) => x - y);
      ends.push(...places);
    }
    const size = Math.max(0, ...ends) + 2, tree = new Int32Array(size + 1);
    ends.forEach((end, seen) => {
      let before = 0;
      for (let i = end + 1; i > 0; i -= i & -i) before += tree[i];
      total += seen - before;
      for (let i = end + 1; i <= size; i += i & -i) tree[i] += 1;
    });
  }
  return total;
}

// Places cells from left to right so that each is as near as possible to its neighbours and none touch.
function place(layers, gap) {
  const sweeps = IS_LARGE ? "01210" : "0101201210";
  for (const layer of layers) {
    let x = 0;
    for (const cell of layer) { cell.x = x + cell.w / 2; x += cell.w + gap; }
  }
  for (const way of [...sweeps].map(Number)) { // as those above wish, those below, or both
    for (const layer of way === 1 ? [...layers].reverse() : layers) {
      for (const cell of layer) {
        const above = cell.ins.map((link) => [link.a.x + link.fromOffset - link.toOffset, pull(cell, link.a)]);
        const below = cell.outs.map((link) => [link.b.x + link.toOffset - link.fromOffset, pull(cell, link.b)]);
        const near = way === 0 ? above : way === 1 ? below : [...above, ...below];
        const wishes = near.length ? near : [...above, ...below];
        cell.wish = wishes.length ? median(wishes) : cell.x;
        cell.weight = cell.pin || isAside(cell) ? 0.001 : cell.item ? 1 : 3; // a wire that passes through should be straight
      }
      spread(layer, gap);
    }
  }
}

// Whether a cell gives way to the main path, which stays straight: where a wire begins that passes items, or an item
// that only feeds such wires.
function isAside({ item, ins, outs }) {
  if (item) return outs.length > 0 && outs.every(({ b }) => !b.item && !b.side);
  return ins.length > 0 && Boolean(ins[0].a.item || ins[0].a.side);
}

// Items and places where wires enter a box line up with items of the main path, and the cells of a wire with each
// other, before an item lines up with a passing wire.
function pull(cell, other) {
  return Boolean(cell.item || cell.side) === Boolean(other.item) && !isAside(other) ? 2 : 1;
}

// The weighted median of pairs (x, weight). A mean would let a chain drift to the side of a wire that runs along it.
function median(pairs) {
  pairs.sort((p, q) => p[0] - q[0]);
  const half = pairs.reduce((sum, pair) => sum + pair[1], 0) / 2;
  let weight = 0;
  for (let i = 0; i < pairs.length; i += 1) {
    weight += pairs[i][1];
    if (weight > half) return pairs[i][0];
    if (weight === half) return (pairs[i][0] + pairs[i + 1][0]) / 2;
  }
  return pairs.at(-1)[0];
}

// The places nearest to the wishes (weighted least squares) that keep order and distance: cells that would
// overlap are pooled and move as one.
function spread(layer, gap) {
  const pools = [];
  let shift = 0;
  for (const [i, cell] of layer.entries()) {
    if (i > 0) shift += (layer[i - 1].w + cell.w) / 2 + gap;
    cell.shift = shift;
    let pool = { cells: [cell], weight: cell.weight, wish: cell.wish - shift };
    while (pools.length && pools.at(-1).wish > pool.wish) {
      const left = pools.pop();
      const weight = left.weight + pool.weight;
      const wish = (left.wish * left.weight + pool.wish * pool.weight) / weight;
      for (const member of pool.cells) left.cells.push(member);
      pool = { cells: left.cells, weight, wish };
    }
    pools.push(pool);
  }
  for (const pool of pools) for (const cell of pool.cells) cell.x = pool.wish + cell.shift;
}
