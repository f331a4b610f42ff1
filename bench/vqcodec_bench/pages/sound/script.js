// Sound: players and spectrograms, and what is said of it alone.

const HEARD = {
  pesq: { label: "PESQ", title: "PESQ, wide-band (MOS-LQO)", digits: 2, rangeDigits: 2, of: (point) => point.pesq },
  stoi: { label: "STOI", title: "STOI", digits: 3, rangeDigits: 3, of: (point) => point.stoi },
  visqol: { label: "ViSQOL", title: "ViSQOL, speech (MOS-LQO)", digits: 2, rangeDigits: 2, of: (point) => point.visqol },
  distillmos: { label: "DistillMOS", title: "DistillMOS", digits: 2, rangeDigits: 2, of: (point) => point.distillmos },
};
// Those that were not installed are not offered.
const found = Object.entries(HEARD).filter(([, { of }]) => results.curves.concat(results.points).some((row) => Number.isFinite(of(row))));

const MEDIUM = {
  title: "Sound",
  metrics: found.length ? Object.fromEntries(found) : HEARD,
  rate: { key: "kbps", label: "kbit/s", title: "kbit/s", digits: 2, limits: [4, 8, 16, 32] },
  means: [],
  speed: {
    amount: ["Sound", "amount", 1, "s"],
    get rates() {
      const slowest = (row) => (row.files ? Math.min(...Object.values(row.files)) : null);
      return [figure("Speed", "real_time", 1, "times real time"), { label: "Slowest", unit: "of the sounds", digits: 1, of: slowest }];
    },
  },
  extent() {
    const seconds = files.reduce((sum, file) => sum + file.seconds, 0);
    return seconds > 0 && `${number(seconds, 0)} s of sound`;
  },
  sizes: (point) => [["bytes", point.bytes, 0]],
  writeTables: writeSoundTables,
  show: setUpListening,
};

// Listening. A player is a card's `entry` of `shown`, its nodes, and the `levels` of its spectrogram once they are known.

const TARGETS = [1, 1.5, 2.4, 4, 6, 9, 12, 16];
const NEAR = Math.log(1.4);
const listening = { item: "", target: 0, players: [], loud: 0 };

const bestFirst = (entries) => [...entries].sort((a, b) => isOurs(b.codec) - isOurs(a.codec));
const distance = (entry, target) => Math.abs(Math.log(figuresOf(entry).kbps / target));

// For every codec the file whose rate is nearest to the target's, if it is near.
function nearby(item, target) {
  const entries = shown.filter((entry) => entry.item === item && entry.codec !== null);
  const best = unique(entries.map((entry) => entry.codec)).map((codec) => entries.filter((entry) => entry.codec === codec)
    .reduce((near, entry) => (near && distance(near, target) <= distance(entry, target) ? near : entry), null));
  return bestFirst(best.filter((entry) => distance(entry, target) <= NEAR));
}

const offered = (item) => TARGETS.filter((target) => nearby(item, target).length);

// The lowest rate of those at which most codecs can be heard, ours too if possible.
function usualTarget(item) {
  const worth = (target) => nearby(item, target).length + 100 * nearby(item, target).some((entry) => isOurs(entry.codec));
  return offered(item).reduce((best, target) => (best && worth(best) >= worth(target) ? best : target), 0);
}

function facts(entry) {
  const point = figuresOf(entry);
  const values = Object.entries(MEDIUM.metrics).filter(([name]) => Number.isFinite(point[name]))
    .map(([name, { label, digits }]) => `${label} ${number(point[name], digits)}`);
  return [point.kbps && `${number(point.kbps, 2)} kbit/s`, ...values].filter(Boolean).join(" · ");
}

function buildPlayer(entry) {
  const blob = blobOf(entry);
  const url = URL.createObjectURL(blob);
  const title = titleOf(entry);
  const audio = html("audio", { controls: "", preload: "metadata", src: url, "aria-label": title });
  const canvas = html("canvas", { role: "img", "aria-label": `Spectrogram of ${title}` });
  const head = html("i", { hidden: "" });
  const end = html("small", { class: "end" });
  const picture = html("div", { class: "spectrogram" }, canvas, head, html("small", { class: "high" }, "8 kHz"), html("small", { class: "low" }, "0"), end);
  const note = html("p", { class: "note" }, entry.codec === null ? "not compressed" : facts(entry));
  const player = { entry, blob, url, audio, canvas, end, note, levels: null };
  const follow = () => {
    head.hidden = !(audio.currentTime > 0);
    head.style.left = `${(100 * audio.currentTime) / (audio.duration || 1)}%`;
  };
  const seek = (event) => {
    const frame = picture.getBoundingClientRect();
    if (Number.isFinite(audio.duration)) audio.currentTime = ((event.clientX - frame.left) / frame.width) * audio.duration;
  };
  fill(audio, { ontimeupdate: follow, onseeked: follow, onplay: () => takeOver(player) });
  fill(picture, { onclick: seek });
  player.card = html("article", { class: isOurs(entry.codec) ? "card ours" : "card" }, html("h3", {}, title), note, picture, audio);
  return player;
}

