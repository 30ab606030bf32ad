// What is known of the selected design: knobs, quantities, where time and energy go, what events found.

const BOUND = { compute: "#0072B2", memory: "#D55E00", link: "#009E73", launch: "#CC79A7" };
const STALLS = { work: "#0072B2", dependent: "#999999", dram: "#D55E00", operand: "#E69F00", unit: "#CC79A7", bank: "#F0E442", drain: "#56B4E9", launch: "#009E73" };
const CAUSES = { compute: "#0072B2", scratchpad: "#E69F00", accumulator: "#009E73", dram: "#D55E00", static: "#999999" };
const panel = document.getElementById("panel");
const below = document.getElementById("breakdown");
let told_of = null;

function drawDetail() {
  const point = chosen.selected;
  if (point === told_of) return;
  told_of = point;
  below.hidden = point < 0;
  if (point < 0) {
    panel.replaceChildren(element("h2", {}, "No design selected"),
      element("p", { class: "quiet" }, "Click a point, a row of the front's table, or press the arrow keys and Enter in the plot: its knobs, its quantities and where its time and energy go appear here."));
    return;
  }
  const confirmed = study.confirmed[point], file = study.files[point];
  panel.replaceChildren(...[
    element("h2", {}, `Design ${study.points.design[point]}`),
    tags(point, confirmed, file),
    study.points.feasible[point] ? null : element("p", { class: "note" }, study.reasons[study.points.reason[point]] || "infeasible"),
    confirmed?.state === "failed" ? element("p", { class: "note" }, `Not confirmed by events: ${confirmed.reason}`) : null,
    element("h3", {}, "Quantities"), quantityTable(point, confirmed),
    element("h3", {}, "Knobs"), knobList(point),
    file?.command ? element("h3", {}, "Simulate it") : null, file?.command ? element("code", {}, file.command) : null,
  ].filter(Boolean));
  panel.scrollTop = 0;
  below.replaceChildren(...[element("h2", {}, `Where time and energy of design ${study.points.design[point]} go`), ...breakdownOf(point, confirmed)]);
}

function tags(point, confirmed, file) {
  const tag = (text, bad) => element("span", { class: bad ? "tag bad" : "tag" }, text);
  return element("p", {}, ...[
    onFront[point] ? tag("on the front") : null,
    study.points.feasible[point] ? null : tag("breaks a limit", true),
    confirmed ? (confirmed.state === "simulated" ? tag("simulated by events") : tag("simulation failed", true)) : null,
    file ? tag(file.why) : null,
    study.points.round ? element("span", { class: "quiet" }, `round ${study.points.round[point]}`) : null,
  ].filter(Boolean));
}

function quantityTable(point, confirmed) {
  const events = confirmed?.state === "simulated";
  const head = ["", "closed form", ...(events ? ["by events", "difference"] : [])];
  const rows = study.quantities.map(({ name }) => {
    const dimension = byName.get(name), value = dimension.values[point], after = events ? byEvents(point, name) : null;
    const cells = [told(value, dimension)];
    if (events) cells.push(after === null ? "" : told(after, dimension), after === null || !value ? "" : percent(after / value - 1));
    const measured = dimension.meaning === "measured";
    return element("tr", {}, element("td", { title: dimension.meaning }, name, measured ? element("span", { class: "quiet" }, " measured") : null),
      ...cells.map(text => element("td", { class: "n" }, text)));
  });
  return element("div", { class: "wide" }, element("table", { id: "quantities" },
    element("thead", {}, element("tr", {}, ...head.map((text, i) => element("th", { class: i ? "n" : null, scope: "col" }, text)))),
    element("tbody", {}, ...rows)));
}

function knobList(point) {
  const active = dimensions.filter(d => d.knob && d.values[point] !== null);
  return pairs(active.map(d => [d.name, told(d.values[point], d)]));
}

// -- where time and energy go ------------------------------------------------------------------------

function breakdownOf(point, confirmed) {
  const known = study.breakdowns[point], made = [], columns = element("div", { class: "columns" });
  if (!known) made.push(element("p", { class: "quiet" }, "The breakdown is kept for the chosen designs and others along the front, not for this one; siliform estimate prints it for any design."));
  else if (known.reason) made.push(element("p", { class: "note" }, known.reason));
  else columns.append(...closedForm(known));
  if (confirmed?.state === "simulated") {
    columns.append(...byEventsBars(confirmed));
    const timeline = document.getElementById(`timeline-${point}`);
    made.push(columns, element("h3", {}, "What ran when, by events"),
      element("div", { class: "wide", id: "timeline" }, timeline.content.cloneNode(true)),
      element("p", { class: "quiet" }, "A row per group of modules; the pale part of a bar's height is the share of its time that it waited."));
  } else made.push(columns);
  return made;
}

