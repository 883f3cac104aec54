"""Both training steps on a GPU: ours on JAX and PyTorch, what a PyTorch user would write, and the card's ceilings.

    python benchmarks/gpu.py --peers torch_reference.py

Needs PyTorch and JAX with CUDA and PyTorch Geometric. A first pass compiles everything, as much at once as there are
cores; then each framework has a process of its own, one after the other, `--rounds` times. The time of a step is the
slope between N and 2 N steps that are waited for at the end only, so nobody pays for reading the loss. Ours run
through `fit` with batches that come from the host; the peers' lie on the card. Writes benchmarks/GPU.md and gpu.json.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TASKS = {"pretrain": "Pre-training step", "finetune": "Fine-tuning step, two people"}
PRECISIONS = {"float32": "float32", "tf32": "TF32 products", "bfloat16": "bfloat16"}
PEERS = {"pyg": "PyTorch Geometric", "dense": "PyTorch, dense", "dense-compiled": "PyTorch, dense, compiled"}
TORCH_PRODUCTS = {"float32": "highest", "tf32": "high", "bfloat16": "highest"}  # of what is left in float32
OURS = {"jax": "ours, JAX", "torch": "ours, PyTorch"}
PASSES = 5  # a layer reads and writes its features; back it reads them and a gradient and writes a gradient


def cases(options):
    """(task, batch, precision) of every measurement: exact products for the smallest batch, TF32 for the largest."""
    return [
        (task, batch, precision)
        for task in options.tasks
        for batch in options.batches
        for precision in options.precisions
        if (precision != "tf32" or batch == max(options.batches))
        and (precision != "float32" or batch == min(options.batches))
    ]


def worth(name, precision):
    """Whether this is measured: the compiled peer is slower in bfloat16 than in float32, and long to compile."""
    return name != "dense-compiled" or precision != "bfloat16"


def seconds_per_step(run, budget):
    """Seconds per step of ``run(count)``, which waits for the last of ``count`` steps: the median of three slopes."""
    run(12)  # six masks, each twice
    started = time.perf_counter()
    run(6)
    count = 6 * min(50, max(1, round(budget / 9 / (time.perf_counter() - started))))
    slopes = []
    for _ in range(3):
        taken = []
        for times in (count, 2 * count):
            started = time.perf_counter()
            run(times)
            taken.append(time.perf_counter() - started)
        slopes.append((taken[1] - taken[0]) / count)
    return statistics.median(slopes)


def peer_runner(source, variant, task, batch, precision):
    """``run(count)`` of the reference's own modules with the reference's own losses."""
    import torch
    from torch.nn import functional

    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision(TORCH_PRODUCTS[precision])
    scope = {"__name__": "peer"}
    text = Path(source).read_text("utf-8").rsplit("main()", 1)[0]
    exec(compile(text, source, "exec"), scope)
    torch.manual_seed(0)
    gin = scope["PygGIN" if variant == "pyg" else "DenseGIN"]
    frames, joints = scope["T"], scope["N"]
    if task == "pretrain":
        model = scope["MAE"](gin)
        optimizer = torch.optim.Adam(model.parameters(), 1.5e-4)
        batches = [torch.randn(batch, frames, joints, 2) for _ in range(2)]
        parts = torch.zeros(6, joints, dtype=torch.bool)
        for number, members in enumerate(scope["PARTS"]):
            parts[number, members] = True
    else:
        model = scope["STRL"](gin)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        batches, labels = [torch.randn(batch, 2, frames, joints, 2) for _ in range(2)], torch.randint(0, 60, (batch,))
    network = torch.compile(model) if variant.endswith("compiled") else model

    def run(count):
        for number in range(count):
            with torch.autocast(
                str(torch.get_default_device()).split(":")[0], torch.bfloat16, enabled=precision == "bfloat16"
            ):
                if task == "pretrain":
                    loss = network(batches[number % 2], parts[torch.randint(0, 6, (batch,))][:, None])
                else:
                    loss = functional.cross_entropy(network(batches[number % 2]), labels, label_smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        float(loss.detach())

    return run, {}


def our_runner(task, batch, precision):
    """``run(count)`` of ``fit`` over batches made before."""
    import keras
    import steps

    if keras.config.backend() == "jax":
        import jax

        jax.config.update("jax_default_matmul_precision", "highest" if precision == "float32" else "default")
    else:
        import torch

        torch.set_float32_matmul_precision(TORCH_PRODUCTS[precision])
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    keras.utils.set_random_seed(0)
    options = argparse.Namespace(
        task=task,
        batch=batch,
        frames=64,
        people=1 if task == "pretrain" else 2,
        joints=17,
        units=64,
        layers=3,
        jit="auto",
        normalization="layer",
        shared=True,
        accumulate=1,
        whole=False,
        per_execution=1,
    )
    make = steps.pretraining if task == "pretrain" else steps.finetuning
    model, made, share = make(options, np.random.default_rng(0))
    work = {"flops": 3 * steps.forward_flops(options, share), "share": share}

    def run(count):
        model.fit(steps.Batches(made, count), verbose=0, shuffle=False)

    return run, work


def free():
    gc.collect()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "torch" in sys.modules:
        sys.modules["torch"].compiler.reset()
        if sys.modules["torch"].cuda.is_available():
            sys.modules["torch"].cuda.empty_cache()


def ceilings():
    """TFLOP/s of a large product in each precision, GB/s of a large copy, by PyTorch."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size, found = (8192, {}) if device == "cuda" else (512, {})

    def best(function, count=10):
        times = []
        for _ in range(5):
            function()
            started = time.perf_counter()
            for _ in range(count):
                out = function()
            out.flatten()[0].item()
            times.append((time.perf_counter() - started) / count)
        return min(times)

    for precision in PRECISIONS:
        torch.set_float32_matmul_precision(TORCH_PRODUCTS[precision])
        kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        found[precision] = 2 * size**3 / best(lambda a=a, b=b: a @ b) / 1e12
    source = torch.randn(size * size * 8, device=device)
    target = torch.empty_like(source)
    found["GB_s"] = 2 * source.numel() * 4 / best(lambda: target.copy_(source)) / 1e9
    found["card"] = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    found["versions"] = {"torch": torch.__version__} | {name: metadata.version(name) for name in ("jax", "keras")}
    return found


