// Parallel coordinates: a line a design over knobs and objectives; dragging along an axis keeps a range.

const lanes = document.getElementById("parallel");
const inner = element("div");
const lines = element("canvas", { "aria-hidden": "true" });
const marked = element("canvas", { "aria-hidden": "true" });
const frame = svg("svg", {});
inner.append(lines, marked, frame);
lanes.append(inner);
const LANE = { top: 44, bottom: 26, side: 64, least: 92, height: 330 };

/** Knobs that vary, the important ones where there are many, then the objectives. */
function laneDimensions() {
  const vary = dimensions.filter(d => d.knob && d.options.length > 1 && new Set(d.values).size > 1);
  const worth = d => study.worth[d.name] ?? 0;
  const ranked = [...vary].sort((a, b) => worth(b) - worth(a)).slice(0, 10);
  const knobs = allKnobs ? vary : vary.filter(d => ranked.includes(d) || chosen.brushes.has(d.name));
  document.getElementById("all-knobs").parentElement.hidden = vary.length <= 10;
  return [...knobs, ...study.objectives.map(name => byName.get(name)).filter(d => d && !knobs.includes(d))];
}

function laneScale(dimension) {
  if (dimension.knob) {
    const last = Math.max(dimension.options.length - 1, 1);
    const rank = dimension.labels ? null : new Map(dimension.options.map((value, i) => [value, i]));
    return { at: value => (rank ? rank.get(value) : value) / last, steps: dimension.options.map((v, i) => (dimension.labels ? i : v)) };
  }
  const [low, high] = extent(dimension.values);
  const by = scale(low, high, dimension.log && low > 0);
  return { at: by.at, steps: null, low, high, ticks: [low, ...by.ticks.filter(v => by.at(v) > 0.08 && by.at(v) < 0.92), high] };
}

