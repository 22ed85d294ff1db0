"use strict";
// Reads the JSON in #data and fills the page. One function a section; plots are drawn anew when a choice, or light and dark, changes.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const VARIANTS = ["baseline", "clasnet"];
const redraw = []; // what to draw again when the colours change

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function options(select, pairs, keep) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => make("option", text, { value })));
  if (keep && pairs.some(([value]) => String(value) === before)) select.value = before;
}

function plot(id, traces, layout, scrollZoom = false) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true };
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 10, r: 10, t: 30, b: 40 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hovermode: "closest", dragmode: "pan",
  };
  for (const key of ["xaxis", "yaxis", "yaxis2"]) if (layout[key]) layout[key] = { ...axis, ...layout[key] };
  return Plotly.react(id, traces, { ...base, ...layout }, { responsive: true, displaylogo: false, scrollZoom, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] });
}

const modelName = (baseline, variant) => DATA.titles[baseline] + (variant === "clasnet" ? " + CLASNet" : "");
const modelColour = (variant) => colour(variant === "clasnet" ? "with" : "base");

// A table whose headers are buttons that sort: numbers by value, the rest as text; a third press restores the order.
function sortableTable({ caption, columns, rows, note }) {
  const wrapper = make("div"), scroll = make("div", undefined, { class: "scroll", tabindex: "0", role: "region", "aria-label": caption });
  const table = make("table"), head = make("tr"), body = make("tbody");
  const fill = (list) => body.replaceChildren(...list.map((row) => {
    const line = make("tr");
    row.forEach((cell, i) => line.append(i ? make("td", cell) : make("th", cell, { scope: "row" })));
    return line;
  }));
  const number = (text) => { const found = String(text).replace(/,/g, "").match(/^[+-]?[\d.]+/); return found ? parseFloat(found[0]) : null; };
  columns.forEach((name, i) => {
    const header = make("th", undefined, { scope: "col", "aria-sort": "none" }), button = make("button", name, { type: "button" });
    button.addEventListener("click", () => {
      const next = { none: "descending", descending: "ascending", ascending: "none" }[header.getAttribute("aria-sort")];
      head.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
      header.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1;
      fill(next === "none" ? rows : [...rows].sort((a, b) => {
        const [x, y] = [number(a[i]), number(b[i])];
        if (x === null && y === null) return sign * String(a[i]).localeCompare(String(b[i]));
        if (x === null || y === null) return x === null ? 1 : -1; // empty cells stay last
        return sign * (x - y);
      }));
    });
    header.append(button);
    head.append(header);
  });
  fill(rows);
  const top = make("thead");
  top.append(head);
  table.append(top, body);
  scroll.append(table);
  wrapper.append(make("p", caption, { class: "caption" }), scroll);
  if (note) wrapper.append(make("p", note, { class: "hint" }));
  return wrapper;
}

function header() {
  if (DATA.banner) { $("banner").hidden = false; $("banner").textContent = DATA.banner; }
  $("about").textContent = DATA.about;
  $("versions").textContent = DATA.versions;
  $("params").textContent = DATA.params;
  for (const table of DATA.tables) $("tables").append(sortableTable(table));
  for (const each of DATA.figures) $("figures").append(drawn(each));
  if (DATA.study) study();
}

function drawn({ title, source, text }) {
  const figure = make("figure");
  figure.append(make("img", undefined, { src: source, alt: text }), make("figcaption", title));
  return figure;
}

function study() {
  const { figure, tables } = DATA.study, [overall, gains, ...others] = tables.map(sortableTable);
  const more = make("details");
  more.append(make("summary", "Ablation, attentions, and mAP by t-IoU"), ...others);
  $("study").append(make("p", figure.text, { class: "hint" }), drawn(figure), overall, gains, more);
  $("study").hidden = $("study-link").hidden = false;
}

// ---- video explorer -------------------------------------------------------------------------------------------------

const overlap = (a, b) => {
  const inter = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
  return inter / (a[1] - a[0] + (b[1] - b[0]) - inter || 1);
};

