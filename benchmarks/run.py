"""Our steps, what a PyTorch user would write, and the machine's own ceiling, side by side in one run.

    python benchmarks/run.py --peers torch_reference.py --reader ntu_reader_reference.py
    python benchmarks/run.py --short

Every measurement is a process of its own. A round runs all of them in turn, so that a drift of the machine meets all
alike; figures are medians over the rounds, ratios are taken within a round. Writes benchmarks/RESULTS.md and
benchmarks/results.json. Keep the machine quiet.
"""

import argparse
import importlib.util
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TASKS = {
    "pretrain": "pre-training step, batch 32",
    "finetune": "fine-tuning step, batch 32, two people",
    "predict": "inference, batch 64, two people",
    "predict1": "inference, batch 1, two people",
}
SHIPPED, REST = "## The recipes as they are shipped", "## Input, memory, start"
BARE = "The steps below have the peers' own network, bare, on batches that are ready."
PEERS = ("pyg", "dense", "dense-compiled")
OURS = {  # (task, name) -> arguments of steps.py
    ("pretrain", "one mask per batch"): ["pretrain", "--shared"],
    ("pretrain", "one mask per batch, not compiled"): ["pretrain", "--shared", "--jit", "off"],
    ("pretrain", "a mask per sequence"): ["pretrain"],
    ("pretrain", "a mask per sequence, batch statistics"): ["pretrain", "--normalization", "batch"],
    ("finetune", "one step"): ["finetune"],
    ("finetune", "one step, the batch whole"): ["finetune", "--whole"],
    ("finetune", "one step, not compiled"): ["finetune", "--jit", "off"],
    ("finetune", "4 steps, gradients accumulated"): ["finetune", "--accumulate", "4"],
    ("predict", "prediction_function"): ["predict", "--batch", "64"],
    ("predict", "predict_on_batch"): ["predict", "--batch", "64", "--whole"],
    ("predict1", "prediction_function"): ["predict", "--batch", "1"],
    ("predict1", "the exported ONNX"): ["predict", "--batch", "1", "--onnx"],
}
ALL_BACKENDS = ("one step", "one mask per batch", "prediction_function")
RECIPE_TASKS = {"pretrain": "pre-training", "finetune": "fine-tuning", "evaluate": "evaluation"}
RECIPES, LAYOUTS = ("paper", "small", "strong"), ("coco17", "ntu25")
PEERLESS = {("finetune", "small"), ("finetune", "strong"), ("evaluate", "small"), ("evaluate", "strong")}
# Runs the peers' file at other sizes, with batch statistics, or to predict; the file itself stays as it is.
PEER = """
import json, sys, time, torch
source, task, variant, batch, steps, sizes = *sys.argv[1:4], *map(int, sys.argv[4:6]), json.loads(sys.argv[6])
scope = {"__name__": "peer"}
exec(compile(open(source, encoding="utf-8").read().rsplit("main()", 1)[0], source, "exec"), scope)
if sizes.pop("batch_statistics", False):
    class Rows(torch.nn.BatchNorm1d):
        def forward(self, x):
            return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)
    torch.nn.LayerNorm = Rows
scope["Encoder"].__init__.__defaults__ = (sizes.pop("layers", 3),)
scope.update(sizes)
if task in ("pretrain", "finetune"):
    sys.argv[1:] = [task, variant, str(batch), str(steps)]
    scope["main"]()
    sys.exit()
torch.manual_seed(0)
model = scope["STRL"](scope["PygGIN" if variant == "pyg" else "DenseGIN"]).eval()
net = torch.compile(model) if variant.endswith("compiled") else model
x, times = torch.randn(batch, 2, scope["T"], scope["N"], scope["C"]), []
with torch.inference_mode():
    for step in range(3 + steps):
        started = time.perf_counter()
        net(x)
        times.append(time.perf_counter() - started)
times = sorted(times[3:])
print(json.dumps({"step_s": times[len(times) // 2], "seq_per_s": batch / times[len(times) // 2]}))
"""


def known_peers(options):
    """The peers that can run here; PyTorch Geometric may not be installed."""
    if options.peers is None:
        return ()
    return tuple(name for name in PEERS if name != "pyg" or importlib.util.find_spec("torch_geometric"))


def peer(options, task, variant, batch, sizes=None):
    """What a peer takes, by the JSON it prints."""
    return call(["-c", PEER, options.peers, task, variant, batch, options.steps, json.dumps(sizes or {})])


