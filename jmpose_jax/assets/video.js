"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const TRACK_ROW = 16, JOINT_ROW = 13, JITTER_HEIGHT = 96;

function unpack(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}
const times = unpack(data.times, Float64Array), count = times.length, joints = data.joints.length;
for (const track of data.tracks) {
  track.frames = unpack(track.frames, Uint32Array);
  track.scores = unpack(track.scores, Uint8Array);
  track.jitter = unpack(track.jitter, Float32Array);
  if (track.points) track.points = unpack(track.points, Int16Array);
}
let frame = 0, chosen = data.tracks[0];

function make(parent, name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}
const seconds = (i) => `${times[i].toFixed(2)} s`;
const ramp = (value) => {
  const at = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1), i = Math.min(Math.floor(at), RAMP.length - 2);
  return `rgb(${RAMP[i].map((low, k) => Math.round(low + (at - i) * (RAMP[i + 1][k] - low)))})`;
};
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// The picture: the overlay video, or the poses alone where there is none.
let video = null, stage = null;
if (data.overlay) {
  video = make(get("stage"), "video", "", { src: data.overlay, controls: "", playsinline: "", preload: "auto" });
  video.muted = true;
  const follow = (time) => show(at(time + 1e-4));
  if (video.requestVideoFrameCallback) {
    const next = (_, shown) => { follow(shown.mediaTime); video.requestVideoFrameCallback(next); };
    video.requestVideoFrameCallback(next);
  } else video.addEventListener("timeupdate", () => follow(video.currentTime));
} else {
  stage = make(get("stage"), "canvas", "", { width: data.size[0], height: data.size[1] });
}

function at(time) {  // the last frame that begins no later
  let low = 0, high = count - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= time) low = middle; else high = middle - 1;
  }
  return low;
}

function jump(to) {
  const i = Math.min(Math.max(Math.round(to) || 0, 0), count - 1);
  if (video) {
    video.pause();
    const gap = i + 1 < count ? times[i + 1] - times[i] : count > 1 ? times[i] - times[i - 1] : 0;
    video.currentTime = times[i] + gap / 2;
  }
  show(i);
}

function show(i) {
  frame = i;
  document.body.dataset.frame = i;
  if (document.activeElement !== get("frame")) get("frame").value = i;
  get("slide").value = i;
  get("time").textContent = seconds(i);
  for (const cursor of document.querySelectorAll(".cursor")) cursor.style.left = `${(100 * (i + 0.5)) / count}%`;
  if (stage) drawPoses();
}

function drawPoses() {
  const pen = stage.getContext("2d");
  pen.clearRect(0, 0, stage.width, stage.height);
  pen.lineWidth = Math.max(2, stage.width / 400);
  for (const track of data.tracks) {
    const n = track.frames.indexOf(frame);
    if (n < 0) continue;
    const sure = (j) => track.scores[n * joints + j] / 255 >= data.threshold;
    const place = (j) => [track.points[2 * (n * joints + j)], track.points[2 * (n * joints + j) + 1]];
    pen.strokeStyle = pen.fillStyle = track.colour;
    for (const [a, b] of data.limbs) if (sure(a) && sure(b)) {
      pen.beginPath(); pen.moveTo(...place(a)); pen.lineTo(...place(b)); pen.stroke();
    }
    if (data.neck && data.neck.every(sure)) {
      const [upper, left, right] = data.neck.map(place);
      pen.beginPath(); pen.moveTo(...upper); pen.lineTo((left[0] + right[0]) / 2, (left[1] + right[1]) / 2); pen.stroke();
    }
    for (let j = 0; j < joints; j++) if (sure(j)) {
      pen.beginPath(); pen.arc(...place(j), pen.lineWidth * 1.4, 0, 7); pen.fill();
    }
  }
}

// Plots: frames from left to right, a line at the current one, a click jumps.
function plot(id, height, draw) {
  const area = get(id), canvas = make(area, "canvas", "", { role: "img" });
  make(area, "div", "", { class: "cursor" });
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [Math.floor(((event.clientX - box.left) / box.width) * count), event.clientY - box.top];
  };
  area.addEventListener("pointermove", (event) => {
    const i = Math.min(Math.max(place(event)[0], 0), count - 1);
    area.title = `frame ${i}, ${seconds(i)}`;
  });
  area.addEventListener("click", (event) => { const [i, y] = place(event); pick(id, y); jump(i); });
  return () => {
    const scale = window.devicePixelRatio || 1, width = area.clientWidth;
    canvas.width = width * scale; canvas.height = height * scale;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    draw(pen, width / count, width);
  };
}

function pick(id, y) {
  const track = data.tracks[Math.floor(y / TRACK_ROW)];
  if (id === "track-plot" && track) choose(track);
}

function choose(track) {
  chosen = track;
  get("chosen").value = track.id;
  for (const marked of document.querySelectorAll("[data-track]"))
    marked.classList.toggle("chosen", marked.dataset.track === String(track.id));
  for (const redraw of redraws.slice(1)) redraw();
}