function explorer() {
  let view = null; // the part of the time axis that is looked at, kept while the same video is shown
  const at = () => DATA.explorer[$("x-dataset").value];
  const video = () => at().videos[$("x-video").value];
  const chosen = () => ({ video: video(), baseline: $("x-baseline").value, label: Number($("x-class").value), model: video().models[$("x-baseline").value] });

  function classes() {
    const { video, model } = { video: chosen().video, model: chosen().model };
    const present = [...new Set(video.truth.map((row) => row[2]))];
    const others = [...new Set(VARIANTS.flatMap((v) => model[v].segments.map((row) => row[2])))].filter((c) => !present.includes(c));
    options($("x-class"), [...present.map((c) => [c, at().classes[c]]), ...others.map((c) => [c, `${at().classes[c]} (predicted only)`])],
      present.includes(Number($("x-class").value)));
    limits();
  }

  function limits() { // the slider covers the scores of what is shown, and starts in the middle
    const { model, label } = chosen();
    const scores = VARIANTS.flatMap((v) => model[v].segments.filter((row) => row[2] === label).map((row) => row[3]));
    const [low, high] = scores.length ? [Math.min(...scores), Math.max(...scores)] : [0, 1];
    $("x-threshold").min = Math.floor(low * 1000);
    $("x-threshold").max = Math.ceil(high * 1000);
    $("x-threshold").value = Math.round((low + high) * 500);
    draw();
  }

  function draw() {
    const { video, baseline, label, model } = chosen();
    const threshold = $("x-threshold").value / 1000;
    $("x-threshold-value").textContent = threshold.toFixed(3);
    $("x-threshold").setAttribute("aria-valuetext", threshold.toFixed(3));
    const truth = video.truth.filter((row) => row[2] === label);
    const shown = Object.fromEntries(VARIANTS.map((v) => [v, model[v].segments.filter((row) => row[2] === label && row[3] >= threshold)]));
    const lanes = { baseline: DATA.titles[baseline], clasnet: "+ CLASNet" };
    const traces = [];
    for (const v of VARIANTS) {
      const curves = model[v].curves, line = (values, name, dash) => values && traces.push({
        x: values.map((_, i) => ((i + 0.5) * video.seconds) / values.length), y: values.map((value) => value / 100), name, mode: "lines", yaxis: "y2",
        line: { color: modelColour(v), width: 1.6, dash }, hovertemplate: "%{y:.2f} at %{x:.1f} s<extra>%{fullData.name}</extra>",
      });
      line(curves.cas[label], `${modelName(baseline, v)}: class activation`, "solid");
      line(curves.attention, `${modelName(baseline, v)}: attention`, "dot");
    }
    const bars = (rows, lane, fill, opacity, text) => traces.push({
      type: "bar", orientation: "h", base: rows.map((r) => r[0]), x: rows.map((r) => r[1] - r[0]), y: rows.map(() => lane), showlegend: false, width: 0.7,
      marker: { color: fill, opacity, line: { color: colour("paper"), width: 1 } }, customdata: rows.map(text), hovertemplate: "%{customdata}<extra></extra>",
    });
    const [least, best] = [$("x-threshold").min / 1000, $("x-threshold").max / 1000];
    for (const v of [...VARIANTS].reverse()) {
      const rows = [...shown[v]].sort((a, b) => a[3] - b[3]); // the best on top
      bars(rows, lanes[v], modelColour(v), rows.map((r) => 0.15 + (0.85 * (r[3] - least)) / (best - least || 1)), (r) => `score ${r[3].toFixed(3)}, ${r[0].toFixed(1)} to ${r[1].toFixed(1)} s`);
    }
    bars(truth, "truth", colour("truth"), 0.9, (r) => `true instance, ${r[0].toFixed(1)} to ${r[1].toFixed(1)} s`);
    plot("x-plot", traces, {
      barmode: "overlay", xaxis: { title: { text: "time (s)" }, range: view || [0, video.seconds], anchor: "y" },
      yaxis: { domain: [0, 0.36], categoryorder: "array", categoryarray: [lanes.clasnet, lanes.baseline, "truth"], fixedrange: true },
      yaxis2: { domain: [0.44, 1], range: [0, 1], fixedrange: true, title: { text: "activation, attention" } },
    }, true);
    const found = (v) => truth.filter((t) => shown[v].some((row) => overlap(t, row) >= 0.5)).length;
    $("x-summary").textContent = `${$("x-video").value}, ${at().classes[label]}: ${truth.length} true instance${truth.length === 1 ? "" : "s"}. ` +
      VARIANTS.map((v) => `${modelName(baseline, v)} shows ${shown[v].length} segment${shown[v].length === 1 ? "" : "s"} and covers ${found(v)} of them at t-IoU 0.5`).join("; ") + ".";
    const rows = [...truth.map((r) => ["true", r[0].toFixed(1), r[1].toFixed(1), ""]),
      ...VARIANTS.flatMap((v) => shown[v].map((r) => [modelName(baseline, v), r[0].toFixed(1), r[1].toFixed(1), r[3].toFixed(3)]))];
    $("x-segments").replaceChildren(sortableTable({ caption: "Segments shown", columns: ["from", "start (s)", "end (s)", "score"], rows }));
  }

  function zoom(how) { // by keyboard, or where nothing scrolls
    const [start, end] = view || [0, video().seconds], size = end - start, middle = (start + end) / 2, { seconds } = video();
    view = {
      in: [middle - size / 4, middle + size / 4], out: [middle - size, middle + size], left: [start - size / 2, end - size / 2],
      right: [start + size / 2, end + size / 2], all: [0, seconds],
    }[how];
    draw();
  }

  function videos() {
    const set = at();
    view = null;
    $("explorer-sample").textContent = set.note;
    options($("x-video"), Object.entries(set.videos).map(([id, v]) => [id, `${id} (${v.truth.length} instances)`]));
    options($("x-baseline"), Object.keys(Object.values(set.videos)[0].models).map((b) => [b, DATA.titles[b]]), true);
    classes();
  }

  options($("x-dataset"), Object.entries(DATA.explorer).map(([key, set]) => [key, set.title]));
  $("x-dataset").addEventListener("change", videos);
  $("x-baseline").addEventListener("change", classes);
  $("x-video").addEventListener("change", () => { view = null; classes(); });
  $("x-class").addEventListener("change", limits);
  $("x-threshold").addEventListener("input", draw);
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
  videos();
  $("x-plot").on("plotly_relayout", (change) => { // drag, scroll, double-click
    if (Object.keys(change).some((key) => key.startsWith("xaxis"))) view = change["xaxis.autorange"] ? null : [...$("x-plot").layout.xaxis.range];
  });
  redraw.push(draw);
}

