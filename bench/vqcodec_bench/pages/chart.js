// Chart. A series is one curve, a row one point of it with the `value` that is drawn, a spot a row with its place.

const MARKERS = {
  circle: (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`,
  square: (r) => `M${-r * 0.9} ${-r * 0.9}h${r * 1.8}v${r * 1.8}h${-r * 1.8}Z`,
  up: (r) => `M0 ${-r * 1.2}L${r * 1.15} ${r * 0.85}H${-r * 1.15}Z`,
  diamond: (r) => `M0 ${-r * 1.3}L${r * 1.3} 0L0 ${r * 1.3}L${-r * 1.3} 0Z`,
  down: (r) => `M0 ${r * 1.2}L${r * 1.15} ${-r * 0.85}H${-r * 1.15}Z`,
  bar: (r) => `M${-r * 0.45} ${-r * 1.3}h${r * 0.9}v${r * 2.6}h${-r * 0.9}Z`,
};
const SHAPES = Object.keys(MARKERS);
const DASHES = ["7 4", "3 3", "10 3 3 3"];
const RANK = { published: 0, peer: 1, ours: 2 };
const RATE = MEDIUM.rate;
const chart = { metric: Object.keys(MEDIUM.metrics)[0], axis: "linear", limit: results[`widest_${RATE.key}`] ?? Infinity, item: "", spots: [] };
const canvas = byId("plot").querySelector("svg");
const series = allSeries();

function allSeries() {
  // A model without its prior is a variant: the model itself comes first.
  const names = sorted(unique(results.curves.map((row) => row.codec)), (name) => String(name.endsWith("-fixed")), false);
  const measured = [true, false].flatMap((ours) => names.filter((name) => isOurs(name) === ours).map((name, i) => ({
    kind: ours ? "ours" : "peer", name, label: labelOf(name), on: true, dash: null,
    marker: SHAPES[i % SHAPES.length], colour: ours ? `var(--ours-${i % 2})` : `var(--peer-${i % 6})`,
  })));
  const milestones = [/vtm|vvc/i, /hyperprior/i].map((pattern) => results.published.find(({ name }) => pattern.test(name)));
  const published = results.published.map((curve, i) => ({
    kind: "published", label: curve.label, on: milestones.includes(curve), curve, dash: DASHES[i % DASHES.length],
    marker: SHAPES[i % SHAPES.length], colour: `var(--published-${i % 4})`,
  }));
  return [...measured, ...published];
}

function pointsOf(one) {
  if (one.kind === "published") return chart.item ? [] : one.curve.points;
  if (!chart.item) return results.curves.filter((row) => row.codec === one.name);
  return results.points.filter((row) => row.codec === one.name && itemOf(row) === chart.item);
}

function rowsOf(one) {
  const rows = pointsOf(one).map((point) => ({ one, point, rate: point[RATE.key], value: MEDIUM.metrics[chart.metric].of(point) }));
  return rows.filter((row) => row.rate > 0 && Number.isFinite(row.value)).sort((a, b) => a.rate - b.rate);
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const length = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

function logTicks(low, high) {
  const steps = [-5, -4, -3, -2, -1, 0, 1, 2].flatMap((power) => [1, 2, 5].map((factor) => Number(`${factor}e${power}`)));
  return steps.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

function scale(low, high, from, to, bend = (value) => value) {
  return (value) => from + ((bend(value) - bend(low)) / (bend(high) - bend(low))) * (to - from);
}

// The part of a curve up to `limit`, and where it leaves the chart if it goes on.
function cut(rows, limit, x) {
  const inside = rows.filter((row) => row.rate <= limit);
  const [before, after] = [inside.at(-1), rows[inside.length]];
  const share = before && after && (x(limit) - x(before.rate)) / (x(after.rate) - x(before.rate));
  return { inside, exit: share === undefined ? null : { rate: limit, value: before.value + share * (after.value - before.value) } };
}

function drawChart() {
  const width = Math.max(byId("plot").clientWidth, 240);
  const height = Math.round(Math.min(Math.max(width * 0.55, 330), 540));
  const labelled = width > 640;
  const box = { left: 44, right: width - (labelled ? 104 : 14), top: 34, bottom: height - 48 };
  const curves = series.filter((one) => one.on).map(rowsOf).filter((rows) => rows.length);
  const rows = curves.flat();
  // Of all series, so that the axis stays where it is as curves come and go.
  const limit = Math.min(chart.limit, Math.max(...series.flatMap(rowsOf).map((row) => row.rate)) * 1.02);
  const title = svg("text", { class: "title y-title", x: 0, y: 14 }, MEDIUM.metrics[chart.metric].title);
  hideTooltip();
  fill(canvas, { viewBox: `0 0 ${width} ${height}`, height });
  noteCut(rows.filter((row) => row.rate > limit).length);
  chart.spots = [];
  if (!rows.some((row) => row.rate <= limit)) {
    return canvas.replaceChildren(title, svg("text", { x: box.left, y: 60 }, "No points to draw."));
  }
  const bend = chart.axis === "log" ? Math.log : undefined;
  const low = bend ? logTicks(1e-5, Math.min(...rows.map((row) => row.rate), limit / 2)).at(-1) : 0;
  const x = scale(low, limit, box.left, box.right, bend);
  const parts = curves.map((curve) => cut(curve, limit, x)).filter(({ inside }) => inside.length);
  parts.sort((a, b) => RANK[a.inside[0].one.kind] - RANK[b.inside[0].one.kind]);
  const values = parts.flatMap(({ inside, exit }) => [...inside, exit ?? inside[0]].map((row) => row.value));
  const slack = (Math.max(...values) - Math.min(...values)) * 0.04 || 1;
  const [worst, best] = [Math.min(...values) - slack, Math.max(...values) + slack];
  const y = scale(worst, best, box.bottom, box.top);
  const across = (bend ? logTicks(low, limit) : ticks(0, limit, width < 500 ? 5 : 10)).map((value) => [x(value), value]);
  chart.spots = parts.flatMap(({ inside }) => inside.map((row) => ({ ...row, x: x(row.rate), y: y(row.value) })));
  canvas.replaceChildren(
    title, ...drawAxes(box, across, ticks(worst, best, 9).map((value) => [y(value), value])),
    ...parts.map((part) => drawSeries(part, x, y)),
    ...(labelled ? drawLabels(parts, x, y, width) : []),
    svg("path", { class: "halo", hidden: "" }));
}

function drawAxes(box, across, up) {
  const rate = `${RATE.title}${chart.axis === "log" ? ", logarithmic" : ""}`;
  return [
    ...up.map(([y]) => svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y })),
    ...across.map(([x]) => svg("line", { class: "grid", x1: x, x2: x, y1: box.top, y2: box.bottom })),
    svg("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }),
    ...up.map(([y, value]) => svg("text", { x: box.left - 7, y: y + 4, "text-anchor": "end" }, number(value))),
    ...across.map(([x, value]) => svg("text", { x, y: box.bottom + 18, "text-anchor": "middle" }, number(value))),
    svg("text", { class: "title x-title", x: (box.left + box.right) / 2, y: box.bottom + 40, "text-anchor": "middle" }, rate),
  ];
}

const look = (one) => ({ class: `series ${one.kind}`, style: `color: ${one.colour}`, "data-series": series.indexOf(one) });

function drawSeries({ inside, exit }, x, y) {
  const { one } = inside[0];
  const marker = MARKERS[one.marker]({ ours: 6, peer: 3.6, published: 2.6 }[one.kind]);
  const path = [...inside, ...(exit ? [exit] : [])].map((row) => `${x(row.rate).toFixed(1)} ${y(row.value).toFixed(1)}`);
  return svg("g", look(one),
    path.length > 1 ? svg("path", { class: "curve", d: `M${path.join("L")}`, "stroke-dasharray": one.dash }) : null,
    inside.map((row) => svg("path", { class: "marker", d: marker, transform: `translate(${x(row.rate)} ${y(row.value)})` })));
}

// A name at the right end of every curve, moved down where it would lie on another.
function drawLabels(parts, x, y, width) {
  const labels = parts.map(({ inside, exit }) => {
    const { one } = inside[0];
    const end = exit ?? inside.at(-1);
    const text = one.kind === "ours" ? one.label : one.label.split(" (")[0];
    const length = text.length * 7 + 4;
    return { one, text, length, x: Math.min(x(end.rate) + (exit ? 6 : 11), width - length), y: y(end.value) + (one.kind === "ours" ? 16 : 4) };
  });
  const placed = [];
  for (const label of labels.sort((a, b) => a.y - b.y)) {
    const hit = (other) => Math.abs(other.y - label.y) < 14 && label.x < other.x + other.length && other.x < label.x + label.length;
    while (placed.some(hit)) label.y += 1;
    placed.push(label);
  }
  return placed.map((label) => svg("g", look(label.one), svg("text", { class: "direct", x: label.x, y: label.y }, label.text)));
}

function noteCut(count) {
  const beyond = `${counted(count, "point")} beyond ${number(chart.limit)} ${RATE.label} ${count === 1 ? "is" : "are"} not drawn; a wider range shows them.`;
  const published = chart.item
    ? "Published curves are means over the Kodak pictures, so none is drawn for a single picture."
    : "Dashed curves are figures that others have published for the Kodak pictures, not measured here.";
  byId("chart-note").textContent = [count && beyond, results.published.length && published].filter(Boolean).join(" ");
}

function showTooltip({ one, point, x, y }) {
  const measured = Object.entries(MEDIUM.metrics).map(([name, { label, digits, suffix }]) => [label, point[name], digits, suffix?.(point)]);
  const facts = [[RATE.label, point[RATE.key], RATE.digits], ...MEDIUM.sizes(point), ...measured].filter(([, value]) => typeof value === "number");
  const heading = [one.label, one.kind === "published" ? "published" : setting(one.name, point.quality)].filter(Boolean).join(", ");
  const tooltip = byId("tooltip");
  tooltip.replaceChildren(
    html("strong", { style: `border-color: ${one.colour}` }, heading),
    html("dl", {}, facts.flatMap(([term, value, digits, unit = ""]) => [html("dt", {}, term), html("dd", {}, number(value, digits) + unit)])));
  tooltip.hidden = false;
  // Right of the point, or left of it, or over or under it: never on it.
  const { clientWidth, clientHeight } = byId("plot");
  const { offsetWidth, offsetHeight } = tooltip;
  const within = (value, most) => Math.min(Math.max(0, value), most);
  const beside = [x + 16, x - 16 - offsetWidth].find((place) => place >= 0 && place + offsetWidth <= clientWidth);
  const left = beside ?? within(x - offsetWidth / 2, clientWidth - offsetWidth);
  const top = beside === undefined ? (y < offsetHeight + 16 ? y + 16 : y - 16 - offsetHeight) : within(y - offsetHeight / 2, clientHeight - offsetHeight);
  tooltip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  const halo = canvas.querySelector(".halo");
  fill(halo, { d: MARKERS.circle(one.kind === "ours" ? 10 : 8), transform: `translate(${x} ${y})`, style: `color: ${one.colour}` });
  halo.removeAttribute("hidden");
  emphasise(one);
}

function hideTooltip() {
  byId("tooltip").hidden = true;
  canvas.querySelector(".halo")?.setAttribute("hidden", "");
  emphasise(null);
}

function emphasise(one) {
  const groups = [...canvas.querySelectorAll(".series")];
  for (const group of groups) group.classList.toggle("active", Number(group.dataset.series) === series.indexOf(one));
  canvas.classList.toggle("picked", groups.some((group) => group.classList.contains("active")));
}

function pointAt(event) {
  const frame = canvas.getBoundingClientRect();
  const distance = (spot) => Math.hypot(spot.x - (event.clientX - frame.left), spot.y - (event.clientY - frame.top));
  const nearest = chart.spots.reduce((best, spot) => (best && distance(best) <= distance(spot) ? best : spot), null);
  if (nearest && distance(nearest) < 36) showTooltip(nearest);
  else hideTooltip();
}

function legendButton(one) {
  const swatch = svg("svg", { width: 30, height: 14, viewBox: "-15 -7 30 14", class: one.kind, style: `color: ${one.colour}`, "aria-hidden": "true" },
    svg("path", { class: "curve", d: "M-14 0H14", "stroke-dasharray": one.dash }),
    svg("path", { class: "marker", d: MARKERS[one.marker](one.kind === "ours" ? 5 : 3.6) }));
  const toggle = () => {
    one.on = !one.on;
    button.setAttribute("aria-pressed", one.on);
    drawChart();
    emphasise(one);
  };
  const [pick, leave] = [() => emphasise(one), () => emphasise(null)];
  const button = html("button", { type: "button", "aria-pressed": one.on, onclick: toggle, onpointerenter: pick, onpointerleave: leave, onfocus: pick, onblur: leave },
    swatch, one.label);
  return button;
}

function setUpChart() {
  const change = (name) => (value) => {
    chart[name] = value;
    for (const button of byId("legend").querySelectorAll("button:has(.published)")) button.disabled = Boolean(chart.item);
    drawChart();
  };
  const item = menu(MEDIUM.title, "chart-item", change("item"));
  const names = files.map(({ name }) => html("option", { value: name }, name));
  item.lastChild.append(html("option", { value: "" }, `mean of all ${names.length}`), ...names);
  const highest = Math.max(0, ...[...results.curves, ...results.points, ...results.published.flatMap((curve) => curve.points)].map((row) => row[RATE.key]));
  if (highest <= chart.limit) chart.limit = Infinity;
  const limits = RATE.limits.filter((limit) => limit < highest).map((limit) => [limit, number(limit)]);
  byId("chart-controls").append(
    choice("Metric", "metric", Object.entries(MEDIUM.metrics).map(([name, { label }]) => [name, label]), chart.metric, change("metric")),
    item,
    choice(`Up to (${RATE.label})`, "limit", [...limits, [Infinity, "all"]], chart.limit, change("limit")),
    choice("Axis", "axis", [["linear", "linear"], ["log", "log"]], chart.axis, change("axis")));
  for (const [kind, caption] of [["ours", "vqcodec"], ["peer", "Measured"], ["published", "Published"]]) {
    const buttons = series.filter((one) => one.kind === kind).map(legendButton);
    if (buttons.length) byId("legend").append(html("span", { class: "caption" }, caption), html("div", {}, buttons));
  }
  // A lifted finger leaves too, but its tooltip is still to be read.
  const leave = (event) => { if (event.pointerType !== "touch") hideTooltip(); };
  fill(canvas, { onpointermove: pointAt, onpointerdown: pointAt, onpointerleave: leave });
  drawChart();
  // In a frame of its own, as drawing changes the height that is observed.
  new ResizeObserver(() => requestAnimationFrame(drawChart)).observe(byId("plot"));
}
