// Pages of explorers. Only a hash or an address in its one form is put into an address that the report itself names,
// and only behind http or https: no text of a payment can steer a link.

const HASH_FORM = /^0x[0-9a-f]{64}$/;
const ADDRESS_FORM = /^0x[0-9a-f]{40}$/;
const TRON_FORM = /^T[1-9A-HJ-NP-Za-km-z]{33}$/;
const TRANSFER_FORM = /^((?:other )?(?:transfer|refund) )(\d{1,18}):(0x[0-9a-f]{64})(:\d+)$/;

class Explorers {
  constructor(known) {
    this.byName = new Map(Object.entries(known || {}));
    this.byId = new Map([...this.byName].map(([, each]) => [each.id, each]));
  }

  fill(explorer, kind, text) {
    if (!explorer || !explorer[kind]) return "";
    const fits = kind === "tx" ? HASH_FORM : explorer.tron ? TRON_FORM : ADDRESS_FORM;
    if (!fits.test(text)) return "";
    const word = kind === "tx" && explorer.tron ? text.slice(2) : text;
    const page = explorer[kind].replace(kind === "tx" ? "{hash}" : "{address}", () => word);
    return /^https?:\/\//.test(page) ? page : "";
  }

  // A text as a link to its page, or as it is where it has none.
  link(explorer, kind, text) {
    const page = this.fill(explorer, kind, text);
    if (!page) return document.createTextNode(text);
    const node = make("a", "outside", text);
    node.href = page;
    node.target = "_blank";
    node.rel = "noopener noreferrer";
    return node;
  }

  onChain(chain, kind, text) { return this.link(this.byName.get(chain), kind, text); }

  // What may hold several hashes, each a link of its own.
  words(chain, kind, text) {
    const part = document.createDocumentFragment();
    text.split(" ").forEach((word, at) => part.append(at ? " " : "", this.onChain(chain, kind, word)));
    return part;
  }

  evidence(text) {
    const found = TRANSFER_FORM.exec(text);
    if (!found) return document.createTextNode(text);
    const part = document.createDocumentFragment();
    part.append(found[1] + found[2] + ":", this.link(this.byId.get(found[2]), "tx", found[3]), found[4]);
    return part;
  }

  nameOf(id) { return [...this.byName].find(([, each]) => each.id === id)?.[0] || ""; }
}