// One is heard at a time, and the next goes on where the last one is.
function takeOver(player) {
  const other = listening.players.find(({ audio }) => audio !== player.audio && !audio.paused);
  if (!other) return;
  other.audio.pause();
  player.audio.currentTime = other.audio.currentTime;
}

function showPlayers() {
  for (const { audio, url } of listening.players) {
    audio.removeAttribute("src");
    audio.load();  // stops what may still be loading
    URL.revokeObjectURL(url);
  }
  const original = shown.filter((entry) => entry.item === listening.item && entry.codec === null);
  const players = [...original, ...nearby(listening.item, listening.target)].map(buildPlayer);
  Object.assign(listening, { players, loud: 0 });
  byId("players").replaceChildren(...players.map(({ card }) => card));
  analyse(players);
}

async function analyse(players) {
  for (const player of players) {
    try {
      const samples = await samplesOf(player.blob);
      if (listening.players !== players) return;  // others are shown by now
      player.levels = levelsOf(samples);
      player.end.textContent = `${number(samples.length / RATE_HZ, 1)} s`;
      listening.loud ||= player.levels.values.reduce((most, value) => Math.max(most, value), -200);
      paint(player);
    } catch {
      player.note.textContent = `this browser does not decode ${player.entry.mime}`;
    }
  }
}

function setUpListening() {
  const section = byId("listen");
  const stored = files.filter(({ name }) => shown.some((entry) => entry.item === name));
  if (!stored.length) return section.append(html("p", { class: "muted" }, "No sounds were stored with this report."));
  const sound = menu("Sound", "listen-sound", chooseSound);
  sound.lastChild.append(...stored.map(({ name }) => html("option", { value: name }, name)));
  section.append(html("div", { class: "controls" }, sound, html("div", { id: "listen-rates" })), html("div", { class: "cards", id: "players" }));
  if (stored.length < files.length) section.append(html("p", { class: "note" }, `Stored with this page are ${stored.length} of ${files.length} sounds.`));
  chooseSound(stored[0].name);
  darkness.addEventListener("change", () => listening.players.filter(({ levels }) => levels).forEach(paint));
}

function chooseSound(item) {
  const targets = offered(item);
  const target = targets.includes(listening.target) ? listening.target : usualTarget(item);
  const change = (value) => { listening.target = Number(value); showPlayers(); };
  Object.assign(listening, { item, target });
  const options = targets.map((value) => [String(value), number(value)]);
  byId("listen-rates").replaceChildren(...(options.length ? [choice("About (kbit/s)", "target", options, String(target), change)] : []));
  showPlayers();
}

// Tables.

const equal = { metric: "", codec: "" };

function writeReached() {
  const rows = results.reached ?? [];
  const codecsThere = unique(rows.map((row) => row.codec));
  if (!codecsThere.length) return;
  const metrics = Object.entries(MEDIUM.metrics).filter(([name]) => rows.some((row) => row.metric === name));
  Object.assign(equal, { metric: metrics[0][0], codec: codecsThere.includes("opus") ? "opus" : codecsThere[0] });
  const reference = menu("Reference", "reached-codec", (codec) => { equal.codec = codec; showReached(); });
  reference.lastChild.append(...codecsThere.map((codec) => html("option", { value: codec, selected: codec === equal.codec ? "" : null }, labelOf(codec))));
  const metric = choice("Metric", "reached-metric", metrics.map(([name, { label }]) => [name, label]), equal.metric, (name) => { equal.metric = name; showReached(); });
  byId("reached").hidden = false;
  byId("reached").append(html("div", { class: "controls" }, reference, metric), html("div", { id: "reached-table" }));
  showReached();
}

function showReached() {
  const rows = results.reached.filter((row) => row.codec === equal.codec && row.metric === equal.metric);
  const others = bestFirst([...codecs.keys()].map((codec) => ({ codec }))).map(({ codec }) => codec)
    .filter((codec) => codec !== equal.codec && rows.some((row) => codec in row.at));
  const { label, digits } = MEDIUM.metrics[equal.metric];
  const column = (codec) => ({
    label: labelOf(codec), unit: "kbit/s", of: (row) => row.at[codec],
    show: (row) => {
      const rate = row.at[codec];
      if (rate === undefined) return "–";
      return html("span", { class: rate < row.kbps ? "fewer" : "more" }, `${row.at_most.includes(codec) ? "≤ " : ""}${number(rate, 2)}`);
    },
  });
  byId("reached-table").replaceChildren(table("Rates at equal quality", [
    codecColumn, settingColumn, figure("Rate", "kbps", 2, "kbit/s"), figure(label, "value", digits), ...others.map(column),
  ], rows));
}

function writeSoundTables() {
  writeReached();
  const saved = (row) => (row.prior_bits && row.unigram_bits ? 100 * (1 - row.prior_bits / row.unigram_bits) : null);
  addTable("indices", "Bits per index", [
    codecColumn, settingColumn, figure("Fixed", "fixed_bits", 2, "bits per index"), figure("Unigram", "unigram_bits", 2, "bits per index"),
    figure("Prior", "prior_bits", 2, "bits per index"), { label: "Saved", unit: "% of unigram", digits: 1, of: saved },
  ], results.curves.filter((row) => row.fixed_bits));
}
