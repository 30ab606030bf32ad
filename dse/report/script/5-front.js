// The front as a table that sorts, and the page's controls.

const table = document.getElementById("front");
const columns = [
  ...study.quantities.map(q => byName.get(q.name)),
  ...dimensions.filter(d => d.knob && d.options.length > 1),
];
let sorted = { at: -2, down: false };

function buildTable() {
  const head = [["design", -1], ...columns.map((d, i) => [d.name, i])].map(([name, at]) =>
    element("th", { scope: "col", class: at >= 0 && columns[at].labels ? null : "n", "data-column": name },
      element("button", { type: "button", click: () => sortBy(at) }, name)));
  const rows = study.front.map(point => element("tr", { tabindex: 0, "data-point": point, click: () => select(point),
    keydown: event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); select(point); } },
    pointerenter: () => hover(point), pointerleave: () => hover(-1) },
    element("td", { class: "n" }, String(study.points.design[point])),
    ...columns.map(d => element("td", { class: d.labels ? null : "n" }, d.values[point] === null ? "" : told(d.values[point], d)))));
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

function sortBy(at) {
  sorted = { at, down: sorted.at === at && !sorted.down };
  const value = row => {
    const point = Number(row.dataset.point);
    return at < 0 ? study.points.design[point] : columns[at].values[point];
  };
  const body = table.tBodies[0];
  const compare = (a, b) => (a === null) - (b === null) || (sorted.down ? b - a : a - b);
  body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b))));
  for (const [i, cell] of [...table.tHead.rows[0].cells].entries()) {
    if (i - 1 === at) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
}

function drawTable() {
  for (const row of table.tBodies[0].rows) {
    const point = Number(row.dataset.point);
    row.setAttribute("aria-selected", point === chosen.selected);
    row.className = kept(point) ? "" : "out";
  }
}

// -- controls ----------------------------------------------------------------------------------------

const controls = Object.fromEntries(["x", "y", "colour", "logx", "logy", "zoom", "limits"].map(name => [name, document.getElementById(name)]));
function buildControls() {
  const group = (label, found) => element("optgroup", { label }, ...found.map(d => element("option", { value: d.name }, d.name)));
  for (const name of ["x", "y", "colour"]) {
    if (name === "colour") controls[name].append(element("option", { value: "" }, "the front alone"));
    controls[name].append(group("quantities", dimensions.filter(d => !d.knob)), group("knobs", dimensions.filter(d => d.knob)));
  }
  for (const [name, control] of Object.entries(controls))
    control.addEventListener("change", () => {
      chosen[name] = control.type === "checkbox" ? control.checked : control.value;
      if (name === "x" || name === "y") chosen[`log${name}`] = wantsLog(control.value);
      changed();
    });
  controls.limits.parentElement.hidden = !study.points.feasible.includes(0);
  document.getElementById("all-knobs").addEventListener("change", event => { allKnobs = event.target.checked; changed(); });
  document.getElementById("clear").addEventListener("click", () => { chosen.brushes.clear(); changed(); });
  for (const button of document.querySelectorAll("button[data-copy]"))
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "copied";
    });
}
function wantsLog(name) {
  const dimension = byName.get(name), [low, high] = extent(dimension.values);
  return dimension.log || (!dimension.labels && low > 0 && high / low > 30);
}
function drawControls() {
  for (const [name, control] of Object.entries(controls)) {
    if (control.type === "checkbox") control.checked = chosen[name];
    else control.value = chosen[name];
  }
  for (const side of ["x", "y"]) {
    const dimension = byName.get(chosen[side]);
    controls[`log${side}`].disabled = Boolean(dimension.labels) || extent(dimension.values)[0] <= 0;
  }
}

// -- the address holds what is shown, so that a view can be sent on -----------------------------------

const KEPT = ["x", "y", "colour", "logx", "logy", "zoom", "limits"];
function keepAddress() {
  const shown = new URLSearchParams();
  const usual = { ...initial, logx: wantsLog(chosen.x), logy: wantsLog(chosen.y) };
  for (const name of KEPT)
    if (chosen[name] !== usual[name]) shown.set(name, typeof chosen[name] === "boolean" ? Number(chosen[name]) : chosen[name]);
  if (chosen.selected >= 0) shown.set("design", study.points.design[chosen.selected]);
  const wanted = shown.size ? `#${shown}` : "";
  if (wanted !== location.hash) history.replaceState(null, "", wanted || location.pathname + location.search);
}
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of KEPT) {
    const text = given.get(name);
    if (text === null) chosen[name] = name.startsWith("log") ? wantsLog(chosen[name.slice(3)]) : initial[name];
    else if (typeof initial[name] === "boolean") chosen[name] = text === "1";
    else if (byName.has(text) || (name === "colour" && text === "")) chosen[name] = text;
  }
  chosen.selected = given.has("design") ? study.points.design.indexOf(Number(given.get("design"))) : -1;
}

const named = [...study.objectives, ...study.quantities.map(q => q.name), ...study.knobs.map(k => k.name)];
const axesNamed = [...new Set(named)];
chosen.x = axesNamed[0];
chosen.y = axesNamed[1] ?? axesNamed[0];
chosen.colour = study.objectives[2] ?? "";
chosen.logx = wantsLog(chosen.x);
chosen.logy = wantsLog(chosen.y);
const initial = { ...chosen };
buildTable();
buildControls();
readAddress();
const VIEW = ["colour", "limits"];
parts.push(drawControls, whenChanged(KEPT, drawPareto), drawMarks, whenChanged(VIEW, drawParallel),
           whenChanged([...VIEW, "hover", "selected"], drawMarkedLines), drawDetail, whenChanged(["selected"], drawTable), keepAddress);
for (const part of parts) part();
addEventListener("resize", changed);
addEventListener("hashchange", () => { readAddress(); changed(); });
dark.addEventListener("change", changed);
for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, () => { for (const part of parts) part(); });
window.siliform = { study, chosen, place: point => { const box = chart.getBoundingClientRect(), at = place(point); return [box.left + at[0], box.top + at[1]]; } };
