// Pictures: the slider, and what is said of them alone.

const MEDIUM = {
  title: "Picture",
  metrics: {
    psnr: { label: "PSNR", title: "PSNR on RGB (dB)", unit: "dB", digits: 2, rangeDigits: 1, suffix: () => " dB", of: (point) => point.psnr },
    ms_ssim: {
      label: "MS-SSIM", title: "MS-SSIM as −10 log₁₀(1 − x) (dB)", digits: 4, rangeDigits: 3, of: (point) => decibels(point.ms_ssim),
      suffix: (point) => { const value = decibels(point.ms_ssim); return value === null ? "" : ` (${number(value, 2)} dB)`; },
    },
    ssimulacra2: { label: "SSIMULACRA2", title: "SSIMULACRA2", digits: 1, rangeDigits: 1, of: (point) => point.ssimulacra2 },
  },
  rate: { key: "bpp", label: "bpp", title: "bits per pixel (bpp)", digits: 3, limits: [0.5, 1, 1.5, 3] },
  means: [{ label: "Ratio", unit: "to 24 bits", digits: 1, of: (row) => (row.bpp ? 24 / row.bpp : null) }],
  speed: {
    amount: ["Picture", "amount", 2, "megapixels"],
    get rates() { return [figure("Rate", "mp_per_s", 2, "megapixels/s")]; },
  },
  extent() {
    const sizes = unique(files.map(({ width, height }) => `${Math.max(width, height)} × ${Math.min(width, height)}`));
    return sizes.length === 1 && `${sizes[0]} pixels`;
  },
  sizes: (point) => [["ratio", 24 / point.bpp, 1, "x"], ["bytes", point.bytes, 0]],
  writeTables: writePictureTables,
  show: setUpSlider,
};

// Slider. A side holds the `entry` of `shown` that it shows, the one last `chosen` by hand, and its nodes; the centre of
// the view is in fractions of the picture.

const sides = { left: {}, right: {} };
const OPPOSITE = { left: "right", right: "left" };
const view = { split: 0.5, zoom: "fit", centre: [0.5, 0.5], full: [1, 1], picture: null };

function nearestInBytes(entries, bytes) {
  const distance = (entry) => Math.abs((figuresOf(entry).bytes ?? Infinity) - bytes);
  return entries.reduce((best, entry) => (best && distance(best) <= distance(entry) ? best : entry), null);
}

// AVIF at ours' rate, or else the original, against ours; with its prior if there is a choice.
function defaults(entries) {
  const original = entries.find((entry) => entry.codec === null);
  const ours = entries.filter((entry) => isOurs(entry.codec));
  const right = ours.find((entry) => !entry.codec.endsWith("-fixed")) ?? ours[0] ?? entries.find((entry) => entry.codec !== null) ?? original;
  const avif = entries.filter((entry) => entry.codec === "avif" && entry !== right);
  return { right, left: nearestInBytes(avif, figuresOf(right).bytes ?? 0) ?? original ?? entries[0] };
}

function choosePicture(name) {
  const entries = shown.filter((entry) => entry.item === name);
  const start = defaults(entries);
  view.picture = files.find((picture) => picture.name === name);
  view.centre = [0.5, 0.5];
  for (const [side, { select, chosen }] of Object.entries(sides)) {
    const same = chosen && entries.find((entry) => entry.codec === chosen.codec && entry.quality === chosen.quality);
    fillMenu(select, entries);
    showSide(side, same ?? start[side]);
  }
  layOut();
}

function fillMenu(select, entries) {
  const option = (entry) => {
    const { bpp } = figuresOf(entry);
    return html("option", { value: shown.indexOf(entry) }, titleOf(entry) + (bpp ? ` · ${number(bpp, 3)} bpp` : ""));
  };
  const groups = unique(entries.map((entry) => entry.codec)).map((codec) => [codec, entries.filter((entry) => entry.codec === codec).map(option)]);
  select.replaceChildren(...groups.flatMap(([codec, options]) => (options.length > 1 ? html("optgroup", { label: labelOf(codec) }, options) : options)));
}

function showSide(side, entry) {
  const { image, chip, select, url: old } = sides[side];
  const url = URL.createObjectURL(blobOf(entry));
  Object.assign(sides[side], { entry, url });
  select.value = shown.indexOf(entry);
  chip.textContent = titleOf(entry);
  image.alt = `${entry.item}: ${titleOf(entry)}`;
  image.src = url;
  if (old) URL.revokeObjectURL(old);
  if (sides.left.entry && sides.right.entry) writeComparison([sides.left.entry, sides.right.entry]);
}

