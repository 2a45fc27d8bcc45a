// One payment: what each side says, what would be changed, the evidence, and a timeline in UTC.

class Details {
  constructor(grid, box, explorers) {
    this.grid = grid;
    this.box = box;
    this.explorers = explorers;
    this.onChange = () => {};
    this.more = null;
  }

  // Unpacked once, however many ask for it while it is on its way.
  load() {
    this.loading = this.loading || this.read();
    return this.loading;
  }

  async read() {
    this.more = await unpack("more");
    this.byRow = new Map();
    const rows = this.more.events.row || [];
    rows.forEach((row, at) => {
      if (!this.byRow.has(row)) this.byRow.set(row, []);
      this.byRow.get(row).push(at);
    });
    return this.more;
  }

  async open(row) {
    this.asked = row;
    const more = await this.load();
    if (this.asked !== row) return;
    const detail = more.details[row] || {};
    this.box.replaceChildren(this.header(row));
    this.chain = this.grid.cell(row, "chain");
    this.sides(detail.fields || []);
    this.change(detail);
    this.list("Decided in a sheet (names are claims)", detail.notes, "");
    this.timeline(row);
    this.list("Evidence", detail.evidence);
    this.table("Written only if", ["path", "must still be"], detail.guard);
    this.list("What the change makes possible, and what will not happen", detail.effects);
    this.facts(row);
    this.box.hidden = false;
    this.box.dataset.row = String(row);
    this.box.scrollTop = 0;
    // On a narrow screen it lies below the table: what was tapped must open in view.
    if (matchMedia("(max-width: 900px)").matches) this.box.scrollIntoView({ block: "start" });
    this.grid.later();
  }

  close() {
    this.asked = -1;
    this.box.hidden = true;
    this.grid.close();
    this.onChange();
    this.grid.box.focus({ preventScroll: true });
  }

  header(row) {
    const part = document.createDocumentFragment();
    const head = make("header");
    const close = make("button", "", "Close");
    close.type = "button";
    close.id = "close";
    close.addEventListener("click", () => this.close());
    head.append(make("h3", "", this.grid.nameOf(row)), close);
    const verdict = make("p", "verdict", [this.grid.cell(row, "verdict"), this.grid.cell(row, "tier")].filter(Boolean).join(", "));
    verdict.dataset.word = this.grid.cell(row, "severity");
    part.append(head, verdict, make("p", "reason", this.grid.cell(row, "reason")), this.actions(row));
    return part;
  }

