// What is filtered, sorted and opened, in the part of the page's address behind #: it survives a reload, can be handed
// on, and the back button goes a step back. What stands there is outside text: words that are not known do nothing.

const ADDRESS_LETTERS = 4000;
const NEEDLE_LETTERS = 200;

class PageAddress {
  constructor(grid, details) {
    this.grid = grid;
    this.details = details;
    this.isApplying = false;
    this.wasTyping = false;
    this.applied = "";
    this.note = document.getElementById("missed");
    grid.onChange = (how) => this.write(how);
    details.onChange = () => this.write("");
    window.addEventListener("popstate", () => this.apply());
    window.addEventListener("hashchange", () => this.apply());
  }

  // The state as one text; a page as it was made has none.
  text() {
    const { grid } = this;
    const said = new URLSearchParams();
    for (const [at, word] of grid.filters) said.append(grid.specs[at].name, word);
    if (grid.needle) said.append("search", grid.needle);
    if (grid.sort.column >= 0) said.append("sort", (grid.sort.down ? "-" : "") + grid.specs[grid.sort.column].name);
    if (grid.opened >= 0) said.append("payment", grid.nameOf(grid.opened));
    return said.toString();
  }

  of(row) { return "#" + new URLSearchParams([["payment", this.grid.nameOf(row)]]).toString(); }

  write(how) {
    if (this.isApplying) return;
    this.note.hidden = true;
    const text = this.text();
    if (text === location.hash.slice(1)) return;
    const isSame = how === "typed" && this.wasTyping;
    this.wasTyping = how === "typed";
    try {
      history[isSame ? "replaceState" : "pushState"](null, "", text ? "#" + text : location.pathname + location.search);
    } catch { /* a page inside another may not: then it has no address, and works */ }
  }

  read() {
    const text = location.hash.slice(1);
    if (text.length > ADDRESS_LETTERS) return new Map();
    return text === "" || text.includes("=") ? new Map(new URLSearchParams(text)) : null;
  }

  apply() {
    const said = this.read();
    if (said === null) { this.keep(); return; }
    if (this.text() === location.hash.slice(1) || this.applied === location.hash + "\n" + this.text()) return;
    this.isApplying = true;
    const payment = said.get("payment");
    const row = payment === undefined ? -1 : this.grid.rowNamed(payment);
    this.grid.show({ filters: said, needle: (said.get("search") || "").slice(0, NEEDLE_LETTERS), sort: said.get("sort") || "" });
    if (row >= 0) this.grid.reveal(row);
    else if (!this.details.box.hidden) this.details.close();
    this.note.hidden = payment === undefined || row >= 0;
    this.note.textContent = this.note.hidden ? "" : "The payment that the link names is not on this page.";
    this.isApplying = false;
    this.applied = location.hash + "\n" + this.text();
  }

  // A jump to a part of the page keeps what is filtered in the address.
  keep() {
    const text = this.text();
    try { if (text) history.replaceState(null, "", "#" + text); } catch { /* as above */ }
  }
}
