// Rows that a person picks, and the list or the command that hands them to "recon select".

const LINE_PAYMENTS = 200;
const SAFE_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/;

function shellWord(text) { return SAFE_WORD.test(text) ? text : "'" + text.replace(/'/g, "'\\''") + "'"; }

class Picks {
  constructor(head, rows, grid) {
    this.grid = grid;
    this.head = head;
    this.words = new Map(rows.rows.map((row, at) => [row, rows.words[at] || grid.cell(row, "payment_id")]));
    this.chosen = new Set();
    this.box = document.getElementById("picks");
    this.text = this.box.querySelector("p");
    this.out = this.box.querySelector("textarea");
    this.box.hidden = false;
    this.key = "recon " + head.name;
    this.on("pick-shown", () => this.set(this.shown(), true));
    this.on("pick-none", () => this.set([...this.chosen], false));
    this.on("pick-line", () => this.showLine());
    this.on("pick-file", () => this.saveFile());
    this.recall();
    this.tell();
  }

  on(id, act) { document.getElementById(id).addEventListener("click", act); }

  has(row) { return this.words.has(row); }

  shown() { return [...this.grid.order].filter((row) => this.words.has(row)); }

  toggle(row) { if (this.has(row)) this.set([row], !this.chosen.has(row)); }

  set(rows, isChosen) {
    rows.forEach((row) => (isChosen ? this.chosen.add(row) : this.chosen.delete(row)));
    this.remember();
    this.tell();
    this.grid.redraw();
  }

  // In the order of the page, so that the same picks give the same bytes however they were picked.
  list() { return [...this.chosen].sort((a, b) => a - b).map((row) => this.words.get(row)); }

  line() { return [this.head.command, ...this.list().map((word) => "--payment " + shellWord(word))].join(" "); }

  fileLine() { return `${this.head.command} --list-file ${this.head.name}`; }

  file() { return [`# ${this.head.head}`, `# ${this.fileLine()}`, ...this.list(), ""].join("\n"); }

  tell() {
    const count = this.chosen.size;
    const sums = count && this.grid.sums ? this.grid.sums.sums.line(this.grid.sums.sums.of([...this.chosen])) : "";
    this.text.textContent = count ? `${count.toLocaleString("en")} picked${sums ? ": " + sums : ""}` : "Nothing picked";
    const shown = this.shown().filter((row) => !this.chosen.has(row)).length;
    const pick = document.getElementById("pick-shown");
    pick.textContent = shown ? `Pick the ${shown.toLocaleString("en")} shown that have a change` : "Pick what is shown";
    pick.disabled = !shown;
    ["pick-none", "pick-file"].forEach((id) => { document.getElementById(id).disabled = !count; });
    document.getElementById("pick-line").disabled = !count || count > LINE_PAYMENTS;
    this.out.hidden = true;
    this.out.value = "";
  }

  show(text) {
    this.out.value = text;
    this.out.hidden = false;
  }

  async showLine() {
    this.show(this.line());
    const isCopied = await copyText(this.line());
    this.text.textContent += isCopied ? ". Copied." : ". Copy the line below.";
  }

  saveFile() {
    const link = make("a");
    const address = URL.createObjectURL(new Blob([this.file()], { type: "text/plain" }));
    link.href = address;
    link.download = this.head.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
    this.show(this.fileLine());
    this.text.textContent += ". Saved; the line below takes the file.";
  }

  // A reload of the tab keeps what was picked; another tab or another plan does not see it.
  remember() {
    try { sessionStorage.setItem(this.key, JSON.stringify(this.list())); } catch { /* not allowed here: then not kept */ }
  }

  recall() {
    let kept = [];
    try { kept = JSON.parse(sessionStorage.getItem(this.key) || "[]"); } catch { kept = []; }
    const wanted = new Set(Array.isArray(kept) ? kept : []);
    this.words.forEach((word, row) => { if (wanted.has(word)) this.chosen.add(row); });
  }
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