function closedForm(known) {
  const most = Math.max(...known.modules.map(m => m.cycles)), found = [];
  const modules = known.modules.map(m => [m.times > 1 ? `${m.name} ×${m.times}` : m.name,
    Object.entries(m.bound).map(([bound, cycles]) => [BOUND[bound], cycles / most, `${bound}-bound: ${cycles.toLocaleString("en")} cycles`]),
    `${(100 * m.cycles / known.cycles).toFixed(1)} %`,
    `${m.cycles.toLocaleString("en")} cycles, ${engineering(m.dram_bytes, "B")} of DRAM, ${engineering(m.macs, "MACs")}${m.energy_j === null ? "" : `, ${engineering(m.energy_j, "J")}`}`]);
  found.push(block("Time by module, closed form", modules, BOUND, known.modules.flatMap(m => Object.keys(m.bound)), " bound"));
  const side = element("div");
  if (known.energy_by_cause_j) side.append(shares("Energy by cause", known.energy_by_cause_j, "J", CAUSES));
  if (Object.values(known.area_parts_mm2).every(area => area !== null) && Object.keys(known.area_parts_mm2).length)
    side.append(shares("Area by part", known.area_parts_mm2, "mm²", {}));
  found.push(side);
  return found;
}

function byEventsBars(confirmed) {
  const most = Math.max(...confirmed.modules.map(m => m.cycles));
  const modules = confirmed.modules.map(m => {
    const lost = Object.values(m.stalls_cycles).reduce((a, b) => a + b, 0);
    const split = Object.entries({ work: Math.max(m.cycles - lost, 0), ...m.stalls_cycles });
    return [m.times > 1 ? `${m.name} ×${m.times}` : m.name,
      split.map(([cause, cycles]) => [STALLS[cause], cycles / most, `${cause}: ${cycles.toLocaleString("en")} cycles`]), m.cycles.toLocaleString("en"), "cycles of its nodes, which may run beside others"];
  });
  const busy = confirmed.resources.map(use => [use.name, [[BOUND.compute, use.busy_share, "busy"]], `${(100 * use.busy_share).toFixed(1)} %`, `waited for: ${use.waited_cycles.toLocaleString("en")} cycles`]);
  const causes = ["work", ...new Set(confirmed.modules.flatMap(m => Object.keys(m.stalls_cycles)))];
  return [block("Work and stalls by module, by events", modules, STALLS, causes),
    element("div", {}, block("Busy share of resources, by events", busy, {}, []),
      element("p", { class: "quiet" }, `DRAM by ${confirmed.dram_model}; bound by ${confirmed.bottleneck} (closed form: ${confirmed.closed_bottleneck}).`))];
}

function shares(title, amounts, unit, colours) {
  const whole = Object.values(amounts).reduce((a, b) => a + b, 0) || 1, most = Math.max(...Object.values(amounts)) || 1;
  const ranked = Object.entries(amounts).sort((a, b) => b[1] - a[1]);
  const text = value => (unit === "J" ? engineering(value, "J") : `${Number(value.toPrecision(3))} ${unit}`);
  return block(title, ranked.map(([name, value]) => [name, [[colours[name] ?? BOUND.compute, value / most, name]], `${text(value)}, ${(100 * value / whole).toFixed(1)} %`, ""]), {}, []);
}

/** Rows of a name, stacked bars (colour, share of the longest, meaning), a number, and more about it. */
function block(title, rows, colours, used, suffix = "") {
  const cells = rows.flatMap(([name, bars, text, more]) => [
    element("span", { title: name }, name),
    element("div", { class: "stack", title: more }, ...bars.map(([colour, share, meaning]) => element("i", { style: `width:${(100 * share).toFixed(2)}%;background:${colour}`, title: meaning }))),
    element("b", {}, text)]);
  const keys = [...new Set(used)].map(name => element("span", {}, element("i", { class: "swatch", style: `background:${colours[name]}` }), name + suffix));
  return element("div", {}, element("h3", {}, title), element("div", { class: "meters" }, ...cells), element("div", { class: "legend" }, ...keys));
}