function writeComparison(entries) {
  const line = (label, cell) => html("tr", {}, html("th", { scope: "row" }, label), entries.map((entry) => html("td", {}, cell(entry))));
  const figure = (label, name, digits) => line(label, (entry) => number(figuresOf(entry)[name], digits));
  byId("compared").replaceChildren(
    html("thead", {}, html("tr", {}, html("td"), entries.map((entry) => html("th", { scope: "col" }, titleOf(entry))))),
    html("tbody", {}, figure("bpp", "bpp", 3), figure("bytes", "bytes", 0), figure("PSNR (dB)", "psnr", 2), figure("MS-SSIM", "ms_ssim", 4),
      figure("SSIMULACRA2", "ssimulacra2", 1),
      entries.some((entry) => !entry.exact) ? line("", (entry) => html("small", {}, entry.exact ? "" : "shown through a WebP of quality 95")) : null));
  for (const [side, { match, entry }] of Object.entries(sides)) {
    match.disabled = entry.codec === null || !figuresOf(sides[OPPOSITE[side]].entry).bytes;
  }
}

function matchRate(side) {
  const { entry } = sides[side];
  const same = shown.filter((other) => other.item === entry.item && other.codec === entry.codec);
  showSide(side, nearestInBytes(same, figuresOf(sides[OPPOSITE[side]].entry).bytes));
}

function layOut() {
  const stage = byId("stage");
  const picture = [view.picture.width, view.picture.height];
  const room = [stage.parentElement.clientWidth, Math.max(300, window.innerHeight * 0.85)];
  const factor = view.zoom === "fit" ? Math.min(1, room[0] / picture[0], room[1] / picture[1]) : Number(view.zoom);
  const full = picture.map((length) => length * factor);
  const size = full.map((length, k) => Math.min(room[k], length));
  const offset = full.map((length, k) => Math.min(0, Math.max(size[k] - length, size[k] / 2 - view.centre[k] * length)));
  const pannable = full.some((length, k) => length > size[k] + 0.5);
  Object.assign(view, { full, centre: full.map((length, k) => (size[k] / 2 - offset[k]) / length) });
  Object.assign(stage.style, { width: `${size[0]}px`, height: `${size[1]}px` });
  stage.classList.toggle("pannable", pannable);
  stage.tabIndex = pannable ? 0 : -1;
  for (const { image } of Object.values(sides)) {
    const transform = `translate(${Math.round(offset[0])}px, ${Math.round(offset[1])}px)`;
    Object.assign(image.style, { width: `${full[0]}px`, height: `${full[1]}px`, transform, imageRendering: factor > 1 ? "pixelated" : "auto" });
  }
}

function moveDivider(split) {
  view.split = Math.min(1, Math.max(0, split));
  const percent = Number((100 * view.split).toFixed(2));
  sides.left.pane.style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
  sides.right.pane.style.clipPath = `inset(0 0 0 ${percent}%)`;
  byId("handle").style.left = `${percent}%`;
  byId("handle").setAttribute("aria-valuenow", Math.round(percent));
}

function pan(right, down) {
  view.centre = [view.centre[0] + right / view.full[0], view.centre[1] + down / view.full[1]];
  layOut();
}

function steer(event) {
  const divider = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
  const picture = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, -40], ArrowDown: [0, 40] }[event.key];
  const onHandle = event.target.id === "handle";
  if (!(onHandle ? divider : picture)) return;
  event.preventDefault();
  if (onHandle) moveDivider(view.split + divider);
  else pan(...picture);
}

function followPointer(stage) {
  let last = null;
  let panning = false;
  const divide = (event) => {
    const frame = stage.getBoundingClientRect();
    moveDivider((event.clientX - frame.left) / frame.width);
  };
  const begin = (event) => {
    if (event.button !== 0) return;
    last = [event.clientX, event.clientY];
    panning = stage.classList.contains("pannable") && !event.target.closest("#handle");
    stage.setPointerCapture(event.pointerId);
    if (!panning && event.pointerType === "mouse") divide(event);
  };
  const move = (event) => {
    if (!last) return;
    // A finger that goes down or up is about to scroll the page.
    const scrolls = event.pointerType === "touch" && Math.abs(event.clientY - last[1]) > Math.abs(event.clientX - last[0]);
    if (!panning && scrolls) return;
    if (panning) pan(last[0] - event.clientX, last[1] - event.clientY);
    else divide(event);
    last = [event.clientX, event.clientY];
  };
  const end = () => { last = null; };
  fill(stage, { onpointerdown: begin, onpointermove: move, onpointerup: end, onpointercancel: end });
}

