// One payment: what each side says, what would be changed, the evidence, and a timeline in UTC.

class Details {
  constructor(grid, box) {
    this.grid = grid;
    this.box = box;
    this.more = null;
  }

  async load() {
    if (!this.more) {
      this.more = await unpack("more");
      this.byRow = new Map();
      const rows = this.more.events.row || [];
      rows.forEach((row, at) => {
        if (!this.byRow.has(row)) this.byRow.set(row, []);
        this.byRow.get(row).push(at);
      });
    }
    return this.more;
  }

  async open(row) {
    this.asked = row;
    const more = await this.load();
    if (this.asked !== row) return;
    const detail = more.details[row] || {};
    this.box.replaceChildren(this.header(row));
    this.sides(detail.fields || []);
    this.change(detail);
    this.timeline(row);
    this.list("Evidence", detail.evidence);
    this.table("Written only if", ["path", "must still be"], detail.guard);
    this.list("What the change makes possible, and what will not happen", detail.effects);
    this.facts(row);
    this.box.hidden = false;
    this.box.scrollTop = 0;
    // On a narrow screen it lies below the table: what was tapped must open in view.
    if (matchMedia("(max-width: 900px)").matches) this.box.scrollIntoView({ block: "start" });
    this.grid.later();
  }

  close() {
    this.asked = -1;
    this.box.hidden = true;
    this.grid.close();
    this.grid.box.focus({ preventScroll: true });
  }

  header(row) {
    const part = document.createDocumentFragment();
    const head = make("header");
    const first = this.grid.specs.findIndex((spec) => spec.kind === "id");
    const close = make("button", "", "Close");
    close.type = "button";
    close.id = "close";
    close.addEventListener("click", () => this.close());
    head.append(make("h3", "", cellOf(this.grid.columns[Math.max(first, 0)], row)), close);
    const verdict = make("p", "verdict", [this.grid.cell(row, "verdict"), this.grid.cell(row, "tier")].filter(Boolean).join(", "));
    verdict.dataset.word = this.grid.cell(row, "severity");
    part.append(head, verdict, make("p", "reason", this.grid.cell(row, "reason")));
    return part;
  }

  title(text) { this.box.append(make("h4", "", text)); }

  table(title, names, rows) {
    if (!rows || !rows.length) return null;
    this.title(title);
    const table = make("table");
    const head = make("tr");
    names.forEach((name) => head.append(make("th", "", name)));
    table.append(head);
    for (const cells of rows) {
      const line = make("tr");
      cells.forEach((cell, at) => line.append(make("td", at ? "mono" : "", cell)));
      table.append(line);
    }
    this.box.append(table);
    return table;
  }

  sides(fields) {
    const table = this.table("What each side says", ["field", "our record", "provider", "chain"], fields);
    if (!table) return;
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
      if (event.tx) item.append(make("span", "mono", event.tx));
      list.append(item);
    }
    this.box.append(list);
  }

  list(title, entries) {
    if (!entries || !entries.length) return;
    this.title(title);
    const list = make("ul", "mono");
    entries.forEach((entry) => list.append(make("li", "", entry)));
    this.box.append(list);
  }

  facts(row) {
    const rows = this.grid.specs
      .map((spec, at) => [spec.label, human(cellOf(this.grid.columns[at], row), spec.kind), spec])
      .filter(([, text, spec]) => text && !["reason", "age_band"].includes(spec.name))
      .map(([label, text]) => [label, text]);
    this.table("Everything in the row", ["field", "value"], rows);
  }
}
