// Sorting, searching and choosing columns of the table that the page already holds whole. The state
// lives in the address after '#', so that a view can be shared; nothing is stored and nothing fetched.
(() => {
  "use strict";
  const table = document.getElementById("board");
  if (!table) return;
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const status = document.getElementById("status");
  const search = document.getElementById("search");
  const state = { sort: "rank", dir: "ascending", q: "", domain: "", without: new Set(), kinds: new Set() };
  const style = document.head.appendChild(document.createElement("style"));
  const make = (tag, props, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  let order = "";
  const keyOf = (head) => head.dataset.key;
  const nameOf = (head) => head.dataset.name || head.textContent.trim();
  const names = new Map(heads.map((head) => [keyOf(head), nameOf(head)]));

  // A cell's value: its exact number, else its text; null where it is missing.
  const valueOf = (cell, numeric) => {
    if (cell.classList.contains("m")) return null;
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (!numeric) return text || null;
    const number = parseFloat(text);
    return Number.isNaN(number) ? null : number;
  };

  function sortRows() {
    const wanted = `${state.sort}:${state.dir}`;
    if (wanted === order) return;
    order = wanted;
    const index = heads.findIndex((head) => keyOf(head) === state.sort);
    const numeric = heads[index].dataset.type === "number";
    const sign = state.dir === "descending" ? -1 : 1;
    const keyed = rows.map((row, place) => [valueOf(row.cells[index], numeric), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // missing: last
      const less = numeric ? a - b : a.localeCompare(b, undefined, { sensitivity: "base" });
      return sign * less || i - j;
    });
    body.append(...keyed.map(([, , row]) => row));
    for (const head of heads) {
      if (keyOf(head) === state.sort) head.setAttribute("aria-sort", state.dir);
      else head.removeAttribute("aria-sort");
    }
  }

  function filterRows() {
    const words = state.q.toLowerCase().normalize("NFKC").split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.dataset.find ?? (row.dataset.find = `${row.querySelector(".t").textContent} ${row.querySelector(".aff").textContent}`.toLowerCase().normalize("NFKC"));
      row.hidden = !words.every((word) => text.includes(word)) || state.kinds.has(row.dataset.kind);
      shown += !row.hidden;
    }
    document.getElementById("none").hidden = shown > 0;
    return shown;
  }

  function showColumns() {
    const off = heads.flatMap((head, i) => {
      const elsewhere = state.domain && head.dataset.domain !== undefined && head.dataset.domain !== state.domain;
      return elsewhere || state.without.has(keyOf(head)) ? [`#board tr>:nth-child(${i + 1})`] : [];
    });
    style.textContent = off.length ? `${off.join(",")}{display:none}` : "";
  }

  function say(shown) {
    const type = heads.find((head) => keyOf(head) === state.sort).dataset.type;
    const words = state.sort === "rank" ? ["best first", "worst first"]
      : { number: ["lowest first", "highest first"], date: ["oldest first", "newest first"] }[type] ?? ["A to Z", "Z to A"];
    const how = words[state.dir === "descending" ? 1 : 0];
    status.textContent = `${shown} of ${rows.length} rows, by ${names.get(state.sort)}, ${how}`;
  }

  function remember() {
    const parts = new URLSearchParams();
    if (state.sort !== "rank" || state.dir !== "ascending") parts.set("sort", `${state.sort}:${state.dir}`);
    if (state.q) parts.set("q", state.q);
    if (state.domain) parts.set("domain", state.domain);
    if (state.without.size) parts.set("without", [...state.without].join(","));
    if (state.kinds.size) parts.set("rows-without", [...state.kinds].join(","));
    const text = parts.toString();
    if (text !== location.hash.slice(1)) {
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    }
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const [sort, dir] = (parts.get("sort") ?? "rank:ascending").split(":");
    if (names.has(sort)) [state.sort, state.dir] = [sort, dir === "descending" ? dir : "ascending"];
    state.q = parts.get("q") ?? "";
    state.domain = domains.includes(parts.get("domain")) ? parts.get("domain") : "";
    state.without = new Set((parts.get("without") ?? "").split(",").filter((key) => names.has(key) && key !== "team"));
    state.kinds = new Set((parts.get("rows-without") ?? "").split(",").filter((kind) => kinds.includes(kind)));
  }

  function draw() {
    sortRows();
    showColumns();
    say(filterRows());
    remember();
    search.value = state.q;
    for (const input of document.querySelectorAll("#controls input[data-group]")) {
      const { group } = input.dataset;
      input.checked = group === "domain" ? input.value === state.domain
        : !(group === "kind" ? state.kinds : state.without).has(input.value);
    }
  }

  const option = (group, type, value, text) =>
    make("label", {}, Object.assign(make("input", { type, value, name: `${group}${type === "radio" ? "" : `-${value}`}` }), {}), text);
  function choices(place, group, type, pairs) {
    for (const [value, text] of pairs) {
      const label = option(group, type, value, text);
      label.firstChild.dataset.group = group;
      place.append(label);
    }
  }

  // Controls.
  const domains = [...new Set(heads.map((head) => head.dataset.domain).filter(Boolean))];
  const kinds = [...new Set(rows.map((row) => row.dataset.kind))];
  const count = (list, test) => list.filter(test).length;
  choices(document.getElementById("domains"), "domain", "radio", [["", "all"], ...domains.map((d) => [d, `${d} (${count(heads, (h) => h.dataset.domain === d)})`])]);
  const kindBox = document.getElementById("kinds");
  if (kinds.length > 1) choices(kindBox, "kind", "checkbox", kinds.map((kind) => [kind, `${kind} (${count(rows, (r) => r.dataset.kind === kind)})`]));
  else kindBox.remove();
  const menu = document.querySelector("#columns > div");
  for (const part of new Set(heads.map((head) => head.dataset.part))) {
    const set = menu.appendChild(make("fieldset", {}, make("legend", { textContent: part })));
    choices(set, "column", "checkbox", heads.filter((h) => h.dataset.part === part && keyOf(h) !== "team").map((h) => [keyOf(h), nameOf(h)]));
  }
  for (const head of heads) {
    const button = make("button", { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const again = state.sort === keyOf(head);
      const first = head.dataset.first ?? "descending";
      state.dir = again ? (state.dir === "ascending" ? "descending" : "ascending") : first;
      state.sort = keyOf(head);
      draw();
      button.focus();
    });
  }
  search.addEventListener("input", () => { state.q = search.value; draw(); });
  document.getElementById("controls").addEventListener("change", ({ target }) => {
    const { group } = target.dataset;
    if (!group) return; // leaving the search field: a click under way must keep its row
    if (group === "domain") state.domain = target.value;
    else {
      const off = group === "kind" ? state.kinds : state.without;
      if (target.checked) off.delete(target.value);
      else off.add(target.value);
    }
    draw();
  });
  document.getElementById("reset").addEventListener("click", () => {
    Object.assign(state, { sort: "rank", dir: "ascending", q: "", domain: "", without: new Set(), kinds: new Set() });
    draw();
  });
  document.querySelector("#none button").addEventListener("click", () => {
    Object.assign(state, { q: "", kinds: new Set() });
    draw();
    search.focus();
  });
  const columns = document.getElementById("columns");
  columns.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && columns.open) {
      columns.open = false;
      columns.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (columns.open && !columns.contains(event.target)) columns.open = false;
  });
  addEventListener("hashchange", () => { recall(); draw(); });
  document.getElementById("controls").hidden = false;
  recall();
  draw();
})();
