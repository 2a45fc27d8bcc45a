// Puts the parts together: theme, keys, print.

async function start() {
  const root = document.documentElement;
  const head = JSON.parse(document.getElementById("head").textContent);
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let grid = null;
  let details = null;
  let charts = null;
  const themeButton = document.getElementById("theme");
  const setTheme = (name) => {
    root.dataset.theme = name;
    themeButton.textContent = name === "dark" ? "Light" : "Dark";
    if (charts) charts.repaint();
  };
  setTheme(prefersDark.matches ? "dark" : "light");
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  prefersDark.addEventListener("change", () => setTheme(prefersDark.matches ? "dark" : "light"));
  const printButton = document.getElementById("print");
  printButton.hidden = false;
  printButton.addEventListener("click", () => window.print());

  if (head.grid) {
    const data = await unpack("rows");
    grid = new Grid(head.grid, data, (row) => details.open(row));
    details = new Details(grid, document.getElementById("details"), new Explorers(head.grid.explorers));
    grid.sums = new SumsBox(grid);
    if (data.picks) grid.picks = new Picks(head.grid.picks, data.picks, grid);
    const address = new PageAddress(grid, details);
    details.linkOf = (row) => address.of(row);
    grid.redraw();
    address.apply();
    grid.sums.later();
  }
  performance.mark("rows shown");
  if (head.charts.length) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    charts = new Charts(head.charts, (name, word) => Boolean(grid) && grid.filterBy(name, word));
  }
  document.addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
    if (event.key === "/" && grid && !typing) { grid.search.focus(); event.preventDefault(); }
    if (event.key === "Escape" && details && !details.box.hidden) details.close();
  });
  let themeBefore = root.dataset.theme;
  window.addEventListener("beforeprint", () => {
    themeBefore = root.dataset.theme;
    setTheme("light");
    if (grid) grid.print(document.getElementById("printed"));
    if (charts) charts.print();
  });
  window.addEventListener("afterprint", () => {
    if (grid) document.getElementById("printed").replaceChildren();
    if (charts) charts.printed();
    setTheme(themeBefore);
  });
  root.dataset.ready = "yes";
}

start();
