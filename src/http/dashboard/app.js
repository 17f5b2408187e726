// The dashboard: asks /metrics once a second, draws the last two minutes, and steers backends through /admin.
// It keeps no state but what is on the page; the API key stays in one variable.
"use strict";

const INTERVAL_MS = 1000;
const POINTS = 120;
const WINDOW = 5; // points that latencies are taken over
const byId = (id) => document.getElementById(id);

let key = ""; // the API's, once it was asked for
let last = null; // the answer before
const points = []; // {at, rate, errors, p50, p95, p99}; null where there was nothing to measure
const histograms = []; // the newest WINDOW + 1

// --- numbers for people ---

function count(value) {
  if (value >= 1e9) return (value / 1e9).toFixed(2) + " G";
  if (value >= 1e6) return (value / 1e6).toFixed(2) + " M";
  if (value >= 1e4) return (value / 1e3).toFixed(1) + " k";
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

function millis(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 10000) return (value / 1000).toFixed(1) + " s";
  return (value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)) + " ms";
}

function percent(value) {
  if (value === null) return "–";
  return (value === 0 || value >= 10 ? value.toFixed(0) : value < 0.01 ? "<0.01" : value.toFixed(2)) + " %";
}

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [name, size] = units[first];
  const whole = Math.floor(seconds / size);
  if (first + 1 >= units.length) return `${whole} ${name}`;
  const [next, part] = units[first + 1];
  return `${whole} ${name} ${Math.floor((seconds % size) / part)} ${next}`;
}

function bytes(value) {
  return value >= 1 << 30 ? (value / (1 << 30)).toFixed(1) + " GiB" : (value / (1 << 20)).toFixed(1) + " MiB";
}

// --- what is drawn ---

// The percentiles of what was counted between two histograms: lists of [milliseconds, count].
function percentiles(before, after, fractions) {
  const earlier = new Map(before);
  const fresh = after.map(([ms, n]) => [ms, n - (earlier.get(ms) || 0)]).filter(([, n]) => n > 0);
  const total = fresh.reduce((sum, [, n]) => sum + n, 0);
  if (total === 0) return fractions.map(() => null);
  return fractions.map((fraction) => {
    let seen = 0;
    for (const [ms, n] of fresh) {
      seen += n;
      if (seen >= fraction * total) return ms;
    }
    return fresh[fresh.length - 1][0];
  });
}

function measure(now) {
  const point = { at: Date.now(), rate: null, errors: null, p50: null, p95: null, p99: null };
  histograms.push(now.response_time_histogram || []);
  if (histograms.length > WINDOW + 1) histograms.shift();
  const seconds = last ? now.uptime_seconds - last.uptime_seconds : 0;
  if (last && seconds > 0 && now.total_requests >= last.total_requests) {
    const requests = now.total_requests - last.total_requests;
    point.rate = requests / seconds;
    point.errors = requests > 0 ? (100 * (now.failed_requests - last.failed_requests)) / requests : null;
    [point.p50, point.p95, point.p99] =
        percentiles(histograms[0], histograms[histograms.length - 1], [0.5, 0.95, 0.99]);
  } else if (last) { // it was started anew
    histograms.splice(0, histograms.length - 1);
  }
  points.push(point);
  if (points.length > POINTS) points.shift();
  return point;
}

const SVG = "http://www.w3.org/2000/svg";

