"use strict";
// Asks for the report once a second and shows it. Everything the program says
// is put in as text, never as markup.

const PERIOD = 1000;
const KEPT = 120;
const COLOURS = ["#2e9e5b", "#3b7dd8", "#d9822b", "#a259c4", "#d64550", "#2aa5a5", "#8a8f2a", "#b0628b"];

const $ = (id) => document.getElementById(id);
const colour = (hub) => COLOURS[hub % COLOURS.length];
const number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 && value % 1 ? 1 : 0 });

function time(seconds) {
  if (seconds === null) return "";
  if (seconds < 1) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(cells, name = "td") {
  const made = element("tr");
  for (const [text, className] of cells) made.append(element(name, text, className));
  return made;
}

// One point a report: the rate of each hub since the report before.
const points = [];
let last = null;
let sort = "id";

function rates(report) {
  const span = last ? report.seconds - last.seconds : 0;
  const rate = (field) => report.hubs.map((hub, n) => {
    const before = last && last.hubs[n];
    return span > 0 && before ? Math.max(0, hub[field] - before[field]) / span : null;
  });
  return { resumes: rate("resumes"), polls: rate("polls"), events: rate("events"), cpu: rate("cpu"), turns: rate("turns") };
}

const sum = (values) => values.reduce((a, b) => a + (b ?? 0), 0);

function tiles(report, rate) {
  const figures = [
    [number(report.total), "green threads"],
    [number(sum(report.hubs.map((hub) => hub.ready))), "ready to run"],
    [rate.resumes[0] == null ? "–" : number(sum(rate.resumes)), "resumes a second"],
    [rate.events[0] == null ? "–" : number(sum(rate.events)), "events a second"],
    [number(sum(report.hubs.map((hub) => hub.descriptors))), "descriptors"],
    [`${report.hubs.filter((hub) => hub.idle).length} of ${report.hubs.length}`, "hubs idle"],
  ];
  if (report.counts_cpu) figures.push([rate.cpu[0] == null ? "–" : `${number(100 * sum(rate.cpu))} %`, "CPU"]);
  $("tiles").replaceChildren(...figures.map(([value, name]) => {
    const tile = element("div", undefined, "tile");
    tile.append(element("b", value), element("span", name));
    return tile;
  }));
}

function hubs(report, rate) {
  const counts = report.counts_cpu;
  const names = ["hub", "state", "threads", "ready", "inbox", "descriptors", "timers", "resumes/s", "polls/s", "events/s"];
  if (counts) names.push("CPU", "longest turn");
  const head = row(names.map((name, n) => [name, n === 1 ? "" : "n"]), "th");
  const rows = report.hubs.map((hub, n) => {
    const held = !hub.idle && rate.turns[n] === 0;
    const shown = (rate) => [rate == null ? "–" : number(rate), "n"];
    const cells = [
      [hub.hub, "n"],
      held ? ["held up", "held"] : hub.idle ? ["idle", ""] : ["awake", "awake"],
      [number(hub.threads), "n"], [number(hub.ready), "n"], [number(hub.inbox), "n"],
      [number(hub.descriptors), "n"], [number(hub.timers), "n"],
      shown(rate.resumes[n]), shown(rate.polls[n]), shown(rate.events[n]),
    ];
    if (counts) {
      cells.push([rate.cpu[n] == null ? "–" : `${(100 * rate.cpu[n]).toFixed(1)} %`, "n"]);
      cells.push([time(hub.longest_turn), "n"]);
    }
    return row(cells);
  });
  $("hubs").replaceChildren(head, ...rows);
}

function states(report) {
  const entries = Object.entries(report.states).sort((a, b) => b[1] - a[1]).slice(0, 12);
  $("states").replaceChildren(...entries.map(([state, count]) => {
    const made = row([[state, ""], [number(count), "n"]]);
    const cell = element("td");
    const meter = element("meter");
    meter.max = Math.max(1, report.total);
    meter.value = count;
    cell.append(meter);
    made.append(cell);
    return made;
  }));
}

const COLUMNS = [
  ["id", "id", "n"], ["name", "name", "name"], ["hub", "hub", "n"], ["", "started by", "n"],
  ["state", "waits for", ""], ["since", "since", "n"], ["", "at most", "n"], ["cpu", "CPU", "n"],
];

function threads(report) {
  const columns = report.counts_cpu ? COLUMNS : COLUMNS.slice(0, -1);
  const head = element("tr");
  for (const [key, title, className] of columns) {
    const cell = element("th", key ? undefined : title, className === "n" ? "n" : "");
    if (key) {
      const button = element("button", title + (sort === key ? " ↓" : ""));
      button.setAttribute("aria-pressed", String(sort === key));
      button.onclick = () => { sort = key; ask(); };
      cell.append(button);
    }
    head.append(cell);
  }
  const rows = report.threads.map((thread) => {
    const cells = [
      [thread.id, "n"], [thread.name ?? "", "name"], [thread.hub, "n"], [thread.parent ?? "", "n"],
      [thread.waits_for ?? thread.state, thread.waits_for === null ? "awake" : ""],
      [time(thread.since), "n"], [time(thread.left), "n"],
    ];
    if (report.counts_cpu) cells.push([thread.cpu ? time(thread.cpu) : "", "n"]);
    return row(cells);
  });
  const focused = document.activeElement?.closest?.("#threads button")?.textContent;
  $("threads").replaceChildren(head, ...rows);
  if (focused) [...document.querySelectorAll("#threads button")].find((b) => b.textContent.startsWith(focused.slice(0, 2)))?.focus();
  const more = report.matching - report.threads.length;
  const found = report.matching === report.total ? `${number(report.total)}` : `${number(report.matching)} of ${number(report.total)}`;
  $("shown").textContent = more > 0 ? `${found}, the first ${number(report.threads.length)} are shown` : found;
}

function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 2.5, 5, 10].map((n) => n * unit).find((n) => n >= value) ?? unit * 10;
}