const redraws = [
  plot("track-plot", TRACK_ROW * Math.max(data.tracks.length, 1), (pen, step, width) => {
    data.tracks.forEach((track, row) => {
      pen.fillStyle = colour("--absent");
      pen.fillRect(0, row * TRACK_ROW + 7, width, 2);
      pen.fillStyle = track.colour;
      for (let n = 0, first = 0; n < track.frames.length; n++) {
        if (track.frames[n + 1] === track.frames[n] + 1) continue;
        const from = track.frames[first] * step;
        pen.fillRect(from, row * TRACK_ROW + 3, Math.max((track.frames[n] + 1) * step - from, 1), TRACK_ROW - 6);
        first = n + 1;
      }
    });
  }),
  plot("joint-plot", JOINT_ROW * joints, (pen, step, width) => {
    pen.fillStyle = colour("--absent");
    pen.fillRect(0, 0, width, JOINT_ROW * joints);
    chosen.frames.forEach((f, n) => {
      for (let j = 0; j < joints; j++) {
        pen.fillStyle = ramp(chosen.scores[n * joints + j] / 255);
        pen.fillRect(f * step, j * JOINT_ROW, Math.max(step + 0.5, 1), JOINT_ROW - 1);
      }
    });
  }),
  plot("jitter-plot", JITTER_HEIGHT, (pen, step, width) => {
    const most = chosen.jitter.reduce((a, b) => (b > a ? b : a), 0) || 1;
    get("jitter-labels").replaceChildren();
    make(get("jitter-labels"), "div", `${most.toPrecision(3)} px/frame²`, { style: `height:${JITTER_HEIGHT - 16}px` });
    make(get("jitter-labels"), "div", "0");
    pen.strokeStyle = colour("--accent"); pen.fillStyle = colour("--accent"); pen.lineWidth = 1.5;
    let before = -2;
    pen.beginPath();
    chosen.frames.forEach((f, n) => {
      const value = chosen.jitter[n];
      if (Number.isNaN(value)) return;
      const x = (f + 0.5) * step, y = JITTER_HEIGHT - 2 - (value / most) * (JITTER_HEIGHT - 8);
      if (before === f - 1) pen.lineTo(x, y); else { pen.moveTo(x - 0.5, y); pen.lineTo(x, y); }
      before = f;
    });
    pen.stroke();
  }),
];

// What stands on the page.
get("title").textContent = data.title;
for (const [name, value] of data.facts) {
  const fact = make(get("facts"), "div");
  make(fact, "dt", name); make(fact, "dd", value);
}
get("frame").max = get("slide").max = count - 1;
get("ramp").style.background = `linear-gradient(to right, ${[0, 0.25, 0.5, 0.75, 1].map(ramp)})`;
get("threshold").textContent = `(a joint is sure from ${data.threshold})`;
function drawAxes() {
  for (const axis of document.querySelectorAll(".axis")) {
    axis.replaceChildren();
    const marks = Math.min(Math.max(Math.floor(axis.clientWidth / 90), 1), count - 1);
    for (let k = 0; k <= marks; k++) {
      const i = marks ? Math.round((k * (count - 1)) / marks) : 0;
      make(axis, "span", seconds(i), { style: `left:${(100 * (i + 0.5)) / count}%` });
    }
  }
}
data.joints.forEach((name) =>
  make(get("joint-labels"), "div", name.replaceAll("_", " "), { style: `height:${JOINT_ROW}px;line-height:${JOINT_ROW}px` }));
for (const track of data.tracks) {
  const label = make(get("track-labels"), "div", track.id, {
    "data-track": track.id, style: `height:${TRACK_ROW}px;line-height:${TRACK_ROW}px` });
  const first = track.frames[0], last = track.frames[track.frames.length - 1];
  const row = make(document.querySelector("#people tbody"), "tr", "", { "data-track": track.id });
  make(make(row, "td"), "span", "", { class: "dot", style: `background:${track.colour}` }).after(track.id);
  const shown = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  for (const text of [seconds(first), seconds(last), track.frames.length, shown(track.score, 2),
    shown(track.acceleration, 2), shown(track.relative, 2)]) make(row, "td", text);
  for (const element of [label, row]) element.addEventListener("click", () => { choose(track); jump(first); });
  make(get("chosen"), "option", track.id, { value: track.id });
}
get("chosen").addEventListener("change", (event) =>
  choose(data.tracks.find((track) => String(track.id) === event.target.value)));
get("back").addEventListener("click", () => jump(frame - 1));
get("on").addEventListener("click", () => jump(frame + 1));
get("frame").addEventListener("change", (event) => jump(Number(event.target.value)));
get("slide").addEventListener("input", (event) => jump(Number(event.target.value)));
document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT", "VIDEO"].includes(event.target.tagName)) return;
  if (event.key === "ArrowLeft") jump(frame - 1);
  if (event.key === "ArrowRight") jump(frame + 1);
});
if (chosen) {
  const all = () => { drawAxes(); redraws.forEach((redraw) => redraw()); };
  new ResizeObserver(all).observe(get("track-plot"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  all();
  choose(chosen);
} else {
  get("results").hidden = true;
  get("nobody").hidden = false;
}
show(0);
