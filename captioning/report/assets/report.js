
"use strict";
(() => {
  // What lies under the pointer in a chart is said at once; without this, a moment later and by the browser.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  for (const mark of document.querySelectorAll(".mark")) {
    const title = mark.querySelector("title");
    mark.dataset.tip = title.textContent;
    mark.setAttribute("aria-label", title.textContent);
    title.remove(); // or it would be said twice
  }

  // The mark whose middle is nearest: across first, since dots of a line are above each other.
  function nearest(chart, x, y) {
    let found = null, least = 40;
    for (const mark of chart.querySelectorAll(".mark")) {
      const box = mark.getBoundingClientRect();
      const across = Math.max(box.left - x, x - box.right, 0), up = Math.max(box.top - y, y - box.bottom, 0);
      const away = across + up / 8;
      if (away < least) [found, least] = [mark, away];
    }
    return found;
  }

  let shown = null;
  function show(mark) {
    if (shown) shown.classList.remove("near");
    shown = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("near");
    tip.textContent = mark.dataset.tip;
    const box = mark.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 6), wide - tip.offsetWidth - 6);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
  }

  for (const chart of document.querySelectorAll("svg.chart")) {
    const look = (event) => show(nearest(chart, event.clientX, event.clientY));
    chart.addEventListener("pointermove", look);
    chart.addEventListener("pointerdown", look);
    // A finger that is lifted leaves too, and what it found stays to be read until it touches something else.
    chart.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") show(null); });
  }
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("svg.chart")) show(null); });
  window.addEventListener("scroll", () => show(null), { passive: true });

  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      let done = false;
      try {
        await navigator.clipboard.writeText(source.textContent);
        done = true;
      } catch {
        done = document.execCommand("copy"); // where the page may not use the clipboard: what is selected
      }
      button.textContent = done ? "copied" : "selected";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  document.body.classList.add("ready");
})();
