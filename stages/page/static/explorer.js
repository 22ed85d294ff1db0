// ---- video explorer -------------------------------------------------------------------------------------------------

const overlap = (a, b) => {
  const inter = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
  return inter / (a[1] - a[0] + (b[1] - b[0]) - inter || 1);
};
const COLUMNS = ["video", "gain", "without", "with", "instances", "seconds"]; // of the list
const curve = (text) => [...atob(text)].map((letter) => letter.charCodeAt(0) / 255);

function explorer() {
  let video = null; // the id of what is shown
  let span = null; // the part of the time axis that is looked at, kept while the same video is shown
  let sort = ["gain", "descending"]; // of the list
  const at = () => DATA.explorer[$("x-dataset").value];
  const shown = () => at().videos[video];
  const model = (variant) => shown().models[$("x-baseline").value][variant][$("x-seed").value];

  function list(wanted) {
    const { videos, tallies, note } = at(), baseline = $("x-baseline").value, row = $("x-seed").selectedIndex;
    const [more, same, less] = tallies[baseline][row];
    $("x-tally").textContent = `By themselves, with CLASNet ${plural(more, "test video")} of ${more + same + less} gain${more === 1 ? "s" : ""}, ${less} lose${less === 1 ? "s" : ""} and ` +
      `${same} stay${same === 1 ? "s" : ""} as before (${DATA.titles[baseline]}, seed ${$("x-seed").value}).`;
    $("x-note").textContent = note;
    const rows = Object.entries(videos).map(([id, { seconds, truth, scores }]) => {
      const [before, after] = VARIANTS.map((v) => scores[baseline][v][row]);
      const radio = make("input", undefined, { type: "radio", name: "x-video", value: id });
      radio.addEventListener("change", () => { pick(id); remember(); });
      return [make("label", undefined, {}, radio, id), signed(after - before), before.toFixed(1), after.toFixed(1), String(truth.length), seconds.toFixed(0)];
    });
    const table = sortableTable({
      caption: "Average precision of each video, and what CLASNet adds", columns: COLUMNS, rows, sort, sorted: (...now) => { sort = now; remember(); },
    });
    $("x-videos").replaceChildren(table);
    const radios = [...table.querySelectorAll("input")], found = radios.find((radio) => radio.value === wanted) || radios[0];
    if (!found) return;
    found.checked = true;
    if (found !== radios[0]) found.closest(".scroll").scrollTop = found.closest("tr").offsetTop - 60;
    pick(found.value);
  }

  function pick(id) {
    const another = id !== video;
    if (another) span = null;
    video = id;
    $("x-title").textContent = id;
    classes(another ? null : $("x-class").value); // another video starts with an action of its own
  }

  function classes(wanted) {
    const present = [...new Set(shown().truth.map((row) => row[2]))];
    const others = [...new Set(VARIANTS.flatMap((v) => model(v).segments.map((row) => row[2])))].filter((c) => !present.includes(c));
    options($("x-class"), [...present.map((c) => [c, at().classes[c]]), ...others.map((c) => [c, `${at().classes[c]} (predicted only)`])],
      wanted && [...present, ...others].includes(Number(wanted)) ? wanted : present[0]);
    limits();
  }

  function limits() { // the slider covers the scores of what is shown, and starts where each model shows a segment for every true one
    const label = Number($("x-class").value), wanted = Math.max(1, shown().truth.filter((row) => row[2] === label).length);
    const scores = VARIANTS.map((v) => model(v).segments.filter((row) => row[2] === label).map((row) => row[3])).filter((own) => own.length);
    const all = scores.length ? scores.flat() : [0, 1];
    $("x-threshold").min = Math.floor(Math.min(...all) * 1000);
    $("x-threshold").max = Math.ceil(Math.max(...all) * 1000);
    $("x-threshold").value = Math.floor(Math.min(...scores.map((own) => own[Math.min(wanted, own.length) - 1])) * 1000);
    draw();
  }

  function draw() {
    const content = shown(), baseline = $("x-baseline").value, label = Number($("x-class").value), threshold = $("x-threshold").value / 1000;
    $("x-threshold-value").textContent = threshold.toFixed(3);
    $("x-threshold").setAttribute("aria-valuetext", threshold.toFixed(3));
    const truth = content.truth.filter((row) => row[2] === label);
    const found = Object.fromEntries(VARIANTS.map((v) => [v, model(v).segments.filter((row) => row[2] === label && row[3] >= threshold)]));
    const lanes = { baseline: DATA.titles[baseline], clasnet: "+ CLASNet" };
    const traces = [];
    for (const v of VARIANTS) {
      const { cas, attention } = model(v).curves;
      const line = (text, name, dash) => {
        if (!text) return;
        const y = curve(text);
        traces.push({
          x: y.map((_, i) => ((i + 0.5) * content.seconds) / y.length), y, name, mode: "lines", yaxis: "y2",
          line: { color: modelColour(v), width: 1.6, dash }, hovertemplate: "%{y:.2f} at %{x:.1f} s<extra>%{fullData.name}</extra>",
        });
      };
      line(cas[label], `${modelName(baseline, v)}: class activation`, "solid");
      line(attention, `${modelName(baseline, v)}: attention`, "dot");
    }
    const bars = (rows, lane, fill, opacity, text) => traces.push({
      type: "bar", orientation: "h", base: rows.map((r) => r[0]), x: rows.map((r) => r[1] - r[0]), y: rows.map(() => lane), showlegend: false, width: 0.7,
      marker: { color: fill, opacity, line: { color: colour("paper"), width: 1 } }, customdata: rows.map(text), hovertemplate: "%{customdata}<extra></extra>",
    });
    const [least, best] = [$("x-threshold").min / 1000, $("x-threshold").max / 1000];
    for (const v of [...VARIANTS].reverse()) {
      const rows = [...found[v]].sort((a, b) => a[3] - b[3]); // the best on top
      bars(rows, lanes[v], modelColour(v), rows.map((r) => 0.15 + (0.85 * (r[3] - least)) / (best - least || 1)), (r) => `score ${r[3].toFixed(3)}, ${r[0].toFixed(1)} to ${r[1].toFixed(1)} s`);
    }
    bars(truth, "truth", colour("truth"), 0.9, (r) => `true instance, ${r[0].toFixed(1)} to ${r[1].toFixed(1)} s`);
    plot("x-plot", traces, {
      barmode: "overlay", xaxis: { title: { text: "time (s)" }, range: span || [0, content.seconds], anchor: "y" },
      yaxis: { domain: [0, 0.36], categoryorder: "array", categoryarray: [lanes.clasnet, lanes.baseline, "truth"], fixedrange: true },
      yaxis2: { domain: [0.44, 1], range: [0, 1], fixedrange: true, title: { text: "activation, attention" } },
    });
    const [start, end] = span || [0, content.seconds]; // pictures of what is looked at, where the video file was at hand
    $("x-pictures").replaceChildren(...content.pictures.filter(([at]) => at >= start && at <= end).map(([at, src]) =>
      make("figure", undefined, {}, make("img", undefined, { src, alt: `${video} at ${at.toFixed(1)} s` }), make("figcaption", `${at.toFixed(1)} s`))));
    const covered = (v) => truth.filter((t) => found[v].some((row) => overlap(t, row) >= 0.5)).length;
    $("x-summary").textContent = `${video}, ${at().classes[label]}: ${plural(truth.length, "true instance")}. ` +
      VARIANTS.map((v) => `${modelName(baseline, v)} shows ${plural(found[v].length, "segment")} and covers ${covered(v)} of them at t-IoU 0.5`).join("; ") + ".";
    const rows = [...truth.map((r) => ["true", r[0].toFixed(1), r[1].toFixed(1), ""]),
      ...VARIANTS.flatMap((v) => found[v].map((r) => [modelName(baseline, v), r[0].toFixed(1), r[1].toFixed(1), r[3].toFixed(3)]))];
    $("x-segments").replaceChildren(sortableTable({ caption: "Segments shown", columns: ["from", "start (s)", "end (s)", "score"], rows }));
    $("x-link").href = `#${view()}`;
  }

  function zoom(how) { // by keyboard, or where nothing scrolls
    const [start, end] = span || [0, shown().seconds], size = end - start, middle = (start + end) / 2;
    span = {
      in: [middle - size / 4, middle + size / 4], out: [middle - size, middle + size], left: [start - size / 2, end - size / 2],
      right: [start + size / 2, end + size / 2], all: null,
    }[how];
    draw();
    remember();
  }

  // The view as the part of an address after #, and back.
  function view() {
    const parts = { data: $("x-dataset").value, baseline: $("x-baseline").value, seed: $("x-seed").value, sort: sort.join("-"), video, class: $("x-class").value, scores: $("x-threshold").value };
    if (span) parts.time = span.map((x) => x.toFixed(1)).join("-to-");
    return new URLSearchParams(parts);
  }

  function remember() {
    $("x-link").href = `#${view()}`;
    history.replaceState(null, "", `#${view()}`);
  }

  function restore() { // true where the address holds a view
    const parts = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    if (!parts.data) return false;
    const lost = [];
    const choose = (select, value) => {
      if ([...$(select).options].some((option) => option.value === value)) $(select).value = value;
      else if (value) lost.push(value);
    };
    choose("x-dataset", parts.data);
    models();
    choose("x-baseline", parts.baseline);
    choose("x-seed", parts.seed);
    const [column, direction] = (parts.sort || "").split("-");
    if (COLUMNS.includes(column) && ["none", "ascending", "descending"].includes(direction)) sort = [column, direction];
    if (parts.video && !at().videos[parts.video]) lost.push(parts.video);
    list(parts.video);
    $("x-lost").textContent = lost.length ? `The link asks for what this page does not hold: ${lost.join(", ")}.` : "";
    if (lost.length) return true;
    classes(parts.class);
    if (parts.scores) $("x-threshold").value = parts.scores;
    const time = (parts.time || "").split("-to-").map(Number);
    span = time.length === 2 && time.every(isFinite) ? time : null;
    draw();
    return true;
  }

  function models() {
    options($("x-baseline"), Object.keys(at().tallies).map((b) => [b, DATA.titles[b]]), $("x-baseline").value);
  }

  function follow() {
    if (restore()) $("explorer").scrollIntoView();
  }

  options($("x-dataset"), Object.entries(DATA.explorer).map(([key, set]) => [key, set.title]));
  options($("x-seed"), DATA.seeds.map((seed) => [seed, seed]));
  const after = (id, change) => $(id).addEventListener("change", () => { $("x-lost").textContent = ""; change(); remember(); });
  after("x-dataset", () => { models(); list(); });
  after("x-baseline", () => list(video));
  after("x-seed", () => list(video));
  after("x-class", limits);
  after("x-threshold", draw);
  $("x-threshold").addEventListener("input", draw);
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
  window.addEventListener("hashchange", follow);
  if (!restore()) { models(); list(); } else setTimeout(() => $("explorer").scrollIntoView());
  if (!video) { $("x-controls").hidden = $("x-view").hidden = true; return; }
  $("x-plot").on("plotly_relayout", (change) => { // drag, scroll, double-click
    if (!Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
    span = change["xaxis.autorange"] ? null : [...$("x-plot").layout.xaxis.range];
    remember();
  });
  redraw.push(draw);
}
