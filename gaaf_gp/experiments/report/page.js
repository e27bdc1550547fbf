"use strict";
(() => {
  const state = { key: "rank", down: false, filter: "", kind: "" };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const TEXTS = ["formula", "state"];

  // the list of candidates: its heads become buttons that sort it
  function value(card, key) {
    const text = card.dataset[key];
    return TEXTS.includes(key) ? text : text === "" ? null : Number(text);
  }
  function sort() {
    const list = document.getElementById("list");
    if (!list) return;
    const cards = all(".card", list).map((card) => [value(card, state.key), Number(card.dataset.rank), card]);
    cards.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // what is not known stays last
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return (state.down ? -order : order) || i - j;
    });
    list.append(...cards.map(([, , card]) => card));
    for (const head of all(".heads [data-key]", list)) {
      const order = state.down ? "descending" : "ascending", button = head.firstElementChild;
      if (head.dataset.key === state.key) head.dataset.order = order;
      else delete head.dataset.order;
      button.setAttribute("aria-pressed", head.dataset.key === state.key);
      button.title = head.dataset.key === state.key ? `sorted, ${order}` : "sort";
    }
  }
  function filter() {
    const cards = all("#list .card");
    const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const text = (card.querySelector("summary").textContent + " " + card.dataset.text + " " + card.dataset.state).toLowerCase();
      const fits = words.every((word) => text.includes(word)) && (!state.kind || card.dataset.kind.split(" ").includes(state.kind));
      card.hidden = !fits;
      shown += fits;
    }
    document.getElementById("count").textContent = `${shown} of ${cards.length} shown`;
    document.getElementById("none").hidden = shown > 0;
  }
  function prepareList() {
    const list = document.getElementById("list");
    if (!list) return;
    for (const head of all(".heads [data-key]", list)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      button.addEventListener("click", () => {
        const again = state.key === head.dataset.key;
        state.down = again ? !state.down : head.dataset.first === "down";
        state.key = head.dataset.key;
        sort();
      });
      head.replaceChildren(button);
    }
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
    prepareList();
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
    const header = active && active.closest && active.closest(".heads [data-key]");
    const key = header ? header.dataset.key : null;
    const card = active && active.closest && active.closest("details.card");
    const text = card ? card.dataset.text : null;
    const [x, y] = [scrollX, scrollY];
    document.getElementById("page").replaceWith(document.adoptNode(fresh));
    all("details.card").forEach((one) => { one.open = open.has(one.dataset.text); });
    all("details:not(.card)").forEach((one, place) => { one.open = others[place] || false; });
    prepare();
    const same = text !== null && all("details.card").find((one) => one.dataset.text === text);
    const target = key !== null ? document.querySelector(`.heads [data-key="${key}"] button`)
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
