"use strict";
// The table: rows by columns, filtered, sorted and searched in place; only the rows in view are elements.
// Data is set as text everywhere in this program. Nothing is ever parsed as markup.

const ROW_HEIGHT = 34;
const SPARE_ROWS = 8;
const PRINTED_ROWS = 300;
const SEVERITIES = ["critical", "high", "medium", "low", "info", "none", ""];
const TIERS = ["auto", "review", "never", "wait", "benign", ""];
const PICK_WIDTH = "40px";
const WIDTHS = {
  severity: "97px", id: "minmax(200px, 1.1fr)", verdict: "minmax(140px, .8fr)", tier: "72px", amount: "minmax(128px, .6fr)",
  count: "90px", age: "106px", ms: "170px", text: "minmax(122px, .5fr)", prose: "minmax(101px, 2.4fr)",
};
const NAMED_WIDTHS = { provider: "minmax(138px, .5fr)", chain: "minmax(84px, .4fr)", status: "minmax(92px, .4fr)" };

function widthOf(spec) { return NAMED_WIDTHS[spec.name] || WIDTHS[spec.kind] || WIDTHS.text; }

// A chain without its number, where there is little room; the whole name stands in the title and in the details.
function chainWord(chain) { return chain.replace(/ \(\d+\)$/, ""); }

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function bytesOf(packed) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(packed);
  const text = atob(packed);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes;
}

async function unpack(id) {
  const node = document.getElementById(id);
  const bytes = bytesOf(node.textContent);
  node.textContent = "";
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function cellOf(column, row) {
  return column.words ? column.words[column.at[row]] : column.cells[row];
}

function grouped(text) {
  const found = /^(-?)(\d+)(\.\d+)?(\s.*)?$/.exec(text);
  return found ? found[1] + found[2].replace(/\B(?=(\d{3})+$)/g, ",") + (found[3] || "") + (found[4] || "") : text;
}

function ageText(text) {
  if (!/^-?\d+$/.test(text)) return "";
  let left = Math.abs(Number(text));
  const parts = [];
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count || (name === "s" && !parts.length)) parts.push(count + " " + name);
    else if (parts.length) break;
  }
  return (text.startsWith("-") ? "-" : "") + parts.slice(0, 2).join(" ");
}

function timeText(at) {
  if (at === null || at === undefined || at === "") return "";
  const moment = new Date(at);
  return Number.isNaN(moment.getTime()) ? "" : moment.toISOString().replace(".000Z", "Z");
}

function human(value, kind) {
  if (value === null || value === undefined) return "";
  if (kind === "ms") return timeText(value);
  if (kind === "age") return ageText(String(value));
  if (kind === "amount") return shortAmount(String(value));
  if (kind === "count") return grouped(String(value));
  if (kind === "prose") return shortAmounts(String(value));
  return String(value);
}

// What a cell says to the last unit.
function exact(value, kind) {
  return kind === "amount" ? grouped(String(value ?? "")) : kind === "prose" ? String(value ?? "") : human(value, kind);
}

function sortKeys(column, spec, rows) {
  const key = {
    severity: (word) => SEVERITIES.indexOf(word), tier: (word) => TIERS.indexOf(word),
    age: (word) => (word === "" ? -Infinity : Number(word)), count: (word) => (word === "" ? -Infinity : Number(word)),
    ms: (at) => (at === null ? -Infinity : at), amount: (word) => (word === "" ? -Infinity : parseFloat(word)),
  }[spec.kind];
  const keys = new Float64Array(rows);
  if (key) {
    for (let row = 0; row < rows; row += 1) keys[row] = key(cellOf(column, row));
    return keys;
  }
  const words = column.words || [...new Set(column.cells)];
  const rank = new Map([...words].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).map((word, at) => [word, at]));
  for (let row = 0; row < rows; row += 1) keys[row] = rank.get(cellOf(column, row));
  return keys;
}

function countsOf(column) {
  const counts = new Map();
  if (!column.words) {
    for (const word of column.cells) counts.set(word, (counts.get(word) || 0) + 1);
    return counts;
  }
  const numbers = new Int32Array(column.words.length);
  for (const at of column.at) numbers[at] += 1;
  column.words.forEach((word, at) => counts.set(word, numbers[at]));
  return counts;
}

