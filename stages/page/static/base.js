"use strict";
// What all sections use: the data in #data, elements, plots, tables. Each section is a function in a file of its own; page.js calls them.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const VARIANTS = ["baseline", "clasnet"];
const TOUCH = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page, and pans no plot
const redraw = []; // what to draw again when colours or width change

function make(tag, text, attributes = {}, ...children) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function options(select, pairs, wanted) {
  select.replaceChildren(...pairs.map(([value, text]) => make("option", text, { value })));
  if (pairs.some(([value]) => String(value) === String(wanted))) select.value = wanted;
}

// Draws into #id. A plot of the class "still" answers a pointer with its numbers, and neither pans nor zooms.
function plot(id, traces, layout) {
  const still = $(id).classList.contains("still"), moves = !still && !TOUCH;
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true, fixedrange: !moves };
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 10, r: 10, t: 30, b: 45 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hovermode: "closest", dragmode: moves && "pan", autosize: true,
  };
  if (document.documentElement.classList.contains("printing")) base.width = $(id).clientWidth; // paper does not wait for a plot to fit itself
  for (const key of Object.keys(layout)) if (/^[xy]axis/.test(key)) layout[key] = { ...axis, ...layout[key] };
  return Plotly.react(id, traces, { ...base, ...layout },
    { responsive: true, displaylogo: false, displayModeBar: moves && "hover", scrollZoom: moves, modeBarButtonsToRemove: ["select2d", "lasso2d", "toImage"] });
}

const modelName = (baseline, variant) => DATA.titles[baseline] + (variant === "clasnet" ? " + CLASNet" : "");
const modelColour = (variant) => colour(variant === "clasnet" ? "with" : "base");
const signed = (x, digits = 1) => (Math.abs(x) < 0.5 / 10 ** digits ? "" : x < 0 ? "-" : "+") + Math.abs(x).toFixed(digits);
const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

// The number that a cell begins with, or null.
function number(cell) {
  const found = (cell.textContent ?? String(cell)).trim().replace(/,/g, "").match(/^(?:< )?([+-]?[\d.]+)(?=$|[ %])/);
  return found && parseFloat(found[1]);
}

// A table whose headers are buttons that sort: numbers by value, the rest as text; a third press restores the order.
// A cell is a text or an element. `sort`: the column and direction to begin with; `sorted(column, direction)` is called after a press.
function sortableTable({ caption, columns, rows, note, sort, sorted }) {
  const [title, ...rest] = caption.split(". "); // a caption's first sentence is what the table is called
  const body = make("tbody"), head = make("tr");
  const lines = rows.map((row) => ({ row, line: make("tr", undefined, {}, ...row.map((cell, i) => make(i ? "td" : "th", undefined, i ? {} : { scope: "row" }, cell))) }));
  const text = (cell) => cell.textContent ?? String(cell);
  function order(column, direction) {
    [...head.children].forEach((header, i) => header.setAttribute("aria-sort", i === column ? direction : "none"));
    const sign = direction === "ascending" ? 1 : -1;
    const by = direction === "none" ? lines : [...lines].sort(({ row: a }, { row: b }) => {
      const [x, y] = [number(a[column]), number(b[column])];
      if (x === null && y === null) return sign * text(a[column]).localeCompare(text(b[column]));
      if (x === null || y === null) return x === null ? 1 : -1; // empty cells stay last
      return sign * (x - y);
    });
    body.replaceChildren(...by.map(({ line }) => line));
  }
  columns.forEach((name, i) => {
    const button = make("button", name, { type: "button" });
    const header = make("th", undefined, { scope: "col" }, button);
    button.addEventListener("click", () => {
      const direction = { none: "descending", descending: "ascending", ascending: "none" }[header.getAttribute("aria-sort")];
      order(i, direction);
      if (sorted) sorted(name, direction);
    });
    head.append(header);
  });
  order(sort ? columns.indexOf(sort[0]) : -1, sort ? sort[1] : "none");
  const table = make("table", undefined, {}, make("thead", undefined, {}, head), body);
  const scroll = make("div", undefined, { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table);
  const above = rest.length ? [make("h3", title), make("p", rest.join(". "), { class: "caption" })] : [make("p", title, { class: "caption" })];
  return make("div", undefined, {}, ...above, scroll, ...(note ? [make("p", note, { class: "hint" })] : []));
}