def call(command, backend="tensorflow"):
    """The JSON object that a command prints last."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:3]))}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ceiling():
    """GFLOP/s of a large product of matrices, GB/s of a large copy: the best of several."""
    a = np.random.default_rng(0).normal(size=(3000, 3000)).astype("float32")
    b = np.ones(1 << 26, "float32")
    target = np.empty_like(b)
    products, copies = [], []
    for _ in range(5):
        started = time.perf_counter()
        a @ a
        products.append(time.perf_counter() - started)
        started = time.perf_counter()
        np.copyto(target, b)
        copies.append(time.perf_counter() - started)
    return {"gflops": 2 * 3000**3 / min(products) / 1e9, "GB_s": 2 * b.nbytes / min(copies) / 1e9}


def start_up(count=7):
    """Median seconds of `skelmae --help`."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("skelmae"), "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def growth(short):
    """Seconds and memory of a fine-tuning step where one measure doubles: rows of (measure, value, ms, MB)."""
    plain = {"batch": 16, "frames": 64, "joints": 17, "people": 2, "units": 64}
    rows = []
    for key, values in {
        "batch": (8, 16, 32, 64),
        "frames": (32, 64, 128),
        "joints": (17, 34, 68),
        "people": (1, 2, 4),
        "units": (16, 32, 64, 128),
    }.items():
        for value in values[:2] if short else values:
            options = [part for name, size in {**plain, key: value}.items() for part in (f"--{name}", size)]
            found = call([HERE / "steps.py", "finetune", "--jit", "on", "--steps", "8", *options])
            rows.append((key, value, 1e3 * found["step_s"], found["peak_MB"]))
    return rows


