// Pictures, drawn as SVG by Apache ECharts. Tooltips are drawn as text too, never as markup.

const SERIES_COLOURS = {
  light: ["#2456c9", "#0c8f8f", "#b7860b", "#a03a9a", "#5b6879", "#2f8f46", "#c2410c", "#6d5bd0"],
  dark: ["#7aa2ff", "#45c5c5", "#e8c04a", "#dd86d6", "#9aa7b8", "#6fce86", "#ff9350", "#a99bff"],
};
// The names beside an axis may take all but a fifth of the picture, so that none is cut.
const wholeLabels = { outerBoundsMode: "same", outerBoundsContain: "axisLabel", outerBoundsClampWidth: "20%", outerBoundsClampHeight: "20%" };
const SIDE_COLOURS = ["--accent", "--medium", "--good"];

function ink(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function baseOption() {
  const dark = document.documentElement.dataset.theme === "dark";
  return {
    animation: false, useUTC: true, color: SERIES_COLOURS[dark ? "dark" : "light"],
    textStyle: { color: ink("--ink"), fontFamily: "system-ui, sans-serif" },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: ink("--sheet"), borderColor: ink("--line"),
      textStyle: { color: ink("--ink"), fontSize: 12 },
    },
    legend: { top: 0, left: 0, type: "scroll", textStyle: { color: ink("--soft"), fontSize: 11 }, itemWidth: 12, itemHeight: 10,
      pageTextStyle: { color: ink("--soft") }, pageIconColor: ink("--accent") },
    grid: { left: 4, right: 18, top: 30, bottom: 4, ...wholeLabels },
  };
}

function axis(kind, more) {
  return {
    type: kind, axisLabel: { color: ink("--soft"), fontSize: 11, hideOverlap: true }, axisLine: { lineStyle: { color: ink("--line") } },
    axisTick: { show: false }, splitLine: { show: kind !== "category", lineStyle: { color: ink("--faint") } }, ...more,
  };
}

function severityColour(name) { return SEVERITIES.includes(name) && name ? { color: ink("--" + name) } : undefined; }

