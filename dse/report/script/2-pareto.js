// The plot of two quantities: canvas for the many points, SVG for axes, limits and the front.

const chart = document.getElementById("chart");
const canvas = element("canvas", { "aria-hidden": "true" });
const overlay = svg("svg", { "aria-hidden": "true" });
const tip = element("div", { class: "tip", hidden: true });
const speech = element("div", { class: "unseen", "aria-live": "polite", id: "speech" });
chart.append(canvas, overlay, tip, speech);
const EDGE = { left: 78, right: 18, top: 12, bottom: 50 };
const drawnMarks = svg("g");
let drawnX = null, drawnY = null, size = [0, 0];

function place(point) {
  const [x, y] = [byName.get(chosen.x).values[point], byName.get(chosen.y).values[point]];
  return x === null || y === null ? null : spot(x, y);
}
function spot(x, y) {
  const inside = [size[0] - EDGE.left - EDGE.right, size[1] - EDGE.top - EDGE.bottom];
  return [EDGE.left + inside[0] * drawnX.at(x), EDGE.top + inside[1] * (1 - drawnY.at(y))];
}
function within([x, y]) {
  return x >= EDGE.left - 1 && x <= size[0] - EDGE.right + 1 && y >= EDGE.top - 1 && y <= size[1] - EDGE.bottom + 1;
}

/** What the event simulator says of a point's dimension; null where it says nothing. */
function byEvents(point, name) {
  const events = study.confirmed[point]?.events;
  if (!events) return null;
  const { latency_s, energy_j } = events;
  const derived = { edp_js: energy_j && energy_j * latency_s, power_watts: energy_j && energy_j / latency_s };
  return events[name] ?? derived[name] ?? null;
}

function axis(name, log) {
  const dimension = byName.get(name);
  const points = chosen.zoom ? study.front : [...dimension.values.keys()].filter(visible);
  let [low, high] = extent(points.flatMap(point => {
    const value = dimension.values[point], after = byEvents(point, name);
    return after === null || value === null ? [value] : [value, after];
  }));
  const useLog = log && low > 0;
  if (useLog) { const pad = (high / low) ** 0.05 || 1.05; low /= Math.max(pad, 1.01); high *= Math.max(pad, 1.01); }
  else { const pad = (high - low || Math.abs(high) || 1) * 0.05; low -= pad; high += pad; }
  return scale(low, high, useLog);
}

function drawPareto() {
  size = [chart.clientWidth, chart.clientHeight];
  drawnX = axis(chosen.x, chosen.logx);
  drawnY = axis(chosen.y, chosen.logy);
  const colours = colouring();
  drawPoints(colours);
  overlay.replaceChildren(...axes(), ...limits(), ...stairs(), ...ranges(), ...events(), ...frontDots(colours), drawnMarks);
  drawLegend(colours);
}
function drawMarks() {
  if (chosen.hover >= 0 && !visible(chosen.hover)) chosen.hover = -1;
  drawnMarks.replaceChildren(...marks());
  showTip();
}

function drawPoints(colours) {
  const ratio = Math.max(devicePixelRatio, 1), context = canvas.getContext("2d");
  canvas.width = size[0] * ratio;
  canvas.height = size[1] * ratio;
  context.scale(ratio, ratio);
  context.beginPath();
  context.rect(EDGE.left, EDGE.top, size[0] - EDGE.left - EDGE.right, size[1] - EDGE.top - EDGE.bottom);
  context.clip();
  const [plain, broken] = [themed("point"), themed("warn")];
  for (let point = 0; point < count; point++) {
    if (onFront[point] || !visible(point)) continue;
    const at = place(point);
    if (!at) continue;
    context.globalAlpha = kept(point) ? 0.6 : 0.07;
    if (study.points.feasible[point]) {
      context.fillStyle = colours ? colours.of(point) : plain;
      context.beginPath();
      context.arc(at[0], at[1], 2.8, 0, 7);
      context.fill();
    } else {
      context.strokeStyle = broken;
      context.lineWidth = 1.2;
      context.beginPath();
      for (const side of [-1, 1]) { context.moveTo(at[0] - 2.6, at[1] - 2.6 * side); context.lineTo(at[0] + 2.6, at[1] + 2.6 * side); }
      context.stroke();
    }
  }
}