class Grid {
  constructor(head, data, onOpen) {
    this.specs = head.columns;
    this.rows = head.rows;
    this.now = head.now;
    this.columns = data.cells;
    this.onOpen = onOpen;
    this.onChange = () => {};
    this.picks = null;
    this.sums = null;
    this.hasPicks = Boolean(head.picks);
    this.filters = new Map();
    this.needle = "";
    this.sort = { column: -1, down: false };
    this.order = Int32Array.from({ length: this.rows }, (_, row) => row);
    this.active = -1;
    this.opened = -1;
    this.frame = 0;
    this.version = 0;
    this.state = "";
    this.box = document.getElementById("grid");
    this.shown = this.specs.map((spec, at) => at).filter((at) => !this.specs[at].hidden && this.saysSomething(at));
    this.build();
    this.buildFilters();
    this.refresh();
  }

  number(name) { return this.specs.findIndex((spec) => spec.name === name); }

  cell(row, name) {
    const at = this.number(name);
    return at < 0 ? "" : cellOf(this.columns[at], row);
  }

  // The column that names a row, and the row of a name: the first, where several are called so.
  get named() { return Math.max(0, this.number("payment_id") < 0 ? this.specs.findIndex((spec) => spec.kind === "id") : this.number("payment_id")); }

  nameOf(row) { return cellOf(this.columns[this.named], row); }

  rowNamed(name) {
    const column = this.columns[this.named];
    return column.words ? column.at.indexOf(column.words.indexOf(name)) : column.cells.indexOf(name);
  }

  saysSomething(at) {
    const column = this.columns[at];
    return (column.words || column.cells).some((word) => word !== "" && word !== null);
  }

  build() {
    this.box.replaceChildren();
    this.box.setAttribute("aria-rowcount", String(this.rows + 1));
    const widths = [...(this.hasPicks ? [PICK_WIDTH] : []), ...this.shown.map((at) => widthOf(this.specs[at]))];
    this.box.setAttribute("aria-colcount", String(widths.length));
    const template = widths.join(" ");
    this.template = template;
    const least = widths.reduce((sum, width) => sum + parseInt(/\d+(?=px)/.exec(width)[0], 10), 0);
    this.head = make("div", "row head");
    this.head.setAttribute("role", "row");
    this.head.style.gridTemplateColumns = template;
    this.head.style.minWidth = least + "px";
    if (this.hasPicks) {
      const cell = make("div", "cell pick", "pick");
      cell.setAttribute("role", "columnheader");
      this.head.append(cell);
    }
    this.shown.forEach((at) => this.head.append(this.headCell(at)));
    this.space = make("div", "space");
    this.space.setAttribute("role", "presentation");
    this.space.style.minWidth = least + "px";
    this.box.append(this.head, this.space);
    this.box.addEventListener("scroll", () => this.later(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.space.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (!row) return;
      if (event.target.closest(".pick") && this.picks) this.picks.toggle(this.order[Number(row.dataset.place)]);
      else this.open(Number(row.dataset.place));
    });
    new ResizeObserver(() => this.later()).observe(this.box);
  }

  headCell(at) {
    const spec = this.specs[at];
    const cell = make("div", "cell " + spec.kind);
    const button = make("button", "", spec.label);
    button.type = "button";
    button.dataset.sort = spec.name;
    button.addEventListener("click", () => this.sortBy(at));
    cell.setAttribute("role", "columnheader");
    cell.append(button);
    return cell;
  }