const OPTIONS = {
  bars({ data }) {
    const stack = data.series.map((each) => ({ type: "bar", stack: "all", name: each.name, data: each.values, barMaxWidth: 16 }));
    return { xAxis: axis("value", { minInterval: 1 }), yAxis: axis("category", { data: data.categories, inverse: true, axisLabel: { color: ink("--ink"), fontSize: 11, interval: 0 } }), series: stack };
  },
  columns({ data }) {
    const stack = data.series.map((each) => ({
      type: "bar", stack: "all", name: each.name, data: each.values, barMaxWidth: 54, itemStyle: severityColour(each.name),
    }));
    return { xAxis: axis("category", { data: data.categories, axisLabel: { color: ink("--soft"), fontSize: 10, interval: 0, width: 58, overflow: "break", lineHeight: 12 } }), yAxis: axis("value", { minInterval: 1 }), grid: { ...baseOption().grid, bottom: 14 }, series: stack };
  },
  money({ data }) {
    const series = data.series.map((each, at) => ({
      type: "bar", name: each.name, barMaxWidth: 11, data: each.values.map(Number),
      itemStyle: { color: ink(each.colour ? "--" + each.colour : at ? "--accent" : "--high") },
      label: { show: true, position: "right", color: ink("--soft"), fontSize: 10, formatter: ({ dataIndex }) => shortAmount(each.texts[dataIndex]) },
    }));
    const option = { xAxis: axis("value", { axisLabel: { show: false }, splitLine: { show: false } }), yAxis: axis("category", { data: data.categories, inverse: true, axisLabel: { color: ink("--ink"), fontSize: 11, interval: 0 } }), series };
    option.grid = { left: 4, right: 112, top: 30, bottom: 4, ...wholeLabels };
    option.tooltip = { ...baseOption().tooltip, formatter: ({ seriesIndex, dataIndex, name }) => `${name}\n${data.series[seriesIndex].name}: ${data.series[seriesIndex].texts[dataIndex]}` };
    return option;
  },
  flow({ data }) {
    const side = (name) => data.sides.findIndex((each) => name.startsWith(each + ": "));
    const short = (name) => name.slice(data.sides[side(name)].length + 2);
    return {
      legend: { show: false },
      graphic: data.sides.map((name, at) => ({ type: "text", top: 4, silent: true, ...[{ left: 4 }, { left: "center" }, { right: 4 }][at],
        style: { text: name, fill: ink("--soft"), fontSize: 11 } })),
      series: [{
        type: "sankey", left: 4, right: 170, top: 26, bottom: 10, nodeGap: 11, nodeWidth: 13, emphasis: { focus: "adjacency" },
        data: data.nodes.map((name) => ({ name, depth: side(name), itemStyle: { color: ink(SIDE_COLOURS[side(name)]) } })),
        links: data.links.map((link) => ({ source: link.from, target: link.to, value: link.value })),
        lineStyle: { color: "gradient", opacity: 0.28 },
        label: { color: ink("--ink"), fontSize: 11, formatter: ({ name }) => short(name), overflow: "break", width: 160 },
      }],
    };
  },
  time({ data }) {
    const isPoint = (values) => values.filter((value) => value !== null).length < 2;
    const series = data.series.map((each, at) => ({
      type: "line", name: each.name, showSymbol: isPoint(each.values), symbolSize: 8, step: "middle", lineStyle: { width: 1.6 }, areaStyle: { opacity: at ? 0.05 : 0.14 },
      data: each.values.map((count, number) => [data.start_ms + number * data.step_ms, count]),
    }));
    if (data.gaps.length) {
      series[0].markArea = {
        silent: true, itemStyle: { color: ink("--loud"), opacity: 0.16 },
        data: data.gaps.map((gap) => [{ xAxis: gap.from }, { xAxis: gap.to }]),
      };
    }
    return { xAxis: axis("time", { axisLabel: { color: ink("--soft"), fontSize: 11, hideOverlap: true, formatter: { day: "{d} {MMM}" } } }), yAxis: axis("value", { minInterval: 1 }), series, tooltip: { ...baseOption().tooltip, trigger: "axis" } };
  },
  depth({ data }) {
    const colours = ["--high", "--medium", "--good"];
    const series = data.series.map((each, at) => ({
      type: "bar", name: each.name, barMaxWidth: 12, itemStyle: { color: ink(colours[at]) }, data: each.values.map((count) => count || null),
      label: { show: true, position: "right", color: ink("--soft"), fontSize: 10 }, barGap: data.overlaid ? "-100%" : undefined,
    }));
    const option = { xAxis: axis("log", { min: 0.5, axisLabel: { color: ink("--soft"), fontSize: 11, formatter: (count) => (count < 1 ? "" : String(count)) } }), yAxis: axis("category", { data: data.categories, inverse: true, axisLabel: { color: ink("--ink"), fontSize: 11, interval: 0 } }), series };
    option.grid = { left: 4, right: 46, top: 30, bottom: 4, ...wholeLabels };
    return option;
  },
  lanes({ data }) {
    const seen = data.lanes.map((_, lane) => ({
      type: "scatter", symbolSize: 13, data: data.points.filter((each) => each.lane === lane).map((each) => ({ value: [each.at, data.lanes[lane]], text: each.text })),
    }));
    const times = [data.now, ...data.points.map((each) => each.at)];
    const [first, last] = [Math.min(...times), Math.max(...times)];
    const margin = Math.max(60000, (last - first) * 0.03);
    seen[0].markLine = { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: ink("--loud"), type: "dashed" }, data: [{ xAxis: data.now }] };
    const tooltip = { ...baseOption().tooltip, formatter: ({ data: point }) => timeText(point.value[0]) + "\n" + point.text.replace(/(.{70}\S*)\s/g, "$1\n") };
    return {
      legend: { show: false }, tooltip, grid: { left: 4, right: 26, top: 10, bottom: 4, ...wholeLabels }, series: seen,
      xAxis: axis("time", { min: first - margin, max: last + margin, axisLabel: { color: ink("--soft"), fontSize: 11, hideOverlap: true, formatter: { day: "{d} {MMM}" } } }),
      yAxis: axis("category", { data: data.lanes, inverse: true, splitLine: { show: true, lineStyle: { color: ink("--faint") } }, axisLabel: { color: ink("--ink"), fontSize: 11, interval: 0 } }),
    };
  },
};