function shape(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

// The next of 1, 2, 5, 10, … above.
function niceCeiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

class Plot {
  // series: [{name, field}]; floor: the least that the scale shows.
  constructor(id, series, format, floor) {
    this.figure = byId(id);
    this.series = series;
    this.format = format;
    this.floor = floor;
    this.pointer = null;
    this.svg = shape(this.figure, "svg", { role: "img" });
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.values = series.map(({ name }, index) => {
      const item = document.createElement("li");
      item.className = `series-${index}`;
      item.append(`${name} `);
      this.legend.append(item);
      return item.appendChild(document.createElement("b"));
    });
    this.when = document.createElement("li");
    this.when.className = "when";
    this.legend.append(this.when);
    this.figure.append(this.legend);
    const move = (event) => {
      this.pointer = event.clientX - this.svg.getBoundingClientRect().left;
      this.draw();
    };
    this.svg.addEventListener("pointermove", move);
    this.svg.addEventListener("pointerdown", move);
    this.svg.addEventListener("pointerleave", () => { this.pointer = null; this.draw(); });
  }

  draw() {
    const width = this.svg.clientWidth || 300, height = this.svg.clientHeight || 150;
    const left = 44, right = 6, top = 8, bottom = 18;
    const inner = width - left - right, tall = height - top - bottom;
    const shown = points.flatMap((point) => this.series.map(({ field }) => point[field] ?? 0));
    const most = niceCeiling(Math.max(this.floor, ...shown));
    const x = (index) => left + inner * (1 - (points.length - 1 - index) / (POINTS - 1));
    const y = (value) => top + tall * (1 - value / most);
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const part of [0, 0.5, 1]) {
      const at = y(most * part);
      shape(this.svg, "line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at });
      shape(this.svg, "text", { x: left - 6, y: at + 4, "text-anchor": "end" }, this.format(most * part));
    }
    for (const [seconds, anchor] of [[POINTS, "start"], [POINTS / 2, "middle"], [0, "end"]]) {
      shape(this.svg, "text", { x: left + inner * (1 - seconds / POINTS), y: height - 3, "text-anchor": anchor },
            seconds === 0 ? "now" : `−${seconds} s`);
    }
    this.series.forEach(({ field }, index) => this.drawSeries(field, index, x, y));
    this.tell(x, inner, top, tall);
  }

  drawSeries(field, index, x, y) {
    let line = "", area = "", start = null;
    const close = (end) => { if (start !== null) area += `L${x(end)} ${y(0)}L${x(start)} ${y(0)}Z`; start = null; };
    points.forEach((point, i) => {
      if (point[field] === null) { close(i - 1); return; }
      const to = `${start === null ? "M" : "L"}${x(i).toFixed(1)} ${y(point[field]).toFixed(1)}`;
      if (start === null) start = i;
      line += to;
      area += to;
    });
    close(points.length - 1);
    if (this.series.length === 1) shape(this.svg, "path", { class: `area series-${index}`, d: area });
    shape(this.svg, "path", { class: `line series-${index}`, d: line });
  }

  // The legend holds the newest values, or those under the pointer.
  tell(x, inner, top, tall) {
    let index = points.length - 1;
    if (this.pointer !== null && points.length > 0) {
      index = points.reduce((best, _, i) => Math.abs(x(i) - this.pointer) < Math.abs(x(best) - this.pointer) ? i : best, 0);
      shape(this.svg, "line", { class: "cross", x1: x(index), x2: x(index), y1: top, y2: top + tall });
    }
    const point = points[index];
    const texts = this.series.map(({ field }) => point && point[field] !== null ? this.format(point[field], true) : "–");
    this.values.forEach((value, i) => { value.textContent = texts[i]; });
    this.when.textContent = this.pointer !== null && point ? new Date(point.at).toLocaleTimeString() : "";
    const title = this.figure.querySelector("figcaption").firstChild.textContent.trim();
    this.svg.setAttribute("aria-label", `${title}: ` + this.series.map(({ name }, i) => `${name} ${texts[i]}`).join(", "));
  }
}

const plots = [
  new Plot("plot-rate", [{ name: "requests/s", field: "rate" }], (v) => count(v), 10),
  new Plot("plot-latency", [{ name: "p50", field: "p50" }, { name: "p95", field: "p95" }, { name: "p99", field: "p99" }],
           (v, unit) => unit ? millis(v) : count(v), 1),
  new Plot("plot-errors", [{ name: "errors", field: "errors" }], (v, unit) => unit ? percent(v) : count(v), 1),
];

// --- tiles and tables ---

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setTile(id, text, tone = "") {
  setText(byId(id), text);
  byId(id).dataset.tone = tone;
}

function showTiles(now, point) {
  const up = now.backends.filter((backend) => backend.healthy && backend.state !== "drain" && backend.state !== "maint" &&
                                              backend.circuit_state !== "open").length;
  setTile("tile-rate", point.rate === null ? "–" : count(point.rate));
  setTile("tile-errors", percent(point.errors), point.errors >= 1 ? "bad" : point.errors > 0 ? "warn" : "");
  setTile("tile-p99", millis(point.p99));
  setTile("tile-flight", count(now.requests_in_flight ?? 0));
  setTile("tile-clients", count(now.connections_active));
  setTile("tile-up", `${up} of ${now.backends.length}`, up === 0 ? "bad" : up < now.backends.length ? "warn" : "");
  setText(byId("about"), `${now.version} · ${now.algorithm} · ${now.workers.length} ` +
                         `${now.workers.length === 1 ? "worker" : "workers"} · up ${duration(now.uptime_seconds)}`);
}

const STATE = { up: ["✓", "good"], unknown: ["?", "off"], degraded: ["!", "warn"], recovering: ["↑", "warn"],
                down: ["✕", "bad"], drain: ["‖", "warn"], maint: ["‖", "warn"] };
const CIRCUIT = { closed: ["", "off"], "half-open": ["½ ", "warn"], open: ["✕ ", "bad"] };

function setPill(pill, sign, text, tone) {
  setText(pill, sign + text);
  pill.dataset.tone = tone;
}

const rows = new Map(); // by address

function cell(row, label, kind, content) {
  const td = document.createElement("td");
  td.className = kind;
  td.dataset.label = label;
  td.role = "cell"; // named, because a table that is laid out as cards is none for a screen reader
  if (content) td.append(content);
  row.append(td);
  return td;
}

function pill() {
  const span = document.createElement("span");
  span.className = "pill";
  return span;
}

function makeRow(backend) {
  const tr = document.createElement("tr");
  tr.dataset.address = backend.address;
  tr.role = "row";
  const head = document.createElement("th");
  head.scope = "row";
  head.role = "rowheader";
  const name = head.appendChild(document.createElement("span")), address = head.appendChild(document.createElement("small"));
  tr.append(head);
  const row = { tr, name, address, state: pill(), circuit: pill(), requests: backend.total_requests };
  cell(tr, "State", "", row.state);
  cell(tr, "Breaker", "", row.circuit);
  const form = document.createElement("form");
  form.className = "weight";
  form.noValidate = true;
  row.weight = Object.assign(document.createElement("input"), { type: "number", min: 1, max: 65535, step: 1 });
  row.weight.setAttribute("aria-label", `Weight of ${backend.name}`);
  row.set = Object.assign(document.createElement("button"), { type: "submit", textContent: "Set", hidden: true });
  form.append(row.weight, row.set);
  form.addEventListener("submit", (event) => { event.preventDefault(); changeWeight(row); });
  row.weight.addEventListener("input", () => { row.set.hidden = row.weight.value === String(row.now.weight); });
  row.weight.addEventListener("keydown", (event) => { if (event.key === "Escape") resetWeight(row); });
  cell(tr, "Weight", "n wide", form);
  row.flight = cell(tr, "In flight", "n");
  row.rate = cell(tr, "Requests/s", "n");
  row.failures = cell(tr, "Failures", "n");
  row.p99 = cell(tr, "p99", "n");
  row.drain = Object.assign(document.createElement("button"), { type: "button" });
  row.drain.addEventListener("click", () => changeDrain(row));
  cell(tr, "", "actions", row.drain);
  return row;
}

function resetWeight(row) {
  row.weight.value = row.now.weight;
  row.set.hidden = true;
}

function updateRow(row, backend, seconds) {
  const drained = backend.state === "drain" || backend.state === "maint";
  const known = row.now !== undefined;
  // A number that somebody is typing stays.
  const untouched = !known || (row.set.hidden && document.activeElement !== row.weight) || row.weight.value === String(row.now.weight);
  row.now = backend;
  setText(row.name, backend.name);
  setText(row.address, backend.name === backend.address ? "" : backend.address);
  const [sign, tone] = STATE[backend.state] || ["", "off"];
  const health = drained && backend.health && backend.health !== "up" && backend.health !== "unknown" ? `, ${backend.health}` : "";
  setPill(row.state, sign + " ", backend.state + health, tone);
  setPill(row.circuit, ...((([s, t]) => [s, backend.circuit_state, t])(CIRCUIT[backend.circuit_state] || ["", "off"])));
  if (untouched) resetWeight(row);
  setText(row.flight, count(backend.active_connections));
  if (seconds > 0) {
    setText(row.rate, count(Math.max(0, backend.total_requests - row.requests) / seconds));
    row.requests = backend.total_requests;
  } else if (!known) {
    setText(row.rate, "–");
  }
  setText(row.failures, count(backend.failures));
  setText(row.p99, backend.total_requests > 0 ? millis(backend.p99_response_time_ms) : "–");
  setText(row.drain, drained ? "Undrain" : "Drain");
  row.drain.setAttribute("aria-label", `${drained ? "Undrain" : "Drain"} ${backend.name}`);
}

function showBackends(now, seconds) {
  const body = byId("backends"), wanted = byId("filter").value.trim().toLowerCase();
  const seen = new Set();
  now.backends.forEach((backend, index) => {
    seen.add(backend.address);
    let row = rows.get(backend.address);
    if (!row) rows.set(backend.address, (row = makeRow(backend)));
    updateRow(row, backend, seconds);
    row.tr.hidden = wanted !== "" && !`${backend.name} ${backend.address} ${backend.state}`.toLowerCase().includes(wanted);
    if (body.children[index] !== row.tr) body.insertBefore(row.tr, body.children[index] || null);
  });
  for (const [address, row] of rows) {
    if (seen.has(address)) continue;
    row.tr.remove();
    rows.delete(address);
  }
  byId("filter-label").hidden = now.backends.length <= 10;
}

function showWorkers(now) {
  byId("workers").replaceChildren(...now.workers.map((worker) => {
    const tr = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = worker.state === "draining" ? `${worker.id}, draining` : `${worker.id}`;
    head.title = `pid ${worker.pid}`;
    tr.append(head);
    for (const value of [count(worker.connections_active), count(worker.requests_in_flight ?? 0), count(worker.total_requests),
                         bytes(worker.memory_bytes ?? 0)]) {
      cell(tr, "", "n", value);
    }
    return tr;
  }));
}

// --- changes ---

function tell(text, tone = "") {
  setText(byId("message"), text);
  byId("message").dataset.tone = tone;
}

// Asks for the key; false where nobody gives one.
function askKey(why) {
  const dialog = byId("key-dialog");
  if (why) setText(byId("key-why"), why);
  byId("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "use") key = byId("key").value;
      byId("key").value = "";
      resolve(dialog.returnValue === "use");
    }, { once: true });
  });
}
byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); byId("key-dialog").close("use"); });
byId("key-cancel").addEventListener("click", () => byId("key-dialog").close("cancel"));

