"use strict";
// One tooltip for the page: under the mouse, under a finger, and for the arrow keys in a focused chart.
(() => {
  const tip = document.getElementById("tip");
  const spoken = document.getElementById("spoken");
  const places = new WeakMap(); // where the arrow keys were in each chart
  let current = null;

  function show(mark, x, y) {
    hide();
    current = mark;
    mark.classList.add("on");
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), document.documentElement.clientWidth - box.width - 8);
    const above = y - box.height - 12;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = (above > 8 ? above : y + 18) + "px";
  }

  function hide() {
    if (current) current.classList.remove("on");
    current = null;
    tip.hidden = true;
  }

  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest && event.target.closest("[data-tip]");
    if (mark) show(mark, event.clientX, event.clientY);
    else if (event.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (event) => {
    const mark = event.target.closest && event.target.closest("[data-tip]");
    if (mark) show(mark, event.clientX, event.clientY);
    else hide();
  });
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("focusout", hide);

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    const chart = document.activeElement;
    if (!chart || !chart.matches("svg.chart")) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (!(event.key in steps) && event.key !== "Home" && event.key !== "End") return;
    const marks = [...chart.querySelectorAll("[data-tip]")];
    if (!marks.length) return;
    event.preventDefault();
    const at = places.has(chart) ? places.get(chart) : -1;
    let next = at < 0 ? 0 : Math.min(marks.length - 1, Math.max(0, at + (steps[event.key] || 0)));
    if (event.key === "Home") next = 0;
    if (event.key === "End") next = marks.length - 1;
    places.set(chart, next);
    const box = marks[next].getBoundingClientRect();
    show(marks[next], box.left + box.width / 2, box.top + box.height / 2);
    spoken.textContent = marks[next].dataset.tip.replaceAll("\n", ", ");
  });
})();
