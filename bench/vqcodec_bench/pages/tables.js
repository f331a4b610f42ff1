// Tables. A column is { label, unit, of, digits } for numbers and { label, of, words } for text; `show` overrides what a cell holds.

function sorted(rows, of, descending) {
  const known = rows.filter((row) => of(row) !== null && of(row) !== undefined);
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  const ordered = [...known].sort((a, b) => (descending ? compare(of(b), of(a)) : compare(of(a), of(b))));
  return [...ordered, ...rows.filter((row) => !known.includes(row))];
}

function table(name, columns, rows) {
  const body = html("tbody");
  const cell = (column, row) => (column.show ? column.show(row) : column.words ? column.of(row) ?? "–" : number(column.of(row), column.digits));
  const line = (row) => html("tr", { class: isOurs(row.codec) ? "ours" : null }, columns.map((column, i) =>
    html(i ? "td" : "th", { scope: i ? null : "row", class: column.words ? "words" : null }, cell(column, row))));
  const heads = columns.map((column) => {
    const sort = () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.replaceChildren(...sorted(rows, column.of, descending).map(line));
    };
    const head = html("th", { scope: "col", class: column.words ? "words" : null },
      html("button", { type: "button", onclick: sort }, column.label, html("i", { "aria-hidden": "true" }), column.unit ? html("small", {}, column.unit) : null));
    return head;
  });
  body.append(...rows.map(line));
  return html("div", { class: rows.length > 16 ? "scroll tall" : "scroll", tabindex: 0, role: "region", "aria-label": name },
    html("table", {}, html("thead", {}, html("tr", {}, heads)), body));
}

function addTable(id, name, columns, rows) {
  if (!rows.length) return;
  byId(id).hidden = false;
  byId(id).append(table(name, columns, rows));
}

const figure = (label, key, digits, unit) => ({ label, unit, digits, of: (row) => row[key] });
const words = (label, key) => ({ label, words: true, of: (row) => row[key] || null });
const codecColumn = { label: "Codec", words: true, of: (row) => row.label ?? labelOf(row.codec) };
const settingColumn = { label: "Setting", of: (row) => row.quality, show: (row) => setting(row.codec, row.quality) ?? "–" };

function bdColumn(against, cells) {
  const find = (row) => cells.find((one) => one.codec === row.codec && one.against === against);
  const show = (row) => {
    const { percent = null, low, high, metric } = find(row) ?? {};
    if (percent === null) return "–";
    const range = [low, high].map((end) => number(end, MEDIUM.metrics[metric].rangeDigits)).join(" to ");
    return [html("span", { class: percent < 0 ? "fewer" : "more" }, `${percent > 0 ? "+" : ""}${number(percent, 1)} %`), html("small", {}, range)];
  };
  return { label: labelOf(against), unit: "as reference", of: (row) => find(row)?.percent, show };
}

function writeBdRates() {
  const order = [...codecs.keys()];
  for (const [metric, { label }] of Object.entries(MEDIUM.metrics)) {
    const cells = results.bd_rate.filter((one) => one.metric === metric);
    if (!cells.length) continue;
    const names = (key) => sorted(unique(cells.map((one) => one[key])), (name) => order.indexOf(name), false);
    byId("bd-rate").append(html("h3", {}, `At equal ${label}`));
    addTable("bd-rate", `BD-rate at equal ${label}`, [codecColumn, ...names("against").map((name) => bdColumn(name, cells))], names("codec").map((codec) => ({ codec })));
  }
}

function writeTables() {
  writeBdRates();
  const metrics = Object.entries(MEDIUM.metrics).map(([name, { label, digits, unit }]) => figure(label, name, digits, unit));
  addTable("means", "Mean values", [codecColumn, settingColumn, figure(RATE.label, RATE.key, RATE.digits + 1), ...MEDIUM.means, ...metrics], results.curves);
  addTable("speed", "Speed and memory", [
    codecColumn, settingColumn, words("Direction", "direction"), figure(...MEDIUM.speed.amount), figure("Time", "seconds", 3, "s"),
    figure("CPU time", "cpu_seconds", 3, "s"), figure("First call", "first_seconds", 3, "s"), ...MEDIUM.speed.rates,
    figure("Memory", "peak_mib", 1, "MiB at most"), words("Note", "note"),
  ], results.speed);
  addTable("method", "Versions and settings", [words("Codec", "label"), words("Version", "version"), words("Settings", "settings"), words("Scale of quality", "scale")],
    results.codecs.map((codec) => ({ ...codec, codec: codec.name })));
  const versions = Object.entries(results.versions ?? {}).map(([name, version]) => `${name} ${version}`);
  if (versions.length) byId("method").append(html("p", { class: "note" }, `Measured with ${enumerate(versions)}.`));
  MEDIUM.writeTables();
}