def child(options):
    """Measure what one process measures; one JSON line each."""
    if options.child == "ceilings":
        print(json.dumps({"what": "ceilings", **ceilings()}), flush=True)
        return
    names = list(PEERS) if options.child == "peers" else [options.child]
    for task, batch, precision in cases(options):
        for name in names:
            if not worth(name, precision):
                continue
            try:
                run, work = (
                    peer_runner(options.peers, name, task, batch, precision)
                    if name in PEERS
                    else our_runner(task, batch, precision)
                )
                if options.warm:
                    run(12)
                else:
                    work["step_s"] = seconds_per_step(run, options.seconds)
                found = work
            except Exception as error:  # another case may fit the card's memory
                found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
            print(json.dumps({"what": name, "task": task, "batch": batch, "precision": precision, **found}), flush=True)
            run = None
            free()


def spawn(name, options, found, *more, chosen=None):
    """Run a child and keep its lines."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch" if name == "torch" else "jax",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": str(options.cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if "--warm" in more:
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    task, batch, precision = chosen or (
        ",".join(options.tasks),
        ",".join(map(str, options.batches)),
        ",".join(options.precisions),
    )
    command = [
        sys.executable,
        __file__,
        "--child",
        name,
        "--peers",
        options.peers,
        "--tasks",
        task,
        "--batches",
        str(batch),
        "--precisions",
        precision,
        "--seconds",
        str(options.seconds),
        *more,
    ]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    print(
        f"{name} {chosen or ''} {' '.join(more)}: {time.perf_counter() - started:.0f} s, "
        f"{[line['error'] for line in lines if 'error' in line] or 'well'}",
        flush=True,
    )
    if done.returncode:
        print(done.stderr[-1500:], flush=True)
    found += [] if "--warm" in more else lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", required=True, help="torch_reference.py")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.5, help="that a measurement takes about")
    parser.add_argument("--tasks", default="pretrain,finetune", type=lambda text: text.split(","))
    parser.add_argument("--batches", default="32,256", type=lambda text: [int(one) for one in text.split(",")])
    parser.add_argument("--precisions", default="float32,tf32,bfloat16", type=lambda text: text.split(","))
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "skelmae-gpu-cache", help="of compiled functions"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that compile at once")
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    found = []
    todo = [
        (name, case)
        for case in sorted(cases(options), key=lambda case: -case[1])
        for name in ("jax", "dense-compiled")
        if worth(name, case[2])
    ]
    with ThreadPoolExecutor(options.processes) as pool:
        list(pool.map(lambda one: spawn(one[0], options, found, "--warm", chosen=one[1]), todo))
    for _ in range(options.rounds):
        for name in ("ceilings", "peers", "jax", "torch"):
            spawn(name, options, found)
            (options.output / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            (options.output / "GPU.md").write_text(table(found), "utf-8")


def table(found):
    """GPU.md: medians over the rounds."""
    tops = [one for one in found if one["what"] == "ceilings"]
    top = {key: statistics.median(one[key] for one in tops) for key in (*PRECISIONS, "GB_s")}
    steps, work = {}, {}
    for one in found:
        if "step_s" in one:
            key = one["task"], one["batch"], one["precision"]
            steps.setdefault(key, {}).setdefault(one["what"], []).append(one["step_s"])
            if "flops" in one:
                work[key] = one
    named = ", ".join(f"{name} {version}" for name, version in tops[0]["versions"].items())
    lines = [
        "# Speed on a GPU",
        "",
        f"Written by `python benchmarks/gpu.py`. {tops[0]['card']}, {named}. A product of "
        "two 8192 x 8192 matrices runs at "
        + ", ".join(f"{top[key]:.0f} TFLOP/s ({name})" for key, name in PRECISIONS.items())
        + f", a copy at {top['GB_s']:.0f} GB/s read and written. Thousands of sequences per second; in brackets how "
        "many times as many as PyTorch Geometric in the same precision. The floor is the larger of two times: the "
        "products at the rate above, and the features of every layer read and written once, and twice read and "
        "once written on the way back, at the rate of the copy.",
        "",
    ]
    ours = [name for name in OURS if any(name in taken for taken in steps.values())]
    columns = [*PEERS, *ours]
    for task, title in TASKS.items():
        lines += [
            f"## {title}",
            "",
            "| batch | precision | " + " | ".join((PEERS | OURS)[name] for name in columns) + " | share of the floor |",
            "|" + "---|" * (3 + len(columns)),
        ]
        for (kind, batch, precision), times in steps.items():
            if kind != task:
                continue
            step = {name: statistics.median(taken) for name, taken in times.items()}
            cells = [str(batch), PRECISIONS[precision]]
            for name in columns:
                against = f" ({step['pyg'] / step[name]:.1f})" if name in step and "pyg" in step else ""
                cells.append(f"{batch / step[name] / 1e3:.1f}{against}" if name in step else "")
            one = work.get((kind, batch, precision))
            cells.append(
                f"{100 * floor(one, top) / min(step[name] for name in ours if name in step):.0f} %" if one else ""
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def floor(one, top):
    """Seconds that a step takes at least."""
    tokens, size = one["batch"] * 64 * 17, 2 if one["precision"] == "bfloat16" else 4
    layers = 4 * one["share"] if one["task"] == "pretrain" else 2 * 3 * 5
    return max(one["flops"] / top[one["precision"]] / 1e12, PASSES * tokens * layers * 64 * size / top["GB_s"] / 1e9)


if __name__ == "__main__":
    main()