let held = [], width = 0;
const y = share => LANE.top + (LANE.height - LANE.top - LANE.bottom) * (1 - share);
function drawParallel() {
  const shown = laneDimensions();
  width = Math.max(lanes.clientWidth, 2 * LANE.side + LANE.least * (shown.length - 1));
  const x = i => (shown.length < 2 ? width / 2 : LANE.side + ((width - 2 * LANE.side) * i) / (shown.length - 1));
  held = shown.map((dimension, i) => ({ dimension, scale: laneScale(dimension), x: x(i) }));
  inner.style.width = `${width}px`;
  drawLines();
  frame.setAttribute("width", width);
  frame.setAttribute("height", LANE.height);
  const focus = document.activeElement?.dataset?.dimension;
  frame.replaceChildren(...held.map(laneAxis));
  if (focus) frame.querySelector(`[data-dimension="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  const left = [...Array(count).keys()].filter(point => visible(point) && kept(point)).length;
  const all = [...Array(count).keys()].filter(visible).length;
  document.getElementById("kept").textContent = chosen.brushes.size
    ? `${left.toLocaleString("en")} of ${all.toLocaleString("en")} designs lie in the ranges` : "";
  document.getElementById("clear").hidden = !chosen.brushes.size;
}

/** A canvas over the whole, emptied, and how to draw a design's line on it; where a knob is inactive it breaks. */
function lineOn(canvas) {
  const ratio = Math.max(devicePixelRatio, 1), context = canvas.getContext("2d");
  canvas.width = width * ratio;
  canvas.height = LANE.height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${LANE.height}px`;
  context.scale(ratio, ratio);
  return (point, colour, alpha, wide) => {
    context.strokeStyle = colour;
    context.globalAlpha = alpha;
    context.lineWidth = wide;
    context.beginPath();
    let pen = false;
    for (const { dimension, scale, x } of held) {
      const value = dimension.values[point];
      if (value === null) { pen = false; continue; }
      if (pen) context.lineTo(x, y(scale.at(value))); else context.moveTo(x, y(scale.at(value)));
      pen = true;
    }
    context.stroke();
  };
}
function drawMarkedLines() {
  const line = lineOn(marked);
  for (const point of [chosen.hover, chosen.selected]) if (point >= 0) line(point, themed("mark"), 1, 2.5);
}
function drawLines() {
  const line = lineOn(lines), colours = colouring(), [plain, accent] = ["point", "accent"].map(themed);
  const faint = Math.min(0.35, 60 / Math.sqrt(count) / 10);
  for (const front of [0, 1])
    for (let point = 0; point < count; point++)
      if (onFront[point] === front && visible(point)) {
        const colour = colours ? colours.of(point) : front ? accent : plain;
        line(point, colour, kept(point) ? (front ? 0.85 : faint) : 0.03, front ? 1.5 : 1);
      }
}

function cut(text, letters) {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}
function laneAxis({ dimension, scale, x }) {
  const apart = held.length > 1 ? held[1].x - held[0].x : width, letters = Math.floor(apart / 7.1);
  const short = dimension.name.length > letters ? `…${dimension.name.slice(1 - letters)}` : dimension.name;
  const made = [svg("path", { class: "axis", d: `M${x} ${y(1)}V${y(0)}` }),
    svg("text", { x, y: 14, "text-anchor": "middle", class: "axis-name" }, short, svg("title", {}, `${dimension.name}: ${dimension.meaning || ""}`))];
  if (dimension.goal) made.push(svg("text", { x, y: 30, "text-anchor": "middle", class: "tick" }, `${dimension.goal} is best`));
  let above = Infinity;
  for (const value of scale.steps ?? scale.ticks) {
    const end = value === scale.high;  // the largest value is always told, others where there is room
    if (!end && (above - y(scale.at(value)) < 17 || (!scale.steps && y(scale.at(value)) - y(1) < 17))) continue;
    above = y(scale.at(value));
    made.push(svg("path", { class: "axis", d: `M${x - 3} ${y(scale.at(value))}H${x + 3}` }),
              svg("text", { class: "tick", x: x - 6, y: y(scale.at(value)) + 4, "text-anchor": "end" }, cut(told(value, dimension), letters), svg("title", {}, told(value, dimension))));
  }
  const range = chosen.brushes.get(dimension.name);
  if (range) {
    const [low, high] = range.map(value => y(Math.min(Math.max(scale.at(value), 0), 1)));
    made.push(svg("rect", { class: "brush", x: x - 9, y: high - 5, width: 18, height: low - high + 10, rx: 3 }));
  }
  const about = range ? `kept from ${told(range[0], dimension)} to ${told(range[1], dimension)}` : "everything kept";
  made.push(svg("rect", { x: x - 22, y: y(1) - 8, width: 44, height: y(0) - y(1) + 16, fill: "transparent" }));
  return svg("g", { class: "dim", tabindex: 0, role: "group", "data-dimension": dimension.name, "aria-label": `${dimension.name}: ${about}`,
    pointerdown: event => startBrush(event, dimension, scale), keydown: event => keyBrush(event, dimension, scale) }, ...made);
}

function startBrush(event, dimension, scale) {
  const top = frame.getBoundingClientRect().top, from = event.clientY - top;
  const share = at => Math.min(Math.max((y(0) - at) / (y(0) - y(1)), 0), 1);
  const move = moved => {
    const to = moved.clientY - top;
    if (Math.abs(to - from) < 4) chosen.brushes.delete(dimension.name);
    else setBrush(dimension, scale, ...[share(from), share(to)].sort((a, b) => a - b));
    changed();
  };
  const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
  chosen.brushes.delete(dimension.name);
  lanes.classList.add("by-pointer");
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  changed();
}

/** Keep what lies between two shares of an axis: of a knob whole steps, of which one at least. */
function setBrush(dimension, scale, low, high) {
  if (scale.steps) {
    const inside = scale.steps.filter(v => scale.at(v) >= low - 1e-9 && scale.at(v) <= high + 1e-9);
    const middle = scale.steps.reduce((a, b) => (Math.abs(scale.at(b) - (low + high) / 2) < Math.abs(scale.at(a) - (low + high) / 2) ? b : a));
    chosen.brushes.set(dimension.name, inside.length ? [inside[0], inside.at(-1)] : [middle, middle]);
    return;
  }
  const values = dimension.values.filter(v => v !== null && scale.at(v) >= low && scale.at(v) <= high);
  chosen.brushes.set(dimension.name, values.length ? extent(values) : [scale.high * 2 + 1, scale.high * 2 + 1]);
}

/** Up raises the lower end, Down lowers the upper end, with Shift they widen again; Escape keeps everything. */
function keyBrush(event, dimension, scale) {
  const stops = scale.steps ?? [...new Set(dimension.values.filter(v => v !== null))].sort((a, b) => a - b);
  const stride = Math.max(1, Math.round(stops.length / 20)), last = stops.length - 1;
  const range = chosen.brushes.get(dimension.name) ?? [stops[0], stops[last]];
  let [low, high] = [Math.max(stops.findIndex(v => v >= range[0]), 0), stops.findLastIndex(v => v <= range[1])];
  if (event.key === "Escape") chosen.brushes.delete(dimension.name);
  else if (event.key === "ArrowUp" && event.shiftKey) high = Math.min(high + stride, last);
  else if (event.key === "ArrowUp") low = Math.min(low + stride, high);
  else if (event.key === "ArrowDown" && event.shiftKey) low = Math.max(low - stride, 0);
  else if (event.key === "ArrowDown") high = Math.max(high - stride, low);
  else return;
  if (event.key !== "Escape") {
    if (low === 0 && high === last) chosen.brushes.delete(dimension.name);
    else chosen.brushes.set(dimension.name, [stops[low], stops[high]]);
  }
  lanes.classList.remove("by-pointer");
  event.preventDefault();
  changed();
}