async function change(method, path, body) {
  for (;;) {
    const headers = { "Content-Type": "application/json" };
    if (key) headers["X-API-Key"] = key;
    const answer = await fetch(path, { method, headers, body: JSON.stringify(body), cache: "no-store" });
    const told = await answer.json().catch(() => ({ success: false, message: `answered ${answer.status}` }));
    if (answer.status !== 401) return told;
    if (!await askKey(key ? "That key is wrong." : "")) return { success: false, message: "nothing was changed" };
  }
}

async function apply(control, method, path, body) {
  control.disabled = true;
  try {
    const told = await change(method, path, body);
    tell(told.message, told.success ? "good" : "bad");
    return told.success;
  } catch (error) {
    tell("The balancer cannot be reached.", "bad");
    return false;
  } finally {
    control.disabled = false;
    control.focus();
    await poll();
  }
}

function changeDrain(row) {
  const drained = row.now.state === "drain" || row.now.state === "maint";
  return apply(row.drain, "POST", drained ? "/admin/backends/undrain" : "/admin/backends/drain", { address: row.now.address });
}

async function changeWeight(row) {
  const weight = Number(row.weight.value);
  if (!Number.isInteger(weight) || weight < 1 || weight > 65535) {
    tell("A weight is a whole number from 1 to 65535.", "bad");
    row.weight.focus();
    return;
  }
  if (await apply(row.weight, "PUT", "/admin/backends/weight", { address: row.now.address, weight })) resetWeight(row);
}

