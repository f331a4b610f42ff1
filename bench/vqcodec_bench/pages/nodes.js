"use strict";
const { results, shown } = JSON.parse(document.getElementById("data").textContent);
for (const name of ["codecs", "missing", "failed", "points", "curves", "published", "bd_rate", "speed"]) results[name] ??= [];
const files = (results[`${results.medium}s`] ??= []);
const byId = (id) => document.getElementById(id);
const unique = (values) => [...new Set(values)];

// Nodes. Text from the data goes in as text nodes only.

function fill(node, attributes, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

const html = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svgNamespace = document.querySelector("svg").namespaceURI;
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(svgNamespace, tag), attributes, children);

// Words and numbers.

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−");
}

const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const enumerate = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
const decibels = (similarity) => (typeof similarity === "number" && similarity < 1 ? -10 * Math.log10(1 - similarity) : null);

// Codecs and points.

const codecs = new Map(results.codecs.map((codec) => [codec.name, codec]));
const itemOf = (row) => row[results.medium];
const pointKey = (item, codec, quality) => JSON.stringify([item, codec, quality]);
const points = new Map(results.points.map((point) => [pointKey(itemOf(point), point.codec, point.quality), point]));
const qualities = new Map();
for (const { codec, quality } of [...results.curves, ...results.points]) {
  qualities.set(codec, (qualities.get(codec) ?? new Set()).add(quality));
}

const labelOf = (codec) => codecs.get(codec)?.label ?? codec;
const isOurs = (codec) => Boolean(codecs.get(codec)?.ours);

// A codec that has a single quality is named without it.
function setting(codec, quality) {
  if (quality === null || (qualities.get(codec)?.size ?? 0) < 2) return null;
  const scale = codecs.get(codec)?.scale || "quality";
  return scale.includes("/") ? `${number(quality)} ${scale}` : `${scale} ${number(quality)}`;
}

function writeHeadline() {
  const peers = results.codecs.filter((codec) => !codec.ours).map((codec) => codec.label);
  const ours = results.codecs.some((codec) => codec.ours) ? ["vqcodec"] : [];
  const compared = [...ours, ...(peers.length ? [enumerate(peers)] : [])].join(" against ") || "vqcodec";
  const title = `${compared} on ${counted(files.length, results.medium)}`;
  byId("headline").textContent = document.title = title;
  const { date, versions, machine } = results;
  const facts = [
    date && new Date(date).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" }),
    MEDIUM.extent(),
    machine?.processor, machine?.cores && counted(machine.cores, "core"), machine?.system,
    versions?.vqcodec && `vqcodec ${versions.vqcodec}`,
  ];
  byId("circumstances").textContent = facts.filter(Boolean).join(" · ");
  const missing = results.missing.map(({ codec, why }) => `${labelOf(codec)} (${why})`);
  const failed = results.failed.map((row) => `${itemOf(row)} (${row.why})`);
  if (failed.length > 5) failed.splice(5, Infinity, `${results.failed.length - 5} more`);
  const sentences = [missing.length && `Not compared: ${enumerate(missing)}.`, failed.length && `Failed: ${enumerate(failed)}.`];
  byId("absent").textContent = sentences.filter(Boolean).join(" ");
  byId("absent").hidden = !sentences.some(Boolean);
}

// Files that are shown.

const titleOf = (entry) => (entry.codec === null ? "Original" : [labelOf(entry.codec), setting(entry.codec, entry.quality)].filter(Boolean).join(", "));

function figuresOf(entry) {
  const point = points.get(pointKey(entry.item, entry.codec, entry.quality));
  return point ?? (entry.codec !== null && entry.exact ? { bytes: entry.bytes } : {});
}

function blobOf({ key, mime }) {
  const text = atob(document.querySelector(`script[data-key="${key}"]`).textContent);
  return new Blob([Uint8Array.from(text, (character) => character.charCodeAt(0))], { type: mime });
}

// Controls.

function choice(legend, name, options, chosen, change) {
  const labels = options.map(([value, text]) => {
    const input = html("input", { type: "radio", name, value, checked: value === chosen ? "" : null, onchange: () => change(value) });
    return html("label", {}, input, html("span", {}, text));
  });
  return html("fieldset", { class: "field" }, html("legend", {}, legend), html("div", { class: "segments" }, labels));
}

function menu(label, id, change) {
  const select = html("select", { id, onchange: () => change(select.value) });
  return html("div", { class: "field" }, html("label", { for: id }, label), select);
}