function chart() {
  const canvas = $("chart");
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * scale;
  canvas.height = height * scale;
  const draw = canvas.getContext("2d");
  draw.scale(scale, scale);
  const style = getComputedStyle(document.body);
  const [soft, line] = ["--soft", "--line"].map((name) => {
    const probe = $("shown");
    probe.style.color = `var(${name})`;
    const value = getComputedStyle(probe).color;
    probe.style.color = "";
    return value;
  });
  draw.font = `12px ${style.fontFamily}`;
  const top = nice(Math.max(1, ...points.flat().map((value) => value ?? 0)));
  const [left, bottom] = [64, height - 20];
  const x = (n) => width - 8 - (points.length - 1 - n) * (width - left - 8) / (KEPT - 1);
  const y = (value) => bottom - value / top * (bottom - 8);
  draw.fillStyle = soft;
  draw.strokeStyle = line;
  draw.lineWidth = 1;
  draw.textAlign = "right";
  draw.textBaseline = "middle";
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    draw.beginPath();
    draw.moveTo(left, y(part * top));
    draw.lineTo(width - 8, y(part * top));
    draw.stroke();
    draw.fillText(number(part * top), left - 8, y(part * top));
  }
  draw.textBaseline = "top";
  for (const ago of [0, 30, 60, 90]) {
    const place = width - 8 - ago * 1000 / PERIOD * (width - left - 8) / (KEPT - 1);
    draw.fillText(ago ? `${ago} s ago` : "now", place, bottom + 5);
  }
  const count = points.length ? points[points.length - 1].length : 0;
  draw.lineWidth = 2;
  draw.lineJoin = "round";
  for (let hub = 0; hub < count; hub++) {
    draw.strokeStyle = colour(hub);
    draw.beginPath();
    let begun = false;
    points.forEach((values, n) => {
      if (values[hub] == null) return;
      begun ? draw.lineTo(x(n), y(values[hub])) : draw.moveTo(x(n), y(values[hub]));
      begun = true;
    });
    draw.stroke();
  }
}

function legend(report) {
  $("legend").replaceChildren(...report.hubs.flatMap((hub) => {
    const mark = element("i");
    mark.style.background = colour(hub.hub);
    return [mark, document.createTextNode(`hub ${hub.hub}`)];
  }));
}

function show(report, fresh) {
  $("program").textContent = `${report.program}, process ${report.process}`;
  document.title = `${report.program}: ${number(report.total)} green threads`;
  if (fresh) {
    const rate = rates(report);
    last = report;
    if (rate.resumes[0] != null) points.push(rate.resumes);
    if (points.length > KEPT) points.shift();
    tiles(report, rate);
    hubs(report, rate);
    states(report);
    legend(report);
    chart();
  }
  threads(report);
}

let asking = false;

async function ask(fresh = false) {
  if (asking) return;
  asking = true;
  try {
    const query = new URLSearchParams({ sort, match: $("match").value }).toString().replaceAll("+", "%20");
    const answer = await fetch(`report.json?${query}`, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json(), fresh);
    $("status").textContent = "live";
    $("status").className = "";
  } catch {
    last = null;
    $("status").textContent = "the program does not answer";
    $("status").className = "bad";
  } finally {
    asking = false;
  }
}

async function poll() {
  const begun = performance.now();
  if (!document.hidden) await ask(true);
  setTimeout(poll, Math.max(100, PERIOD - (performance.now() - begun)));
}

$("match").oninput = () => ask();
window.addEventListener("resize", chart);
poll();