// --- the round ---

let round = 0; // the newest; an answer that was overtaken is not shown

async function poll() {
  const mine = ++round;
  const stop = new AbortController();
  const limit = setTimeout(() => stop.abort(), 5000);
  try {
    const answer = await fetch("/metrics", { cache: "no-store", signal: stop.signal });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const now = await answer.json();
    if (mine !== round) return;
    const seconds = last ? now.uptime_seconds - last.uptime_seconds : 0;
    const point = seconds > 0.2 || !last ? measure(now) : points[points.length - 1];
    showTiles(now, point);
    showBackends(now, seconds > 0.2 ? seconds : 0);
    showWorkers(now);
    if (seconds > 0.2 || seconds < 0 || !last) last = now;
    setText(byId("link"), "live");
    byId("link").dataset.state = "live";
    document.body.classList.remove("stale");
  } catch (error) {
    if (mine !== round) return;
    setText(byId("link"), "connection lost, trying again");
    byId("link").dataset.state = "lost";
    document.body.classList.add("stale");
  } finally {
    clearTimeout(limit);
    plots.forEach((plot) => plot.draw());
  }
}

async function run() {
  await poll();
  setTimeout(run, INTERVAL_MS);
}

byId("filter").addEventListener("input", () => { if (last) showBackends(last, 0); });
addEventListener("resize", () => plots.forEach((plot) => plot.draw()));
run();