def plot_growth(path, rows):
    """Time and memory relative to the smallest value, an SVG; the dashed line is proportional."""
    from matplotlib.ticker import FixedLocator

    from skelmae_datasets.pictures.figures import new_figure, save_figure

    figure = new_figure(9, 3.6)
    figure.set_layout_engine("constrained")
    for axes, column, title in zip(figure.subplots(1, 2), (2, 3), ("time of a step", "peak memory"), strict=True):
        for key in dict.fromkeys(row[0] for row in rows):
            found = [row for row in rows if row[0] == key]
            sizes = [row[1] / found[0][1] for row in found]
            axes.plot(sizes, [row[column] / found[0][column] for row in found], marker="o", label=key)
        ends = axes.get_xlim()[1]
        axes.plot([1, ends], [1, ends], color="grey", linestyle="dashed", label="proportional")
        axes.set(title=title, xlabel="times the smallest value", ylabel="times as much", xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
            axis.set_major_locator(FixedLocator([1, 2, 4, 8]))
    axes.legend()
    save_figure(figure, path)


def handed_over(options):
    """Milliseconds per step of a small network where 1 or 16 steps are handed over at once, by backend that can."""
    small = [
        "pretrain",
        "--shared",
        "--batch",
        "8",
        "--frames",
        "16",
        "--units",
        "16",
        "--layers",
        "1",
        "--jit",
        "on",
        "--steps",
        "4" if options.short else "20",
    ]
    return {
        backend: [
            1e3 * call([HERE / "steps.py", *small, "--per-execution", count], backend)["step_s"] for count in (1, 16)
        ]
        for backend in options.backends
        if backend != "torch"
    }


def measure(options):
    results, tops = {}, []
    for number in range(options.rounds):
        tops.append(ceiling())
        for task in TASKS:
            for variant in known_peers(options):
                count = {"predict": 64, "predict1": 1}.get(task, 32)
                found = peer(options, task.rstrip("1"), variant, count)
                results.setdefault((task, variant, "pytorch"), []).append(found)
            for (kind, name), arguments in OURS.items():
                if kind != task:
                    continue
                backends = options.backends if name in ALL_BACKENDS else options.backends[:1]
                for backend in backends:
                    jit = [] if "--jit" in arguments or backend == "torch" else ["--jit", "on"]
                    found = call([HERE / "steps.py", *arguments, *jit, "--steps", options.steps], backend)
                    results.setdefault((task, name, backend), []).append(found)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    return results, tops


def measure_recipes(options):
    """Yields, after every round, a dict of (task, recipe, layout, backend, or peer) to what each round found."""
    results = {}
    for number in range(options.rounds):
        for task, recipe, layout in itertools.product(
            RECIPE_TASKS, options.recipes or RECIPES, LAYOUTS[: 1 if options.short else 2]
        ):
            which = [HERE / "recipes.py", task, recipe, "--layout", layout]
            everywhere = recipe != "strong" and layout == "coco17"
            for backend in options.backends if everywhere else options.backends[:1]:
                found = call([*which, "--steps", options.steps], backend)
                results.setdefault((task, recipe, layout, backend), []).append(found)
            peers = () if (task, recipe) in PEERLESS else known_peers(options)
            sizes = call([*which, "--sizes"]) if peers else None
            for variant in peers:
                found = peer(options, task, variant, 64 if task == "evaluate" else 32, sizes)
                results.setdefault((task, recipe, layout, variant), []).append(found)
        print(f"recipes: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        yield results


def recipe_figures(results):
    """What results.json has of the recipes: a dict for each task, recipe, layout and backend."""
    figures = []
    for (task, recipe, layout, name), found in results.items():
        if name in PEERS:
            continue
        ratios = {}
        for other in PEERS:
            theirs = results.get((task, recipe, layout, other))
            if theirs:
                pairs = zip(theirs, found, strict=True)
                ratios[other] = statistics.median(o["sequences_per_s"] / t["seq_per_s"] for t, o in pairs)
        figures.append(
            {
                "task": task,
                "recipe": recipe,
                "layout": layout,
                "backend": name,
                "step_s": statistics.median(item["step_s"] for item in found),
                "sequences_per_s": statistics.median(item["sequences_per_s"] for item in found),
                "ratios": ratios,
                "rounds": [item["step_s"] for item in found],
            }
        )
    return figures


def recipe_table(figures):
    """Lines of the first table of RESULTS.md."""
    counts = sorted({len(row["rounds"]) for row in figures})
    rounds = " or ".join(map(str, counts)) + " round" + "s" * (counts != [1])
    lines = [
        SHIPPED,
        "",
        "What `skelmae pretrain`, `finetune` and `evaluate` do, through `fit`, on the package's synthetic recordings "
        "(coco17 in 2D, ntu25 in 3D, two people): batches of 32, of 64 to evaluate, made beside the step, augmented. "
        "The peers take a bare step of the same width, depth, frames and joints on batches that are ready. Their file "
        "has layer normalisation, replaced here by `BatchNorm1d` over all rows. It has no joint positions, no "
        "context of visible joints, no temporal module in each layer and no interaction of people, which `paper` has, "
        "and nothing like the networks of `small` and `strong` but for their graph encoders: those cells are empty. "
        f"Medians over {rounds}.",
        "",
        "| what | recipe | data | backend | ms | sequences/s | against PyG | dense | compiled |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures:
        cells = [RECIPE_TASKS[row["task"]], row["recipe"], row["layout"], row["backend"]]
        cells += [f"{1e3 * row['step_s']:.1f}", f"{row['sequences_per_s']:.0f}"]
        cells += [f"{row['ratios'][other]:.2f}" if other in row["ratios"] else "" for other in PEERS]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def keep_recipes(report, figures, results):
    """Put these recipes into the first table of RESULTS.md and into results.json; all else stays."""
    data = json.loads(figures.read_text("utf-8")) if figures.exists() else {}
    made = {recipe for _, recipe, _, _ in results}
    rows = recipe_figures(results) + [row for row in data.get("recipes", ()) if row["recipe"] not in made]
    rows.sort(key=lambda row: (list(RECIPE_TASKS).index(row["task"]), RECIPES.index(row["recipe"])))
    head, _, rest = (report.read_text("utf-8") if report.exists() else "# Speed\n\n").partition(SHIPPED)
    report.write_text(head + "\n".join([*recipe_table(rows), BARE]) + rest.partition(BARE)[2], "utf-8")
    figures.write_text(json.dumps(data | {"recipes": rows}, indent=1) + "\n", "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="torch_reference.py; needs torch and torch_geometric")
    parser.add_argument("--reader", type=Path, help="ntu_reader_reference.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of each measurement")
    parser.add_argument("--backends", default="tensorflow,jax,torch", type=lambda text: text.split(","))
    parser.add_argument("--short", action="store_true", help="one round, few steps, one backend")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, help="measure these alone, keep all else")
    parser.add_argument("--keep-steps", action="store_true", help="measure all else, keep the steps and growth")
    parser.add_argument("--output", type=Path, default=HERE)
    options = parser.parse_args()
    if options.short:
        options.rounds, options.steps, options.backends = 1, 4, options.backends[:1]
    report, figures = options.output / "RESULTS.md", options.output / "results.json"
    if options.recipes:
        for recipes in measure_recipes(options):
            keep_recipes(report, figures, recipes)
        return
    recipes = {} if options.keep_steps else list(measure_recipes(options))[-1]
    results, tops = ({}, []) if options.keep_steps else measure(options)
    counts = (200, 2000) if options.short else (1000, 100_000)
    memory = [call([HERE / "memory.py", count, "--rounds", 3 if options.short else 20]) for count in counts]
    reader = [] if options.reader is None else ["--reference", options.reader]
    reading = call([HERE / "reading.py", "--rounds", 1 if options.short else 5, *reader])
    if options.keep_steps:
        text, data = report.read_text("utf-8").partition(REST)[0], json.loads(figures.read_text("utf-8"))
        rows = data["growth"]
    else:
        text, data = tables(results, tops, recipes)
        rows = growth(options.short)
    more, further = the_rest(start_up(), memory, reading, rows, handed_over(options))
    report.write_text(text + more, "utf-8")
    figures.write_text(json.dumps(data | further, indent=1) + "\n", "utf-8")
    plot_growth(options.output / "growth.svg", rows)


def tables(results, tops, recipes):
    """RESULTS.md up to the tables of steps, and what results.json has of them."""
    top = {key: statistics.median(item[key] for item in tops) for key in tops[0]}
    versions = {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy")}
    for name in ("jax", "torch", "torch_geometric"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# Speed",
        "",
        f"Written by `python benchmarks/run.py`. {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {named}. TensorFlow and JAX compile, PyTorch does not.",
        f"A product of two 3000 x 3000 matrices runs at {top['gflops']:.0f} GFLOP/s, a copy at {top['GB_s']:.1f} "
        "GB/s. Medians over the rounds; ratios are taken within a round. Above 1 ours is faster.",
        "",
    ]
    figures = recipe_figures(recipes)
    lines += [*recipe_table(figures), BARE, ""]
    machine = {"cores": os.cpu_count(), "ceiling": top}
    data = {"machine": machine, "versions": versions, "recipes": figures, "steps": []}
    for task, title in TASKS.items():
        lines += [
            f"## {title[0].upper()}{title[1:]}",
            "",
            "| what | backend | ms | sequences/s | against PyG | dense | compiled | share of the matrix ceiling |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for (kind, name, backend), found in results.items():
            if kind != task:
                continue
            step = statistics.median(item["step_s"] for item in found)
            rate = statistics.median(item.get("sequences_per_s", item.get("seq_per_s")) for item in found)
            ratios = {}
            for other in PEERS:
                theirs = results.get((task, other, "pytorch"))
                if theirs:
                    ratios[other] = statistics.median(
                        t["step_s"] / o["step_s"] for t, o in zip(theirs, found, strict=True)
                    )
            share = found[0]["flops"] / step / 1e9 / top["gflops"] if "flops" in found[0] else None
            cells = [
                name,
                backend,
                f"{1e3 * step:.1f}",
                f"{rate:.0f}",
                *(f"{ratios[other]:.2f}" if other in ratios else "" for other in PEERS),
                "" if share is None else f"{100 * share:.0f} %",
            ]
            lines.append(f"| {' | '.join(cells)} |")
            data["steps"].append(
                {
                    "task": task,
                    "what": name,
                    "backend": backend,
                    "step_s": step,
                    "sequences_per_s": rate,
                    "ratios": ratios,
                    "ceiling_share": share,
                    "rounds": [item["step_s"] for item in found],
                }
            )
        lines.append("")
    return "\n".join(lines) + "\n", data


def the_rest(started, memory, reading, rows, together):
    """RESULTS.md from the input on, and the figures in it."""
    small, large = memory
    beside = f", {reading['ratio']:.2f} times the line-by-line reader" if "ratio" in reading else ""
    lines = [
        REST,
        "",
        f"- `skelmae --help`: {started:.2f} s.",
        f"- Conversion of `.skeleton` text in one process: {reading['convert_files_per_s']:.0f} files/s, "
        f"{reading['MB_per_s']:.1f} MB/s{beside}.",
        f"- A training epoch of augmented batches, one thread: {reading['epoch_from_file']:.0f} sequences/s from "
        f"the file, {reading['epoch_from_memory']:.0f} from memory.",
        f"- Pre-training streamed from a store of {small['sequences']} sequences of 64 frames: "
        f"{small['step_ms']:.1f} ms per step, {100 * small['waiting']:.1f} % of it waiting for input, peak memory "
        f"{small['peak_MB']:.0f} MB. From {large['sequences']}: {large['step_ms']:.1f} ms, "
        f"{100 * large['waiting']:.1f} %, {large['peak_MB']:.0f} MB, {large['peak_MB'] / small['peak_MB']:.2f} "
        f"times as much. Making a batch takes {large['making_ms']:.1f} ms of another thread.",
        *(
            f"- {backend}, a step of a small network (batch 8, 16 frames, 16 units): {one:.2f} ms, {many:.2f} ms "
            "where 16 are handed over at once."
            for backend, (one, many) in together.items()
        ),
        "",
        "## Growth of a fine-tuning step",
        "",
        "![Growth](growth.svg)",
        "",
        "Batch 16, 64 frames, 17 joints, two people, 64 units, but for:",
        "",
        "| measure | value | ms | peak MB |",
        "|---|---|---|---|",
        *(f"| {key} | {value} | {ms:.0f} | {mb:.0f} |" for key, value, ms, mb in rows),
    ]
    return "\n".join(lines) + "\n", {
        "help_s": started,
        "memory": memory,
        "reading": reading,
        "growth": rows,
        "steps_per_execution": together,
    }


if __name__ == "__main__":
    main()