function numbersOf(chart) {
  const { data } = chart;
  if (chart.kind === "flow") return [["from", "to", "payments"], data.links.map((link) => [link.from, link.to, String(link.value)])];
  if (chart.kind === "lanes") return [["UTC", "who", "what"], data.points.map((each) => [timeText(each.at), data.lanes[each.lane], each.text])];
  const texts = (each, row) => (each.texts ? each.texts[row] : String(each.values[row]));
  const names = chart.kind === "time" ? data.series[0].values.map((_, at) => timeText(data.start_ms + at * data.step_ms)) : data.categories;
  const rows = names.map((name, row) => [name, ...data.series.map((each) => texts(each, row))]);
  const gaps = (data.gaps || []).map((gap) => ["not read: " + timeText(gap.from) + " to " + timeText(gap.to), gap.text]);
  return [[chart.kind === "time" ? "UTC" : "what", ...data.series.map((each) => each.name)], [...rows, ...gaps]];
}

class Charts {
  constructor(specs, onPick) {
    this.onPick = onPick;
    this.drawn = [];
    const figures = [...document.querySelectorAll("[data-chart]")];
    specs.forEach((spec, at) => this.prepare(spec, figures[at]));
  }

  prepare(spec, figure) {
    const box = figure.querySelector(".canvas");
    const length = spec.data.categories ? spec.data.categories.length : 0;
    const lines = { bars: length * 19, money: length * 30, depth: length * 42, flow: 280, lanes: (spec.data.lanes || []).length * 34 }[spec.kind] || 0;
    box.style.height = Math.max(spec.kind === "lanes" ? 170 : 290, lines + 50) + "px";
    const chart = echarts.init(box, null, { renderer: "svg" });
    this.drawn.push({ chart, spec, figure });
    this.paint(chart, spec);
    chart.on("click", (event) => this.pick(spec, event));
    new ResizeObserver(() => chart.resize()).observe(box);
    const numbers = figure.querySelector(".numbers");
    numbers.addEventListener("toggle", () => {
      if (numbers.open && !numbers.lastElementChild.childElementCount) this.fill(numbers.lastElementChild, spec);
    });
  }

  fill(into, spec) {
    const [names, rows] = numbersOf(spec);
    const table = make("table");
    const head = make("tr");
    names.forEach((name) => head.append(make("th", "", name)));
    table.append(head);
    for (const cells of rows) {
      const line = make("tr");
      cells.forEach((cell, at) => line.append(make("td", at && !["flow", "lanes"].includes(spec.kind) ? "count" : "", cell)));
      table.append(line);
    }
    into.append(table);
  }

  paint(chart, spec) { chart.setOption({ ...baseOption(), ...OPTIONS[spec.kind](spec) }, true); }

  pick(spec, event) {
    const [category, series] = spec.filters;
    const picked = (category && this.onPick(category, event.name)) | (series && this.onPick(series, event.seriesName));
    if (picked) document.getElementById("payments").scrollIntoView({ block: "start" });
  }

  repaint() { this.drawn.forEach(({ chart, spec }) => this.paint(chart, spec)); }

  resize() { this.drawn.forEach(({ chart }) => chart.resize()); }

  // On paper no one turns to the legend's next page: all its names stand below the picture. A picture is drawn before
  // the browser lays out the sheet, so its width is told: the sheet's, or half of it.
  print() {
    for (const { chart, figure } of this.drawn) {
      chart.resize({ width: figure.matches(".time, .flow, .lanes") ? 980 : 470 });
      const { legend, series, color } = chart.getOption();
      if (!legend[0].show || series.length < 2) continue;
      const list = make("ul", "legend");
      series.forEach((each, at) => {
        const swatch = make("span", "swatch");
        swatch.style.backgroundColor = (each.itemStyle && each.itemStyle.color) || color[at % color.length];
        const entry = make("li", "", each.name);
        entry.prepend(swatch);
        list.append(entry);
      });
      chart.setOption({ legend: { show: false } });
      figure.append(list);
    }
  }

  printed() {
    this.drawn.forEach(({ chart, figure }) => {
      figure.querySelectorAll(".legend").forEach((list) => list.remove());
      chart.resize({ width: "auto" });
    });
  }
}
