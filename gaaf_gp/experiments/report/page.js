"use strict";
(() => {
  const state = { column: 0, down: false, filter: "", kind: "" };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // the table: headers become buttons that sort
  function key(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return column === 0 ? Number(text) : text;
  }
  function sort() {
    const table = document.getElementById("table");
    if (!table) return;
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, state.column), Number(row.cells[0].textContent), row]);
    rows.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // what is not known stays last
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return (state.down ? -order : order) || i - j;
    });
    body.append(...rows.map(([, , row]) => row));
    all("th", table.tHead).forEach((head, place) => {
      if (place === state.column) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
  function filter() {
    const table = document.getElementById("table");
    if (!table) return;
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const card = document.getElementById(row.dataset.card);
      const text = (row.textContent + " " + card.dataset.text).toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (!state.kind || row.dataset.kind.split(" ").includes(state.kind));
      row.hidden = card.hidden = !fits;
      shown += fits;
    }
    document.getElementById("count").textContent = `${shown} of ${table.tBodies[0].rows.length} shown`;
    document.getElementById("none").hidden = shown > 0;
  }
  function prepareTable() {
    const table = document.getElementById("table");
    if (!table) return;
    all("th", table.tHead).forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const again = state.column === place;
        state.down = again ? !state.down : head.dataset.first === "down";
        state.column = place;
        sort();
      });
      head.replaceChildren(button);
    });
    const form = document.querySelector(".filters");
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    const input = document.getElementById("filter"), kinds = document.getElementById("kinds");
    input.value = state.filter;
    kinds.value = state.kind;
    input.addEventListener("input", () => { state.filter = input.value; filter(); });
    kinds.addEventListener("change", () => { state.kind = kinds.value; filter(); });
    sort();
    filter();
  }

  // the front: formulas while a point is pointed at or has the focus
  function prepareFront() {
    const plot = document.getElementById("front");
    if (!plot) return;
    const tip = plot.querySelector(".tip");
    const hide = () => { tip.hidden = true; };
    function show(point) {
      const formula = document.createElement("code");
      formula.textContent = point.dataset.tip;
      tip.replaceChildren(formula, point.dataset.more);
      tip.hidden = false;
      const own = (point.querySelector(".best") || point).getBoundingClientRect(), box = plot.getBoundingClientRect();
      const middle = own.left + own.width / 2 - box.left, wide = tip.offsetWidth;
      const above = own.top - box.top - tip.offsetHeight - 8;
      tip.style.left = `${Math.max(0, Math.min(middle - wide / 2, box.width - wide))}px`;
      tip.style.top = `${above >= 0 ? above : own.bottom - box.top + 8}px`;
    }
    for (const point of all("[data-tip]", plot)) {
      point.addEventListener("mouseenter", () => show(point));
      point.addEventListener("mouseleave", hide);
      point.addEventListener("focus", () => show(point));
      point.addEventListener("blur", hide);
    }
    plot.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }

  // a link to a card opens it
  function unfold() {
    const card = /^#c\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!card) return;
    if (card.hidden) { state.filter = state.kind = ""; prepareFilters(); }
    card.open = true;
    card.querySelector("summary").focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
  function prepareFilters() {
    document.getElementById("filter").value = state.filter;
    document.getElementById("kinds").value = state.kind;
    filter();
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#c"]');
    const hash = link && (link.getAttribute("href") || "");
    if (link && hash === location.hash) { event.preventDefault(); unfold(); } // no change of the hash, no event
  });
  window.addEventListener("hashchange", unfold);

  function prepare() {
    prepareTable();
    prepareFront();
  }
  prepare();
  unfold();

  // a live page asks its server for a newer one, and keeps what was opened, typed and scrolled to
  if (!("live" in document.body.dataset)) return;
  const WAIT = 2000, MOST_FAILURES = 3;
  let failures = 0;
  const say = (text) => { const live = document.getElementById("live"); if (live && live.textContent !== text) live.textContent = text; };
  function replace(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("page");
    if (!fresh) return;
    const open = new Set(all("details.card[open]").map((card) => card.dataset.text));
    const others = all("details:not(.card)").map((one) => one.open);
    const active = document.activeElement;
    const focused = active && active.id, selection = active && active.id === "filter" ? active.selectionStart : null;
    const header = active && active.closest && active.closest("#table th");
    const column = header ? header.cellIndex : null;
    const card = active && active.closest && active.closest("details.card");
    const text = card ? card.dataset.text : null;
    const [x, y] = [scrollX, scrollY];
    document.getElementById("page").replaceWith(document.adoptNode(fresh));
    all("details.card").forEach((one) => { one.open = open.has(one.dataset.text); });
    all("details:not(.card)").forEach((one, place) => { one.open = others[place] || false; });
    prepare();
    const same = text !== null && all("details.card").find((one) => one.dataset.text === text);
    const target = column !== null ? document.querySelectorAll("#table thead button")[column]
      : same ? same.querySelector("summary") : focused ? document.getElementById(focused) : null;
    if (target) target.focus({ preventScroll: true });
    if (selection !== null && target) target.setSelectionRange(selection, selection);
    window.scrollTo({ left: x, top: y, behavior: "instant" });
  }
  async function refresh() {
    try {
      const tag = document.getElementById("page").dataset.tag;
      const answer = await fetch("/", { cache: "no-store", headers: { "If-None-Match": `"${tag}"` } });
      failures = 0;
      if (answer.status === 200) replace(await answer.text());
      say("live");
    } catch {
      failures += 1;
    }
    if (failures >= MOST_FAILURES) say("the server has ended; this is the last state");
    else setTimeout(refresh, WAIT);
  }
  say("live");
  setTimeout(refresh, WAIT);
})();
