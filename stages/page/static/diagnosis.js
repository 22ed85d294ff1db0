// ---- diagnosis ------------------------------------------------------------------------------------------------------

function diagnosis() {
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
  const sets = () => options($("d-baseline"), Object.keys(DATA.diagnosis[$("d-dataset").value]).map((b) => [b, DATA.titles[b]]), $("d-baseline").value);
  options($("d-dataset"), Object.keys(DATA.diagnosis).map((key) => [key, DATA.explorer[key].title]));
  $("diagnosis-note").textContent = DATA.diagnosis_note;
  $("d-dataset").addEventListener("change", () => { sets(); draw(); });
  $("d-baseline").addEventListener("change", draw);
  sets();
  draw();
  redraw.push(draw);
}
