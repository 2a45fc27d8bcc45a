// Sums by token and chain of the rows that are shown, exact: decimal text becomes whole numbers of any length.

const AMOUNT_IN_PROSE = /(?<![\w.,-])\d{1,60}\.\d{1,60}(?= (?:of \d{1,60}(?:\.\d{1,60})? )?[A-Z][A-Z0-9]{2,11}(?:\.e)?\b)/g;
const AMOUNT_FORM = /^(-?)(\d{1,90})(?:\.(\d{1,90}))? (\S.*)$/s;
const NAMED_SUMS = 3;

// Whole number of the last decimal place back to text, without zeros that say nothing.
function decimalText(units, scale) {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const rest = digits.slice(digits.length - scale).replace(/0+$/, "");
  return sign + whole + (rest ? "." + rest : "");
}

class Sums {
  constructor(grid) {
    this.grid = grid;
    this.columns = grid.specs.map((spec, at) => at).filter((at) => grid.specs[at].kind === "amount" && !grid.specs[at].hidden);
    this.parsed = null;
  }

  // Every amount once: its group and its units at the group's finest scale. Rows of one token on one chain are a group.
  parse() {
    if (this.parsed) return this.parsed;
    const groups = [];
    const numbers = new Map();
    const chainAt = this.grid.number("chain");
    const tokenAt = this.grid.number("token");
    const nameOf = (at, row) => (at < 0 ? "" : cellOf(this.grid.columns[at], row));
    const read = this.columns.map((at) => {
      const column = this.grid.columns[at];
      const group = new Int32Array(this.grid.rows).fill(-1);
      const parts = new Array(this.grid.rows);
      for (let row = 0; row < this.grid.rows; row += 1) {
        const found = AMOUNT_FORM.exec(cellOf(column, row));
        if (!found) continue;
        const [, sign, whole, rest = "", symbol] = found;
        const chain = nameOf(chainAt, row);
        const token = nameOf(tokenAt, row);
        const key = `${symbol}\u0001${chain}\u0001${token}`;
        let number = numbers.get(key);
        if (number === undefined) {
          number = groups.length;
          numbers.set(key, number);
          groups.push({ symbol, chain, token, scale: 0 });
        }
        group[row] = number;
        parts[row] = sign + whole + "." + rest;
        if (rest.length > groups[number].scale) groups[number].scale = rest.length;
      }
      return { at, group, parts, units: parts };
    });
    for (const each of read) {
      each.units = each.parts.map((text, row) => {
        const dot = text.indexOf(".");
        return BigInt(text.slice(0, dot) + text.slice(dot + 1).padEnd(groups[each.group[row]].scale, "0"));
      });
    }
    this.parsed = { groups, read };
    return this.parsed;
  }

  // Rows, by token and chain: how many, and the exact sum of every column; most rows first.
  of(rows) {
    const { groups, read } = this.parse();
    const found = new Map();
    for (const row of rows) {
      const inRow = new Set();
      for (let place = 0; place < read.length; place += 1) {
        const number = read[place].group[row];
        if (number < 0) continue;
        let sum = found.get(number);
        if (!sum) {
          sum = { ...groups[number], count: 0, units: read.map(() => 0n) };
          found.set(number, sum);
        }
        sum.units[place] += read[place].units[row];
        if (!inRow.has(number)) { inRow.add(number); sum.count += 1; }
      }
    }
    return [...found.values()].sort((a, b) => b.count - a.count || (a.symbol < b.symbol ? -1 : 1));
  }

  texts(sum) { return sum.units.map((units) => grouped(decimalText(units, sum.scale))); }

  // One line: the first column's sums that are not zero, named.
  line(sums) {
    const told = sums.filter((sum) => sum.units[0] !== 0n);
    const named = told.slice(0, NAMED_SUMS).map((sum) => `${shortAmount(this.texts(sum)[0])} ${sum.symbol}${sum.chain ? " on " + chainWord(sum.chain) : ""}`);
    if (told.length > NAMED_SUMS) named.push(`${told.length - NAMED_SUMS} more`);
    return named.join(", ");
  }

  table(sums) {
    const table = make("table");
    const head = make("tr");
    const hasChain = sums.some((sum) => sum.chain);
    const names = ["token", ...(hasChain ? ["chain"] : []), "rows", ...this.columns.map((at) => this.grid.specs[at].label)];
    names.forEach((name, at) => {
      const cell = make("th", at > (hasChain ? 1 : 0) ? "amount" : "", name);
      cell.scope = "col";
      head.append(cell);
    });
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    for (const sum of sums) {
      const row = make("tr");
      const token = make("td", "", sum.symbol);
      if (sum.token) token.title = sum.token;
      row.append(token);
      if (hasChain) row.append(make("td", "", sum.chain));
      row.append(make("td", "count", sum.count.toLocaleString("en")));
      this.texts(sum).forEach((text) => row.append(make("td", "amount", text)));
      body.append(row);
    }
    table.append(top, body);
    return table;
  }
}

// Thousands apart, two decimals or as many as matter, cut and never rounded up; as recon.reports.text.short_amount does.
function shortAmount(text) {
  const found = /^(-?)([\d,]+)(?:\.(\d+))?( .*)?$/s.exec(text);
  if (!found || /^ (base )?units/.test(found[4] || "")) return grouped(text);
  const [, sign, digits, decimals = "", symbol = ""] = found;
  const whole = digits.replaceAll(",", "");
  const fraction = decimals.replace(/0+$/, "");
  if (!fraction && !/[1-9]/.test(whole)) return grouped(text);
  const zeros = fraction.length - fraction.replace(/^0+/, "").length;
  const kept = /[1-9]/.test(whole) || zeros < 2 ? 2 : zeros + 2;
  return grouped(sign + whole + "." + fraction.slice(0, kept).padEnd(2, "0") + symbol);
}

// Prose with its amounts short; whole where two of them would look the same and are not.
function shortAmounts(text) {
  const given = new Set(text.match(AMOUNT_IN_PROSE) || []);
  if (new Set([...given].map(shortAmount)).size < given.size) return text;
  return text.replace(AMOUNT_IN_PROSE, shortAmount);
}

class SumsBox {
  constructor(grid) {
    this.sums = new Sums(grid);
    this.grid = grid;
    this.box = document.getElementById("sums");
    this.line = this.box.querySelector(".sums-line");
    this.into = this.box.querySelector("div");
    this.box.hidden = !this.sums.columns.length;
    this.waiting = 0;
  }

  // The table is drawn first; its sums follow when the browser has a moment.
  later() {
    clearTimeout(this.waiting);
    if (!this.box.hidden) this.waiting = setTimeout(() => this.show(), 0);
  }

  show() {
    clearTimeout(this.waiting);
    const sums = this.sums.of(this.grid.order);
    const [first] = this.sums.columns;
    this.line.textContent = `Sum of what is shown, ${this.grid.specs[first].label}: ${this.sums.line(sums) || "nothing"}`;
    this.into.replaceChildren(...(sums.length ? [this.sums.table(sums)] : []));
    this.box.dataset.version = String(this.grid.version);
  }
}