function axes() {
  const [right, bottom] = [size[0] - EDGE.right, size[1] - EDGE.bottom], made = [];
  const [x, y] = [byName.get(chosen.x), byName.get(chosen.y)];
  const marked = (dimension, drawn, most) => {
    const all = dimension.labels ? dimension.labels.map((_, i) => i) : drawn.ticks;
    const inside = all.filter(v => drawn.at(v) >= 0 && drawn.at(v) <= 1);
    const every = Math.ceil(inside.length / most);
    return inside.filter((_, i) => i % every === 0);
  };
  for (const value of marked(x, drawnX, Math.max(2, Math.floor(size[0] / 90)))) {
    const at = spot(value, drawnY.low)[0];
    made.push(svg("path", { class: "grid", d: `M${at} ${EDGE.top}V${bottom}` }),
              svg("text", { class: "tick", x: at, y: bottom + 18, "text-anchor": "middle" }, told(value, x)));
  }
  for (const value of marked(y, drawnY, 12)) {
    const at = spot(drawnX.low, value)[1];
    made.push(svg("path", { class: "grid", d: `M${EDGE.left} ${at}H${right}` }),
              svg("text", { class: "tick", x: EDGE.left - 8, y: at + 4, "text-anchor": "end" }, told(value, y)));
  }
  const named = d => `${d.name}${d.goal ? (d.goal === "most" ? " (more is better)" : " (less is better)") : ""}`;
  made.push(svg("path", { class: "axis", d: `M${EDGE.left} ${EDGE.top}V${bottom}H${right}` }),
            svg("text", { class: "axis-name", x: (EDGE.left + right) / 2, y: size[1] - 8, "text-anchor": "middle" }, named(x)),
            svg("text", { class: "axis-name", transform: `translate(14 ${(EDGE.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, named(y)));
  return made;
}

/** Limits on the two quantities: a dashed line, and shade where no design may be. */
function limits() {
  const [right, bottom] = [size[0] - EDGE.right, size[1] - EDGE.bottom], made = [];
  for (const { name, at_most, at_least, text } of study.constraints) {
    const bound = at_most ?? at_least;
    if (typeof bound !== "number") continue;
    if (name === chosen.x && (!drawnX.log || bound > 0)) {
      const at = spot(bound, drawnY.low)[0];
      if (at < EDGE.left || at > right) continue;
      const [from, to] = at_most === null ? [EDGE.left, at] : [at, right];
      made.push(svg("rect", { class: "forbidden", x: from, y: EDGE.top, width: to - from, height: bottom - EDGE.top }),
                svg("path", { class: "limit", d: `M${at} ${EDGE.top}V${bottom}` }),
                svg("text", { class: "limit-name", x: at - 6, y: EDGE.top + 12, "text-anchor": "end" }, text));
    }
    if (name === chosen.y && (!drawnY.log || bound > 0)) {
      const at = spot(drawnX.low, bound)[1];
      if (at < EDGE.top || at > bottom) continue;
      const [from, to] = at_most === null ? [at, bottom] : [EDGE.top, at];
      made.push(svg("rect", { class: "forbidden", x: EDGE.left, y: from, width: right - EDGE.left, height: to - from }),
                svg("path", { class: "limit", d: `M${EDGE.left} ${at}H${right}` }),
                svg("text", { class: "limit-name", x: right - 4, y: at + 15, "text-anchor": "end" }, text));
    }
  }
  return made;
}

/** Where both axes are objectives: the steps between what the front reaches in these two alone. */
function stairs() {
  const [x, y] = [byName.get(chosen.x), byName.get(chosen.y)];
  if (!x.goal || !y.goal || x === y) return [];
  const sign = d => (d.goal === "most" ? -1 : 1);
  const found = study.front.map(p => [x.values[p], y.values[p]]).filter(([a, b]) => a !== null && b !== null);
  found.sort((a, b) => sign(x) * (a[0] - b[0]) || sign(y) * (a[1] - b[1]));
  let best = Infinity, path = "";
  for (const [a, b] of found) {
    if (sign(y) * b >= best) continue;
    best = sign(y) * b;
    const at = spot(a, b);
    path += path ? `H${at[0].toFixed(1)}V${at[1].toFixed(1)}` : `M${at[0].toFixed(1)} ${at[1].toFixed(1)}`;
  }
  return [svg("path", { class: "stairs", d: path })];
}

/** The intervals of measured quantities, where NAME_low and NAME_high stand beside NAME. */
function ranges() {
  const made = [];
  for (const side of ["x", "y"]) {
    const [low, high] = ["low", "high"].map(end => byName.get(`${chosen[side]}_${end}`));
    if (!low || !high) continue;
    for (const point of study.front) {
      const at = place(point);
      if (!at || low.values[point] === null || high.values[point] === null) continue;
      if (!within(at)) continue;
      const ends = [low, high].map(d => (side === "x"
        ? Math.min(Math.max(spot(d.values[point], drawnY.low)[0], EDGE.left), size[0] - EDGE.right)
        : Math.min(Math.max(spot(drawnX.low, d.values[point])[1], EDGE.top), size[1] - EDGE.bottom)));
      made.push(svg("path", { class: "range", d: side === "x" ? `M${ends[0]} ${at[1]}H${ends[1]}` : `M${at[0]} ${ends[0]}V${ends[1]}` }));
    }
  }
  return made;
}

/** From the closed form of a confirmed design to what events found. */
function events() {
  const made = [];
  for (const key of Object.keys(study.confirmed)) {
    const point = Number(key), from = place(point);
    const after = [chosen.x, chosen.y].map(name => byEvents(point, name) ?? byName.get(name).values[point]);
    if (!from || after.includes(null) || (byEvents(point, chosen.x) ?? byEvents(point, chosen.y)) === null) continue;
    const [x, y] = spot(...after);
    if (!within([x, y])) continue;
    made.push(svg("path", { class: "events-line", d: `M${from[0]} ${from[1]}L${x} ${y}` }),
              svg("path", { class: "events", d: `M${x - 4.5} ${y}l4.5 -4.5l4.5 4.5l-4.5 4.5z` }));
  }
  return made;
}

function frontDots(colours) {
  return study.front.flatMap(point => {
    const at = place(point);
    if (!at || !within(at)) return [];
    const fill = colours ? colours.of(point) : themed("accent");
    return [svg("circle", { class: kept(point) ? "front" : "front out", "data-point": point, cx: at[0], cy: at[1], r: 5.2, style: `fill:${fill}` })];
  });
}

function marks() {
  const made = [];
  for (const [point, kind, r] of [[chosen.selected, "ring", 9], [chosen.hover, "hover", 7.5]]) {
    const at = point < 0 || !visible(point) ? null : place(point);
    if (at && within(at)) made.push(svg("circle", { class: kind, cx: at[0], cy: at[1], r }));
  }
  return made;
}

function drawLegend(colours) {
  const legend = document.getElementById("legend"), made = [];
  const dot = (colour, text) => element("span", {}, element("i", { class: "swatch", style: `background:${colour}` }), text);
  if (!colours) made.push(dot(themed("accent"), "on the front"), dot(themed("point"), "beaten by others"));
  else if (!colours.by) made.push(...colours.dimension.labels.map((label, i) => dot(CHOICES[i], label)));
  else made.push(element("span", {}, told(colours.by.low, colours.dimension),
    element("i", { class: "ramp", style: `background:linear-gradient(90deg,${ramp().join(",")})` }), told(colours.by.high, colours.dimension)));
  if (chosen.limits && study.points.feasible.includes(0)) made.push(element("span", {}, "× breaks a limit"));
  if (Object.keys(study.confirmed).length) made.push(element("span", {}, "◇ as events find it"));
  legend.replaceChildren(...made);
}

// -- pointer and keys --------------------------------------------------------------------------------

function nearestTo(event) {
  const box = chart.getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
  let best = -1, least = 14 ** 2;
  for (let point = 0; point < count; point++) {
    if (!visible(point)) continue;
    const at = place(point);
    if (!at || !within(at)) continue;
    const apart = (at[0] - x) ** 2 + (at[1] - y) ** 2 - (onFront[point] ? 30 : 0);
    if (apart < least) [best, least] = [point, apart];
  }
  return best;
}
function hover(point) {
  if (chosen.hover === point) return;
  chosen.hover = point;
  changed();
}
chart.addEventListener("pointermove", event => hover(nearestTo(event)));
chart.addEventListener("pointerleave", () => hover(-1));
chart.addEventListener("click", event => { const point = nearestTo(event); if (point >= 0) select(point); });
chart.addEventListener("blur", () => hover(-1));
chart.addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
  const x = byName.get(chosen.x), order = study.front.filter(p => place(p)).sort((a, b) => x.values[a] - x.values[b]);
  if (step && order.length) {
    const from = order.indexOf(chosen.hover >= 0 ? chosen.hover : chosen.selected);
    hover(order[from < 0 ? 0 : (from + step + order.length) % order.length]);
  } else if ((event.key === "Enter" || event.key === " ") && chosen.hover >= 0) select(chosen.hover);
  else if (event.key === "Escape") { chosen.hover = -1; chosen.selected = -1; changed(); }
  else return;
  event.preventDefault();
});

function showTip() {
  const point = chosen.hover, at = point < 0 ? null : place(point);
  tip.hidden = !at;
  if (!at) return;
  const named = [...new Set([...study.objectives, chosen.x, chosen.y, chosen.colour].filter(name => byName.has(name)))];
  const values = named.map(name => [name, told(byName.get(name).values[point], byName.get(name))]);
  const active = dimensions.filter(d => d.knob && !named.includes(d.name) && d.values[point] !== null);
  const knobs = active.slice(0, 12).map((d, i) => [d.name, told(d.values[point], d), i === 0]);
  const state = onFront[point] ? ", on the front" : study.points.feasible[point] ? "" : `, ${study.reasons[study.points.reason[point]] || "breaks a limit"}`;
  const title = `design ${study.points.design[point]}${state}`;
  tip.replaceChildren(element("b", {}, title), pairs([...values, ...knobs]));
  if (active.length > 12) tip.append(element("p", { class: "quiet" }, `and ${active.length - 12} more knobs`));
  const wide = tip.offsetWidth, high = tip.offsetHeight;
  tip.style.left = `${at[0] + 14 + wide > size[0] ? Math.max(at[0] - wide - 14, 0) : at[0] + 14}px`;
  tip.style.top = `${Math.min(Math.max(at[1] - high / 2, 0), Math.max(size[1] - high, 0))}px`;
  speech.textContent = `${title}: ${values.map(([name, text]) => `${name} ${text}`).join(", ")}`;
}