// ---- diagnosis ------------------------------------------------------------------------------------------------------

function diagnosis() {
  const signed = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)}`;
  function draw() {
    const baseline = $("d-baseline").value, both = DATA.diagnosis[$("d-dataset").value][baseline];
    const bars = (pick, unit) => VARIANTS.map((v) => ({
      type: "bar", name: modelName(baseline, v), x: Object.keys(pick(both[v])), y: Object.values(pick(both[v])), marker: { color: modelColour(v) },
      hovertemplate: `%{x}: %{y:.1f} ${unit}<extra>%{fullData.name}</extra>`,
    }));
    plot("d-counts", bars((d) => d.counts, "predictions"), { barmode: "group", xaxis: {}, yaxis: { title: { text: "predictions" } } });
    plot("d-cost", bars((d) => d.cost, "points"), { barmode: "group", xaxis: {}, yaxis: { title: { text: "mAP lost (points)" } } });
    const change = (kind) => both.clasnet.cost[kind] - both.baseline.cost[kind];
    $("d-summary").textContent = `mAP at t-IoU 0.5: ${both.baseline.mAP.toFixed(1)} without, ${both.clasnet.mAP.toFixed(1)} with CLASNet. What errors cost, with CLASNet against without: ` +
      `boundaries (localisation) ${signed(change("localisation"))} points, background ${signed(change("background"))}, wrong label ${signed(change("wrong label"))}, ` +
      `double detection ${signed(change("double detection"))}, confusion ${signed(change("confusion"))}.`;
    const pairs = both.baseline.sensitivity.map((row, i) => [row, both.clasnet.sensitivity[i]]).filter(([row]) => row.instances);
    const rows = pairs.map(([row, other]) => {
      const show = (x, digits = 1) => (x === null ? "" : x.toFixed(digits));
      return [`${row.what}: ${row.bin}`, String(row.instances), show(row.mAP_N), show(other.mAP_N), show(row.missed && 100 * row.missed), show(other.missed && 100 * other.missed)];
    });
    $("d-sensitivity").replaceChildren(sortableTable({
      caption: `Sensitivity: normalised mAP at t-IoU 0.5 and the share of instances that nothing finds, by their length, coverage and number in the video${DATA.banner ? ` (${DATA.mark})` : ""}`,
      columns: ["instances by", "number", "mAP_N without", "mAP_N with", "missed without (%)", "missed with (%)"], rows,
    }));
  }
  const sets = () => options($("d-baseline"), Object.keys(DATA.diagnosis[$("d-dataset").value]).map((b) => [b, DATA.titles[b]]), true);
  options($("d-dataset"), Object.keys(DATA.diagnosis).map((key) => [key, DATA.explorer[key].title]));
  $("diagnosis-note").textContent = DATA.diagnosis_note;
  $("d-dataset").addEventListener("change", () => { sets(); draw(); });
  $("d-baseline").addEventListener("change", draw);
  sets();
  draw();
  redraw.push(draw);
}

// ---- training -------------------------------------------------------------------------------------------------------

function training() {
  const runs = () => DATA.training[$("t-dataset").value][$("t-baseline").value];
  function draw() {
    const baseline = $("t-baseline").value, term = $("t-term").value, traces = [];
    for (const v of VARIANTS) Object.entries(runs()[v][term] || {}).forEach(([seed, { step, value }], i) => traces.push({
      x: step, y: value, mode: "lines", name: modelName(baseline, v), legendgroup: v, showlegend: i === 0, line: { color: modelColour(v), width: 1.3 }, opacity: 0.8,
      hovertemplate: `seed ${seed}, step %{x}: %{y:.3f}<extra>%{fullData.name}</extra>`,
    }));
    plot("t-plot", traces, { xaxis: { title: { text: "step" } }, yaxis: { title: { text: term } } });
  }
  function terms() {
    options($("t-term"), [...new Set(VARIANTS.flatMap((v) => Object.keys(runs()[v])))].map((t) => [t, t]), true);
    draw();
  }
  function sets() {
    options($("t-baseline"), Object.keys(DATA.training[$("t-dataset").value]).map((b) => [b, DATA.titles[b]]), true);
    terms();
  }
  options($("t-dataset"), Object.keys(DATA.training).map((key) => [key, DATA.explorer[key].title]));
  $("training-note").textContent = DATA.training_note;
  $("t-dataset").addEventListener("change", sets);
  $("t-baseline").addEventListener("change", terms);
  $("t-term").addEventListener("change", draw);
  sets();
  redraw.push(draw);
}

header();
explorer();
diagnosis();
training();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw.forEach((draw) => draw()));