  // A link to this payment alone, to copy or to keep, and its pick.
  actions(row) {
    const part = make("p", "actions");
    const link = make("a", "", "Link to this payment");
    link.href = this.linkOf ? this.linkOf(row) : "#";
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      link.textContent = (await copyText(link.href)) ? "Link copied" : "Link: copy it from the menu of this word";
    });
    part.append(link);
    const { picks } = this.grid;
    if (picks && picks.has(row)) {
      const label = make("label");
      const box = make("input");
      box.type = "checkbox";
      box.checked = picks.chosen.has(row);
      box.addEventListener("change", () => picks.set([row], box.checked));
      label.append(box, " Pick it");
      part.append(label);
    }
    return part;
  }

  title(text) { this.box.append(make("h4", "", text)); }

  table(title, names, rows, fill = (cells, at) => cells[at]) {
    if (!rows || !rows.length) return null;
    this.title(title);
    const table = make("table");
    const head = make("tr");
    names.forEach((name) => head.append(make("th", "", name)));
    table.append(head);
    for (const cells of rows) {
      const line = make("tr");
      cells.slice(0, names.length).forEach((_, at) => {
        const cell = make("td", at ? "mono" : "");
        cell.dataset.label = names[at];
        cell.append(fill(cells, at));
        line.append(cell);
      });
      table.append(line);
    }
    this.box.append(table);
    return table;
  }

  sides(fields) {
    fields = fields.filter((cells) => cells.slice(1).some(Boolean));
    const seen = fields.find((cells) => cells[0] === "network");
    const chains = [this.chain, this.chain, (seen && seen[3] && this.explorers.nameOf(seen[3])) || (seen && seen[3] ? "" : this.chain)];
    const kinds = { tx_hash: "tx", recipient: "address", token: "address" };
    const fill = (cells, at) => (at && kinds[cells[0]] ? this.explorers.words(chains[at - 1], kinds[cells[0]], cells[at]) : cells[at]);
    const table = this.table("What each side says", ["field", "our record", "provider", "chain"], fields, fill);
    if (!table) return;
    table.classList.add("sides");
    fields.forEach((cells, at) => {
      const said = cells.slice(1).filter(Boolean);
      const numbers = cells[0] === "amount" ? said.map((text) => text.split(" ")[0]) : said;
      if (cells[0] !== "status" && new Set(numbers).size > 1) {
        [...table.rows[at + 1].cells].slice(1).forEach((cell) => { if (cell.textContent) cell.classList.add("differs"); });
      }
    });
  }

  change(detail) {
    if (detail.sets) {
      this.title(`Change ${detail.change}, ${detail.change_tier}`);
      const list = make("ul");
      for (const [path, before, after] of detail.sets) {
        const item = make("li", "", path + ": ");
        item.append(make("span", "change-before", before), document.createTextNode(" to "), make("span", "change-after", after));
        list.append(item);
      }
      this.box.append(list);
    }
    if (detail.left) {
      this.title("Left alone because");
      this.box.append(make("p", "", detail.left));
    }
  }

  timeline(row) {
    const { events } = this.more;
    const found = (this.byRow.get(row) || []).map((at) => ({
      at: events.at[at], side: cellOf(events.side, at), text: cellOf(events.text, at), tx: cellOf(events.tx, at),
      chain: events.chain ? cellOf(events.chain, at) : "",
    }));
    const own = [["created_at", "payment was made"], ["updated_at", "record was last changed"], ["expires_at", "payment expires"]];
    for (const [name, text] of own) {
      const at = this.grid.number(name) < 0 ? null : this.grid.cell(row, name);
      if (at !== null && at !== "") found.push({ at, side: "our record", text, tx: "" });
    }
    if (!found.length) return;
    found.sort((a, b) => (a.at === null ? Infinity : a.at) - (b.at === null ? Infinity : b.at));
    this.title("Timeline, UTC");
    const list = make("ol", "timeline");
    for (const event of found) {
      const item = make("li");
      item.dataset.side = event.side;
      item.append(make("time", "", event.at === null ? "time not known" : timeText(event.at)), make("span", "side", event.side),
        make("div", "", event.text));
      if (event.tx) {
        const tx = make("span", "mono");
        tx.append(this.explorers.onChain(event.chain, "tx", event.tx));
        item.append(tx);
      }
      list.append(item);
    }
    this.box.append(list);
  }

  list(title, entries, look = "mono") {
    if (!entries || !entries.length) return;
    this.title(title);
    const list = make("ul", look);
    entries.forEach((entry) => {
      const item = make("li");
      item.append(title === "Evidence" ? this.explorers.evidence(entry) : entry);
      list.append(item);
    });
    this.box.append(list);
  }

  facts(row) {
    const rows = this.grid.specs
      .map((spec, at) => [spec.label, exact(cellOf(this.grid.columns[at], row), spec.kind), spec])
      .filter(([, text, spec]) => text && !["reason", "age_band"].includes(spec.name))
      .map(([label, text, spec]) => [label, text, spec.name]);
    const kinds = { tx_hash: "tx", recipient: "address", token: "address" };
    const fill = (cells, at) => (at && kinds[cells[2]] ? this.explorers.onChain(this.chain, kinds[cells[2]], cells[at]) : cells[at]);
    this.table("Everything in the row", ["field", "value"], rows, fill);
  }
}
