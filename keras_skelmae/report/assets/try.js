"use strict";
const $ = (id) => document.getElementById(id);
let data = null, sample = null, frame = 0, playing = true, before = 0;
const soft = () => getComputedStyle(document.body).getPropertyValue("--soft");
const percent = (share) => `${(100 * share).toFixed(0)} %`;

/* One file as it is; several as a folder: their names and sizes, then all of them one behind the other. */
async function send(files, folder) {
  const one = files.length === 1 && !folder, name = one ? files[0].name : folder || "recording";
  $("told").textContent = `reading ${name} …`;
  $("shown").hidden = true;
  try {
    if (!files.length) throw new Error(`${name}: no file in it`);
    const list = new TextEncoder().encode(JSON.stringify(files.map((file) => [file.name, file.size])));
    const body = one ? files[0] : new Blob([list, ...files]);
    const path = `/predict?name=${encodeURIComponent(name)}${one ? "" : `&listed=${list.length}`}`;
    const reply = await fetch(path, { method: "POST", body });
    const found = await reply.json();
    if (!reply.ok) throw new Error(found.error);
    show(found);
  } catch (error) {
    $("told").textContent = error.message;
  }
}

function show(found) {
  data = found;
  const first = found.left_out ? [`the first ${found.samples.length} sequences; ${found.left_out} more are in the file`] : [];
  $("told").textContent = [...first, ...found.notes].join("; ");
  $("sample").replaceChildren(...found.samples.map((each, index) => new Option(each.id, index)));
  $("shown").hidden = false;
  choose(0);
}

function choose(index) {
  sample = data.samples[index];
  frame = 0;
  $("time").max = Math.max(0, sample.points[0].length - 1);
  const best = sample.probabilities ? Math.max(...sample.probabilities) : 0;
  const long = sample.long ? ", of all of it, which is longer than the clips trained on" : "";
  const unknown = sample.nearest ? `nothing known (nearest: ${sample.nearest})` : "nobody was seen";
  $("label").textContent = sample.label === null ? unknown : `${sample.label}, ${percent(best)}${long}`;
  draw();
}

/* The window that a frame is told by: the first that ends at it or later. */
const windowAt = (number) => sample.windows.find((each) => each.frame >= number) || sample.windows[sample.windows.length - 1];

/* The context of a canvas with as many pixels as it has on the screen, and its size in those of the page. */
function fitted(id, ratio) {
  const canvas = $(id), width = canvas.clientWidth, height = Math.round(width * ratio), dense = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  return [context, width, height];
}

function draw() {
  const [body, width] = fitted("body", 1), scale = (0.9 * width) / data.side, pad = 0.05 * width;
  body.lineWidth = 4;
  body.lineCap = "round";
  sample.points.forEach((person, number) => {
    body.setLineDash(number ? [8, 6] : []);
    for (const [child, parent, colour] of data.edges) {
      const from = person[frame][child], to = person[frame][parent];
      if (!from || !to) continue;
      body.strokeStyle = colour;
      body.beginPath();
      body.moveTo(pad + scale * from[0], pad + scale * from[1]);
      body.lineTo(pad + scale * to[0], pad + scale * to[1]);
      body.stroke();
    }
  });
  $("time").value = frame;
  $("frame").textContent = `${frame + 1} of ${sample.points[0].length}`;
  curve();
  classes();
}

function curve() {
  const [chart, width, height] = fitted("curve", 0.3), last = Math.max(1, sample.points[0].length - 1), named = [];
  chart.font = "13px sans-serif";
  let start = 0;
  for (const each of sample.windows) {
    const left = (start / last) * width, right = (each.frame / last) * width, before = named[named.length - 1];
    if (each.label !== null) {
      const chosen = data.classes.indexOf(each.label), tall = each.probabilities[chosen] * (height - 20);
      chart.fillStyle = `hsl(${(chosen * 137.5) % 360} 60% 50%)`;
      chart.fillRect(left, height - tall, Math.max(2, right - left - 1), tall);
    }
    if (before && before.label === each.label) before.right = right;
    else named.push({ label: each.label, left, right });
    start = each.frame;
  }
  chart.fillStyle = soft();
  for (const each of named) {
    if (each.label !== null && each.right - each.left > 40) chart.fillText(each.label, each.left + 3, 13, each.right - each.left - 6);
  }
  chart.fillStyle = soft();
  chart.fillRect((frame / last) * (width - 2), 0, 2, height);
}

function classes() {
  const now = windowAt(frame), shares = now && now.probabilities;
  const ranked = shares ? shares.map((share, index) => [share, data.classes[index]]).sort((a, b) => b[0] - a[0]).slice(0, 5) : [];
  $("classes").replaceChildren(...ranked.map(([share, name]) => {
    const item = document.createElement("li");
    item.textContent = `${name} ${percent(share)}`;
    item.style.backgroundImage = "linear-gradient(#0b6bcb55, #0b6bcb55)";
    item.style.backgroundSize = `${100 * share}% 100%`;
    item.style.backgroundRepeat = "no-repeat";
    return item;
  }));
}

function tick(now) {
  requestAnimationFrame(tick);
  if (!sample || !playing || now - before < 1000 / data.rate) return;
  before = now;
  frame = (frame + 1) % sample.points[0].length;
  draw();
}

$("file").addEventListener("change", (event) => event.target.files.length && send([...event.target.files]));
$("sample").addEventListener("change", (event) => choose(Number(event.target.value)));
$("time").addEventListener("input", (event) => { playing = false; $("play").textContent = "Play"; frame = Number(event.target.value); draw(); });
$("play").addEventListener("click", () => { playing = !playing; $("play").textContent = playing ? "Pause" : "Play"; });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.toggle("over", kind === "dragover"); });
}
/* The files in a folder that was dropped; a reader gives some at a time. */
async function inFolder(folder) {
  const reader = folder.createReader(), found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return Promise.all(found.map((entry) => new Promise((done, failed) => entry.file(done, failed))));
    found.push(...some.filter((entry) => entry.isFile && !entry.name.startsWith(".")));
  }
}

document.addEventListener("drop", (event) => {
  const files = [...event.dataTransfer.files]; // before anything is waited for: then the list is empty
  const folder = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).find((entry) => entry && entry.isDirectory);
  if (folder) inFolder(folder).then((found) => send(found, folder.name), (error) => { $("told").textContent = error.message; });
  else if (files.length) send(files);
});
window.addEventListener("resize", () => sample && draw());
requestAnimationFrame(tick);