function buildSide(side, label) {
  const field = menu(label, `slider-${side}`, (index) => showSide(side, (sides[side].chosen = shown[index])));
  const title = `Choose the ${side} codec’s quality whose file is nearest in size to the ${OPPOSITE[side]} one`;
  const match = html("button", { type: "button", class: "action", id: `match-${side}`, title, onclick: () => matchRate(side) }, "Match rate");
  const chip = html("span", { class: "chip" });
  const failed = () => { chip.textContent = `${titleOf(sides[side].entry)}: this browser does not decode ${sides[side].entry.mime}`; };
  const image = html("img", { draggable: "false", onerror: failed });
  Object.assign(sides[side], { select: field.lastChild, match, chip, image, pane: html("div", { class: `pane ${side}` }, image, chip) });
  return html("div", { class: "side" }, field, match);
}

function setUpSlider() {
  const section = byId("slider");
  const stored = files.filter(({ name }) => shown.some((entry) => entry.item === name));
  if (!stored.length) return section.append(html("p", { class: "muted" }, "No pictures were stored with this report."));
  const picture = menu("Picture", "slider-picture", choosePicture);
  picture.lastChild.append(...stored.map(({ name }) => html("option", { value: name }, name)));
  const zoom = choice("Zoom", "zoom", [["fit", "fit"], ["1", "1×"], ["2", "2×"]], "fit", (value) => { view.zoom = value; layOut(); });
  const menus = [buildSide("left", "Left"), buildSide("right", "Right")];
  const handle = html("div", { class: "handle", id: "handle", role: "slider", tabindex: 0, "aria-label": "Divider between left and right", "aria-valuemin": 0, "aria-valuemax": 100 },
    svg("svg", { viewBox: "0 0 36 36", "aria-hidden": "true" }, svg("circle", { cx: 18, cy: 18, r: 16 }), svg("path", { d: "M14 12l-6 6l6 6M22 12l6 6l-6 6" })));
  const stage = html("div", { class: "stage", id: "stage", role: "group", "aria-label": "Two versions of a picture", onkeydown: steer },
    sides.left.pane, sides.right.pane, handle);
  section.append(
    html("div", { class: "controls" }, picture, zoom),
    html("div", { class: "controls" }, menus),
    html("figure", {}, stage, html("figcaption", { class: "scroll" }, html("table", { class: "compared", id: "compared" }))));
  const every = results.points.filter((point) => stored.some(({ name }) => name === itemOf(point)));
  const lacking = [
    stored.length < files.length && `${stored.length} of ${files.length} pictures`,
    every.some((point) => point.bpp > results.widest_bpp) && `rates up to ${number(results.widest_bpp)} bpp`,
  ].filter(Boolean);
  if (lacking.length) section.append(html("p", { class: "note" }, `Stored with this page are ${enumerate(lacking)}.`));
  followPointer(stage);
  moveDivider(0.5);
  choosePicture(stored[0].name);
  new ResizeObserver(() => requestAnimationFrame(layOut)).observe(section);
}

// Tables.

function writePictureTables() {
  addTable("ratios", "Compression ratios", [
    codecColumn, figure("bpp", "bpp", 4), figure("Ratio", "ratio", 1, "to 24 bits"), figure("Fixed", "fixed_bits", 2, "bits per index"),
    figure("Unigram", "unigram_bits", 2, "bits per index"), figure("Prior", "prior_bits", 2, "bits per index"),
    figure("Ratio", "equal_psnr", 1, "at paper’s PSNR"), figure("Ratio", "equal_ms_ssim", 1, "at paper’s MS-SSIM"),
    figure("Ratio", "equal_ssimulacra2", 1, "at paper’s SSIMULACRA2"),
  ], results.ratios ?? []);
  addTable("bd-rate", "BD-rate against published curves", [
    codecColumn, words("Published curve", "against"), { label: "At equal", words: true, of: (row) => MEDIUM.metrics[row.metric].label },
    figure("BD-rate", "percent", 1, "%"), figure("Lowest", "low", 3), figure("Highest", "high", 3),
  ], results.bd_rate_published ?? []);
  addTable("method", "Published curves", [words("Published curve", "label"), words("Source", "source")], results.published);
  addTable("method", "Agreement with published curves", [
    codecColumn, words("Published", "published"), figure("Mean", "mean", 2, "dB, measured minus published"), figure("Lowest", "low", 2, "dB"), figure("Highest", "high", 2, "dB"),
  ], results.agreement ?? []);
}
