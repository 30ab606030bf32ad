// What all parts of the page share: the study, what is chosen on the page, elements, numbers, colours.

const study = JSON.parse(document.getElementById("study").textContent);
const count = study.points.design.length;
const onFront = new Uint8Array(count);
for (const point of study.front) onFront[point] = 1;

/** Every axis that there is: quantities, then knobs. `values` are numbers, null where there is none. */
const dimensions = [
  ...study.quantities.map(q => ({ ...q, knob: false, labels: null })),
  ...study.knobs.map(knob => {
    const numeric = knob.values.every(value => typeof value === "number");
    const values = knob.chosen.map(at => (at < 0 ? null : numeric ? knob.values[at] : at));
    return { ...knob, options: knob.values, knob: true, values, log: false, goal: null,
             labels: numeric ? null : knob.values.map(String) };
  }),
];
const byName = new Map(dimensions.map(dimension => [dimension.name, dimension]));

/** What the reader has chosen; parts of the page draw it, and `changed` tells them of a change. */
const chosen = { x: null, y: null, colour: "", logx: false, logy: false, zoom: false, limits: true,
                 selected: -1, hover: -1, brushes: new Map() };
const parts = [];
let allKnobs = false;
let asked = false;
function changed() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; for (const part of parts) part(); });
}

/** Runs `draw` only where something that it depends on changed: following the pointer must not redraw all. */
function whenChanged(keys, draw) {
  let last = null;
  return () => {
    const print = matchMedia("print").matches;
    const now = JSON.stringify([keys.map(key => chosen[key]), [...chosen.brushes], innerWidth, devicePixelRatio, dark.matches, print, allKnobs]);
    if (now !== last) { last = now; draw(); }
  };
}

/** An element with attributes, listeners (functions) and children; text is only ever text. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}
function pairs(rows) {
  return element("dl", { class: "pairs" }, ...rows.flatMap(([name, text, split]) => [
    element("dt", { class: split ? "split" : null }, name), element("dd", { class: split ? "split" : null }, text),
  ]));
}

/** A number for people: an SI prefix where the unit takes one, KiB and MiB where a knob counts in them. */
function told(value, dimension) {
  if (value === null || value === undefined) return "n/a";
  if (dimension.labels) return dimension.labels[value];
  const { unit, knob } = dimension;
  if (unit === "B" && knob) {
    for (const [size, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
      if (value >= size && value % size === 0) return `${value / size} ${name}`;
  }
  if (["s", "J", "W", "B", "B/s", "Hz", "Js"].includes(unit)) return engineering(value, unit);
  const text = Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en")
    : String(Number(value.toPrecision(4)));
  return unit ? `${text} ${unit}` : text;
}
function engineering(value, unit) {
  if (value === 0) return `0 ${unit}`;
  const step = Math.min(Math.max(Math.floor(Math.log10(Math.abs(value)) / 3 + 1e-9), -5), 5);
  const prefix = { "-5": "f", "-4": "p", "-3": "n", "-2": "µ", "-1": "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P" };
  return `${Number((value / 1000 ** step).toPrecision(4))} ${prefix[step]}${unit}`;
}
function percent(share) {
  return `${share > 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;
}

/** From a value to 0..1 and its ticks, between two ends, linear or logarithmic. */
function scale(low, high, log) {
  const into = log ? Math.log : value => value;
  const [a, b] = [into(low), into(high)];
  return { low, high, log, at: value => (b === a ? 0.5 : (into(value) - a) / (b - a)), ticks: ticks(low, high, log) };
}
function ticks(low, high, log) {
  if (log) {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
      for (const m of [1, 2, 5]) found.push(Number(`${m}e${e}`));
    const inside = found.filter(v => v >= low * 0.999 && v <= high * 1.001);
    if (inside.length > 9) return inside.filter(v => /^1(e|$|0*$|\.0)/.test(String(v)) || /^1/.test(v.toExponential()));
    if (inside.length >= 3) return inside;
  }
  if (high === low) return [low];
  const raw = (high - low) / 6, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map(m => m * size).find(s => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  return low > high ? [0, 1] : [low, high];
}

// Colours: viridis in ten steps (its ends, too dark or too bright for the page, left off), and for choices
// the Okabe-Ito set, which colour-blind readers can tell apart.
const VIRIDIS = ["#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"];
const CHOICES = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D46", "#999933"];
const dark = matchMedia("(prefers-color-scheme: dark)");
function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
function ramp() {
  return dark.matches && !matchMedia("print").matches ? VIRIDIS.slice(2) : VIRIDIS.slice(0, 9);
}
function between(share) {
  const colours = ramp(), at = Math.min(Math.max(share, 0), 1) * (colours.length - 1), low = Math.min(Math.floor(at), colours.length - 2);
  const mix = [1, 3, 5].map(i => {
    const [a, b] = [colours[low], colours[low + 1]].map(c => parseInt(c.slice(i, i + 2), 16));
    return Math.round(a + (b - a) * (at - low));
  });
  return `rgb(${mix.join(",")})`;
}

/** The colour of each point by the chosen dimension; null where none is chosen. */
function colouring() {
  const dimension = byName.get(chosen.colour);
  if (!dimension) return null;
  const plain = themed("point");
  if (dimension.labels && dimension.labels.length <= CHOICES.length)
    return { dimension, of: point => (dimension.values[point] === null ? plain : CHOICES[dimension.values[point]]) };
  const [low, high] = extent(dimension.values);
  const by = scale(low, high, low > 0 && high / low > 30);
  return { dimension, by, of: point => (dimension.values[point] === null ? plain : between(by.at(dimension.values[point]))) };
}

/** Whether a point lies within every brushed range of the parallel coordinates. */
function kept(point) {
  for (const [name, [low, high]] of chosen.brushes) {
    const value = byName.get(name).values[point];
    if (value === null || value < low || value > high) return false;
  }
  return true;
}
function visible(point) {
  return chosen.limits || study.points.feasible[point] === 1;
}
function select(point) {
  chosen.selected = chosen.selected === point ? -1 : point;
  changed();
}
