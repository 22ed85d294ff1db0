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
    options($("t-term"), [...new Set(VARIANTS.flatMap((v) => Object.keys(runs()[v])))].map((t) => [t, t]), $("t-term").value);
    draw();
  }
  function sets() {
    options($("t-baseline"), Object.keys(DATA.training[$("t-dataset").value]).map((b) => [b, DATA.titles[b]]), $("t-baseline").value);
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
