// ---- the answer, tables and figures ---------------------------------------------------------------------------------

// A line a cell: mean, interval and values of its gains; what is true of all cells is the last one, a diamond.
function forest(id, { lines, overall, dots }) {
  const narrow = $(id).clientWidth < 480, last = lines.length, ink = colour("ink"), tint = colour("with");
  const name = ({ data, method }) => `${data}, ${method}`;
  const interval = ({ mean, low, high }) => `${signed(mean)} points` + (low === null ? "" : ` (95 % interval ${signed(low)} to ${signed(high)})`);
  const spots = lines.flatMap(({ values }, y) => values.map((x) => ({ x, y })));
  const traces = [
    { x: spots.map((p) => p.x), y: spots.map((p) => p.y), mode: "markers", marker: { color: ink, size: 6, opacity: 0.4 }, hovertemplate: `one of the ${dots}: %{x:+.1f}<extra></extra>` },
    {
      x: lines.map((l) => l.mean), y: lines.map((_, y) => y), mode: "markers+text", text: lines.map((l) => signed(l.mean)), textposition: "top center",
      marker: { color: tint, symbol: "square", size: 9 }, textfont: { size: narrow ? 9 : 11 }, cliponaxis: false,
      error_x: { type: "data", symmetric: false, array: lines.map((l) => l.high - l.mean), arrayminus: lines.map((l) => l.mean - l.low), color: tint, thickness: 2.5, width: 0 },
      customdata: lines.map((l) => `<b>${name(l)}</b><br>${interval(l)}<br>${l.text.replaceAll("; ", "<br>")}`), hovertemplate: "%{customdata}<extra></extra>",
    },
  ];
  if (overall) {
    const { mean, low, high } = overall, said = `<b>All cells</b><br>${interval(overall)}<extra></extra>`;
    if (low !== null) traces.push({ x: [low, mean, high, mean, low], y: [last, last - 0.3, last, last + 0.3, last], fill: "toself", mode: "lines", line: { color: ink, width: 1 }, fillcolor: ink, hoverinfo: "skip" });
    traces.push({ x: [mean], y: [last], mode: "markers", marker: { color: ink, symbol: "diamond", size: low === null ? 12 : 4 }, hovertemplate: said });
    traces.push({ x: [high ?? mean], y: [last], mode: "text", text: [`  <b>${signed(mean)}</b>`], textposition: "middle right", hoverinfo: "skip" });
  }
  const labels = [...lines.map((l) => (narrow ? name(l).replace("ActivityNet", "ANet") : name(l))), ...(overall ? ["<b>All cells</b>"] : [])];
  const rule = (y, tone) => ({ type: "line", layer: "below", xref: "paper", x0: 0, x1: 1, y0: y - 0.5, y1: y - 0.5, line: { color: tone, width: 1 } });
  const breaks = lines.map((l, y) => y && l.data !== lines[y - 1].data && rule(y, colour("line"))).filter(Boolean);
  plot(id, traces, {
    showlegend: false, margin: { l: 10, r: 15, t: 10, b: 45 },
    xaxis: { title: { text: "gain in average mAP (points)" }, zeroline: true, zerolinecolor: ink },
    yaxis: { tickvals: labels.map((_, y) => y), ticktext: labels, range: [labels.length - 0.4, -0.8], showgrid: false, zeroline: false, tickfont: { size: narrow ? 10 : 12 } },
    shapes: [...breaks, ...(overall ? [rule(last, ink)] : [])],
  });
  const said = [...lines.map((l) => `${name(l)}: ${interval(l)}`), ...(overall ? [`all cells: ${interval(overall)}`] : [])];
  $(id).setAttribute("aria-label", `Forest plot of the gain of CLASNet. ${said.join("; ")}.`);
}

function answer() {
  const { sentence, facts, forest: cells } = DATA.answer;
  if (DATA.banner) { $("banner").hidden = false; $("banner").textContent = DATA.banner; }
  $("sentence").textContent = sentence;
  for (const [term, text] of facts) $("facts").append(make("dt", term), make("dd", text));
  $("forest-caption").textContent = cells.caption;
  const draw = () => forest("forest", cells);
  draw();
  redraw.push(draw);
  if (DATA.study) {
    $("study").append(make("p", DATA.study.text, { class: "hint" }), ...DATA.study.tables.map(sortableTable));
    $("study").hidden = false;
  }
}

function tables() {
  $("tables").append(...DATA.tables.map(sortableTable));
}

function image({ title, source }) {
  return make("figure", undefined, {}, make("img", undefined, { src: source, alt: title }), make("figcaption", title));
}

function drawn(id, title) {
  return make("figure", undefined, {}, make("div", undefined, { id, class: "plot still", role: "img", "aria-label": title }), make("figcaption", title));
}

function figures() {
  const { model, data, alone, panels } = DATA.sweep, mark = DATA.banner ? ` ${DATA.mark}.` : "";
  $("figures").append(
    image(DATA.images.figure2),
    drawn("figure3", `Figure 3: gain of CLASNet in this run by data set and baseline: mean, 95 % interval over seeds and test videos; dots: the seeds.${mark}`),
    drawn("figure4", `Figure 4: average mAP against dilated layers and attention heads, ${model} on ${data}: mean ± standard deviation; dots: the seeds.${mark}`),
    image(DATA.images.figure5),
  );
  const draw = () => {
    forest("figure3", { lines: DATA.gains, overall: null, dots: "seeds" });
    const traces = panels.flatMap(({ points }, i) => {
      const axes = { xaxis: i ? "x2" : "x", showlegend: !i }, at = points.map((p) => String(p.n)), spots = points.flatMap((p) => p.values.map((y) => [String(p.n), y]));
      return [
        { ...axes, name: `${model} alone`, x: at, y: at.map(() => alone), mode: "lines", line: { color: colour("base"), dash: "dash" }, hovertemplate: `${model} alone: %{y:.1f}<extra></extra>` },
        { ...axes, showlegend: false, x: spots.map((p) => p[0]), y: spots.map((p) => p[1]), mode: "markers", marker: { color: colour("with"), size: 5, opacity: 0.4 }, hovertemplate: "one seed: %{y:.1f}<extra></extra>" },
        {
          ...axes, name: "with CLASNet", x: at, y: points.map((p) => p.mean), mode: "lines+markers", line: { color: colour("with") }, marker: { size: 8 },
          error_y: { type: "data", array: points.map((p) => p.spread ?? 0), color: colour("with") },
          customdata: points.map((p) => signed(p.mean - alone)), hovertemplate: "%{x}: %{y:.1f} (%{customdata} points)<extra></extra>",
        },
      ];
    });
    plot("figure4", traces, {
      xaxis: { type: "category", domain: [0, 0.48], title: { text: panels[0].name } }, xaxis2: { type: "category", domain: [0.52, 1], title: { text: panels[1].name } },
      yaxis: { title: { text: "average mAP (%)" } },
    });
  };
  draw();
  redraw.push(draw);
}
