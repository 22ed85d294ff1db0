// ---- the page -------------------------------------------------------------------------------------------------------

function made() {
  for (const id of ["about", "versions", "params"]) $(id).textContent = DATA[id];
}

// On paper everything is open, light, and as wide as the paper.
function printing() {
  const closed = () => [...document.querySelectorAll("details:not([open])")];
  let opened = [];
  const set = (on) => {
    document.documentElement.classList.toggle("printing", on);
    if (on) opened = closed();
    opened.forEach((each) => { each.open = on; });
    redraw.forEach((draw) => draw());
    if (!on) document.querySelectorAll(".plot").forEach((each) => Plotly.Plots.resize(each));
  };
  window.addEventListener("beforeprint", () => set(true));
  window.addEventListener("afterprint", () => set(false));
}

document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));
answer();
explorer();
tables();
figures();
diagnosis();
training();
made();
printing();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw.forEach((draw) => draw()));