  buildFilters() {
    const bar = document.getElementById("filters");
    const label = make("label", "search", "Search every column");
    this.search = make("input");
    this.search.type = "search";
    this.search.id = "search";
    this.search.placeholder = "payment, hash, reference, word";
    let waiting = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { this.needle = this.search.value.trim().toLowerCase(); this.refresh(); this.onChange("typed"); }, 80);
    });
    label.append(this.search);
    bar.append(label);
    this.selects = new Map();
    this.specs.forEach((spec, at) => { if (spec.filter) bar.append(this.filterOf(spec, at)); });
    const clear = document.getElementById("clear");
    clear.addEventListener("click", () => this.clear());
    this.clearButton = clear;
  }

  filterOf(spec, at) {
    const label = make("label", "", spec.label);
    const select = make("select");
    select.dataset.filter = spec.name;
    const counts = countsOf(this.columns[at]);
    const order = spec.kind === "severity" ? SEVERITIES : spec.kind === "tier" ? TIERS : null;
    const words = [...counts.keys()].sort((a, b) =>
      order ? order.indexOf(a) - order.indexOf(b) : counts.get(b) - counts.get(a) || (a < b ? -1 : 1));
    select.append(new Option("all", ""));
    words.forEach((word, number) => select.append(new Option(`${word || "(empty)"} (${counts.get(word).toLocaleString("en")})`, String(number + 1))));
    select.addEventListener("change", () => {
      if (select.value) this.filters.set(at, words[Number(select.value) - 1]);
      else this.filters.delete(at);
      select.classList.toggle("on", Boolean(select.value));
      this.refresh();
      this.onChange("");
    });
    this.selects.set(spec.name, { select, words });
    label.append(select);
    return label;
  }

  filterBy(name, word) {
    const found = this.selects.get(name);
    const at = found ? found.words.indexOf(word) : -1;
    if (at < 0) return false;
    found.select.value = String(at + 1);
    found.select.dispatchEvent(new Event("change"));
    return true;
  }

  clear() {
    this.show({ filters: new Map(), needle: "", sort: "" });
    this.onChange("");
  }

  // Filters by name and word, search and sort as an address has them; what is not known here is left out.
  show({ filters, needle, sort }) {
    this.filters.clear();
    this.selects.forEach(({ select, words }, name) => {
      const at = filters.has(name) ? words.indexOf(filters.get(name)) : -1;
      select.value = at < 0 ? "" : String(at + 1);
      select.classList.toggle("on", at >= 0);
      if (at >= 0) this.filters.set(this.number(name), words[at]);
    });
    this.needle = needle.trim().toLowerCase();
    this.search.value = needle;
    const column = this.number(sort.replace(/^-/, ""));
    this.sort = this.shown.includes(column) ? { column, down: sort.startsWith("-") } : { column: -1, down: false };
    this.refresh();
  }

  sortBy(at) {
    const firstDown = ["amount", "count", "age", "ms"].includes(this.specs[at].kind);
    if (this.sort.column !== at) this.sort = { column: at, down: firstDown };
    else if (this.sort.down === firstDown) this.sort.down = !firstDown;
    else this.sort = { column: -1, down: false };
    this.refresh();
    this.onChange("");
  }

  haystack() {
    if (!this.words) {
      const texts = this.specs.map((spec, at) => at).filter((at) => !["ms", "age"].includes(this.specs[at].kind));
      this.words = Array.from({ length: this.rows }, (_, row) =>
        texts.map((at) => cellOf(this.columns[at], row)).join("\u0001").toLowerCase());
    }
    return this.words;
  }

  chosen() {
    const wanted = [...this.filters].map(([at, word]) => {
      const column = this.columns[at];
      const code = column.words ? column.words.indexOf(word) : -1;
      return column.words ? (row) => column.at[row] === code : (row) => column.cells[row] === word;
    });
    const parts = this.needle.split(/\s+/).filter(Boolean);
    const words = parts.length ? this.haystack() : null;
    const rows = [];
    for (let row = 0; row < this.rows; row += 1) {
      if (wanted.every((fits) => fits(row)) && (!words || parts.every((part) => words[row].includes(part)))) rows.push(row);
    }
    return rows;
  }

  refresh() {
    const rows = Int32Array.from(this.chosen());
    if (this.sort.column >= 0) {
      const keys = sortKeys(this.columns[this.sort.column], this.specs[this.sort.column], this.rows);
      const sign = this.sort.down ? -1 : 1;
      rows.sort((a, b) => (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : a - b));
    }
    this.order = rows;
    this.version += 1;
    this.active = -1;
    this.shown.forEach((at, place) => {
      const state = this.sort.column === at ? (this.sort.down ? "descending" : "ascending") : "none";
      this.head.children[place + (this.hasPicks ? 1 : 0)].setAttribute("aria-sort", state);
    });
    const all = this.rows.toLocaleString("en");
    const some = rows.length.toLocaleString("en");
    document.getElementById("count").textContent = rows.length === this.rows ? all : `${some} of ${all}`;
    this.clearButton.hidden = rows.length === this.rows && this.sort.column < 0;
    this.space.style.height = Math.max(rows.length, 1) * ROW_HEIGHT + "px";
    this.box.scrollTop = 0;
    this.draw();
    if (this.sums) this.sums.later();
    if (this.picks) this.picks.tell();
  }

  redraw() {
    this.state = "";
    this.draw();
  }

  later() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    const top = Math.max(0, Math.floor(this.box.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const end = Math.min(this.order.length, top + Math.ceil(this.box.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS);
    // Rows that are still right stay the same elements, so that a click begun on one also ends on it.
    const step = top - (top % SPARE_ROWS);
    const state = [step, this.version, this.active, this.opened, this.box.clientHeight].join();
    if (state === this.state) return;
    this.state = state;
    const rows = [];
    for (let place = step; place < Math.min(this.order.length, end + SPARE_ROWS); place += 1) rows.push(this.rowAt(place));
    if (!this.order.length) rows.push(make("p", "empty", "No payment fits. \"Show all\" takes every filter away."));
    this.space.replaceChildren(...rows);
    if (this.active >= 0) this.box.setAttribute("aria-activedescendant", "row-" + this.active);
    else this.box.removeAttribute("aria-activedescendant");
  }

  rowAt(place) {
    const number = this.order[place];
    const row = make("div", "row");
    row.id = "row-" + place;
    row.dataset.place = String(place);
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", String(place + 2));
    row.setAttribute("aria-selected", String(place === this.active || number === this.opened));
    row.style.top = place * ROW_HEIGHT + "px";
    row.style.gridTemplateColumns = this.template;
    if (this.hasPicks) row.append(this.pickCell(number));
    for (const at of this.shown) row.append(this.cellAt(at, number));
    return row;
  }

  pickCell(number) {
    const cell = make("div", "cell pick");
    cell.setAttribute("role", "gridcell");
    if (!this.picks || !this.picks.has(number)) return cell;
    const box = make("input");
    box.type = "checkbox";
    box.tabIndex = -1;
    box.checked = this.picks.chosen.has(number);
    box.setAttribute("aria-label", "Pick " + this.nameOf(number));
    cell.append(box);
    return cell;
  }

  cellAt(at, number) {
    const spec = this.specs[at];
    const value = cellOf(this.columns[at], number);
    const cell = make("div", "cell " + spec.kind);
    cell.setAttribute("role", "gridcell");
    const text = human(value, spec.kind);
    if (spec.kind === "severity" || spec.kind === "tier") {
      const word = make("span", spec.kind === "severity" ? "dot" : "", text === "none" ? "" : text);
      word.dataset.word = value;
      cell.append(word);
    } else {
      cell.textContent = spec.name === "chain" ? chainWord(text) : text;
      if (spec.name === "chain" || ["amount", "prose", "id", "verdict"].includes(spec.kind)) cell.title = exact(value, spec.kind);
    }
    return cell;
  }

  key(event) {
    if (event.target !== this.box) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW_HEIGHT) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      this.move(Math.min(this.order.length - 1, Math.max(0, this.active + moves[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && this.active >= 0) {
      this.open(this.active);
    } else if (event.key === "x" && this.active >= 0 && this.picks) {
      this.picks.toggle(this.order[this.active]);
    } else {
      return;
    }
    event.preventDefault();
  }

  move(place) {
    this.active = place;
    const top = place * ROW_HEIGHT;
    const inside = this.box.clientHeight - 2 * ROW_HEIGHT;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top > this.box.scrollTop + inside) this.box.scrollTop = top - inside;
    this.draw();
  }

  open(place) {
    if (place < 0 || place >= this.order.length) return;
    this.active = place;
    this.opened = this.order[place];
    this.draw();
    this.onOpen(this.opened);
    this.onChange("");
  }

  // A row by its number: in view where it is listed, and open in any case.
  reveal(number) {
    const place = this.order.indexOf(number);
    if (place >= 0) this.move(place);
    this.opened = number;
    this.draw();
    this.onOpen(number);
  }

  close() {
    this.opened = -1;
    this.draw();
    this.onChange("");
  }

  // What narrows the rows, in words, for the printed page.
  narrowed() {
    const said = [...this.filters].map(([at, word]) => `${this.specs[at].label}: ${word || "(empty)"}`);
    if (this.needle) said.push(`search: ${this.needle}`);
    return said.join("; ");
  }

  print(into) {
    const table = make("table", "rows");
    const headRow = make("tr");
    const isPicked = this.picks && this.picks.chosen.size > 0;
    if (isPicked) headRow.append(make("th", "tier", "picked"));
    this.shown.forEach((at) => headRow.append(make("th", this.specs[at].kind, this.specs[at].label)));
    const head = make("thead");
    head.append(headRow);
    const body = make("tbody");
    for (const number of this.order.slice(0, PRINTED_ROWS)) {
      const row = make("tr");
      if (isPicked) row.append(make("td", "", this.picks.chosen.has(number) ? "yes" : ""));
      for (const at of this.shown) {
        const cell = make("td", this.specs[at].kind, human(cellOf(this.columns[at], number), this.specs[at].kind));
        row.append(cell);
      }
      body.append(row);
    }
    table.append(head, body);
    const rest = this.order.length - PRINTED_ROWS;
    const narrowed = this.narrowed();
    into.replaceChildren(make("p", "note", `${this.order.length.toLocaleString("en")} of ${this.rows.toLocaleString("en")} rows${narrowed ? ", " + narrowed : ""}.`));
    if (this.sums && this.order.length) into.append(this.sums.sums.table(this.sums.sums.of(this.order)));
    into.append(table);
    if (rest > 0) into.append(make("p", "note", `${rest.toLocaleString("en")} more rows are not printed; filter first to print others.`));
  }
}
