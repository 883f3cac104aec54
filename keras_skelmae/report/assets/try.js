"use strict";
const $ = (id) => document.getElementById(id);
let data = null, sample = null, frame = 0, playing = true, before = 0;
const soft = () => getComputedStyle(document.body).getPropertyValue("--soft");
const percent = (share) => `${(100 * share).toFixed(0)} %`;

async function send(file) {
  $("told").textContent = `reading ${file.name} …`;
  $("shown").hidden = true;
  try {
    const reply = await fetch(`/predict?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
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
  $("label").textContent = sample.label === null ? "nobody was seen" : `${sample.label}, ${percent(best)}`;
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

$("file").addEventListener("change", (event) => event.target.files[0] && send(event.target.files[0]));
$("sample").addEventListener("change", (event) => choose(Number(event.target.value)));
$("time").addEventListener("input", (event) => { playing = false; $("play").textContent = "Play"; frame = Number(event.target.value); draw(); });
$("play").addEventListener("click", () => { playing = !playing; $("play").textContent = playing ? "Pause" : "Play"; });
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.toggle("over", kind === "dragover"); });
}
document.addEventListener("drop", (event) => event.dataTransfer.files[0] && send(event.dataTransfer.files[0]));
window.addEventListener("resize", () => sample && draw());
requestAnimationFrame(tick);
