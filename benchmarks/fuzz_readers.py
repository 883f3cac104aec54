"""Mutated inputs through every reader: only DataError, bounded memory and time, no partial output left.

    python benchmarks/fuzz_readers.py --count 100000 --seed 0

Prints one JSON line. A mutation is a function of (seed, number), so a failure is repeated by `--only NUMBER`.
"""

import argparse
import io
import json
import pickle
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from skelmae_datasets import DataError, SkeletonStore, convert, convert_arrays, convert_csv, convert_ntu, convert_pyskl
from skelmae_datasets.layouts import get_layout
from skelmae_datasets.synthetic import write_dataset

MAX_SECONDS, MAX_BYTES = 5, 1 << 30
HUGE = (b"-1", b"0", b"99999999999999999999", b"2147483648", b"1e999", b"nan", b"x", b"1_0", b"0x10", b"-0", b"7" * 99)
WRONG = (
    None,
    1,
    -1,
    2**70,
    10**30,
    1.5,
    float("nan"),
    "x",
    b"x",
    [],
    {},
    (),
    True,
    np.zeros(3),
    np.float16(3),
    [[]],
    np.zeros((1, 2, 17, 2)),
    np.zeros((0, 2, 17, 2)),
    np.full((1, 3, 17, 2), np.nan),
    np.array(["a"]),
    {"a": 1},
)


class TooLong(Exception):
    """One input took more than MAX_SECONDS of CPU time."""


def annotation(i):
    rng = np.random.default_rng(i)
    item = {"frame_dir": f"v{i}", "label": i, "img_shape": (240, 320), "total_frames": 3}
    item["keypoint"] = rng.uniform(1, 240, (1 + 2 * (i == 1), 3, 17, 2)).astype("float16")
    return item | {"keypoint_score": rng.uniform(0.1, 1, item["keypoint"].shape[:3]).astype("float16")}


def table():
    """A CSV of two short samples, as bytes."""
    joints = get_layout("coco17").joints
    lines = [
        f"{name},{frame},0,{joint},{3 * number}.5,{frame},{int(name == 'b')}"
        for name in "ab"
        for frame in range(3)
        for number, joint in enumerate(joints)
    ]
    return "\n".join(["sample,frame,person,joint,x,y,label", *lines]).encode()


def estimates():
    """dict name -> bytes of short files of pose estimators, one in each form of JSON, text and table."""
    rng = np.random.default_rng(1)
    points = rng.uniform(10, 900, (3, 17, 2)).round(2).tolist()
    flat = [[value for x, y in frame for value in (x, y, 0.5)] for frame in points]
    marks = [
        [{"x": x / 999, "y": y / 999, "z": 0.1, "visibility": 0.9} for x, y in 2 * frame[:16] + [frame[16]]]
        for frame in points
    ]
    box = {"category_id": 1, "score": 1.5}
    whole = {
        "openpose": {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": flat[0] + [9.0, 9.0, 0.5]}]},
        "kinetics": {
            "data": [
                {"frame_index": 1, "skeleton": [{"pose": [0.5] * 36, "score": [0.5] * 18}]},
                {"frame_index": 2, "skeleton": []},
            ],
            "label": "wave",
            "label_index": 3,
        },
        "alphapose": [{"image_id": f"{t}.jpg", "keypoints": row, "idx": t % 2} | box for t, row in enumerate(flat)],
        "mmpose": {
            "meta_info": {},
            "instance_info": [
                {"frame_id": t, "instances": [{"keypoints": frame, "keypoint_scores": [0.5] * 17}]}
                for t, frame in enumerate(points)
            ],
        },
        "coco": {
            "images": [{"id": t, "file_name": f"a/{t}.jpg", "width": 640, "height": 480} for t in range(3)],
            "annotations": [
                {"image_id": t, "keypoints": [v if v != 0.5 else 2 for v in row]} for t, row in enumerate(flat)
            ],
            "categories": [],
        },
        "ultralytics": [
            [
                {
                    "name": "person",
                    "track_id": 1,
                    "keypoints": dict(zip("xy", map(list, zip(*frame, strict=True)), strict=True)),
                }
            ]
            for frame in points
        ],
        "mediapipe": [{"frame": t, "landmarks": [frame], "worldLandmarks": [frame]} for t, frame in enumerate(marks)],
    }
    lines = [f"{t}," + ",".join(f"{m['x']},{m['y']},0.1,0.9" for m in frame) for t, frame in enumerate(marks)]
    head = "frame," + ",".join(f"x{v},y{v},z{v},v{v}" for v in range(33))
    whole["skelmae"] = {
        "format": "skelmae-sequence",
        "version": 1,
        "layout": "coco17",
        "channels": ["x", "y", "score"],
        "units": "pixels",
        "fps": 30,
        "image_size": [640, 480],
        "label": "wave",
        "subject": 3,
        "splits": ["train"],
        "keypoints": [[[[x, y, 0.5] for x, y in frame] for frame in points]],
    }
    return {f"{name}.json": json.dumps(value).encode() for name, value in whole.items()} | {
        "yolo.txt": "\n".join(
            "0 .5 .5 .2 .6 " + " ".join(f"{v / 999:.4f}" for v in row) + " 3" for row in flat[:2]
        ).encode(),
        "landmarks.csv": "\n".join([head, *lines]).encode(),
    }


BVH = b"""HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT LeftFoot
 {
  OFFSET 10 -80 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 0 10
  }
 }
 JOINT Head
 {
  OFFSET 0 70 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 20 0
  }
 }
}
MOTION
Frames: 2
Frame Time: 0.0083333
0 90 0 0 0 0 0 0 0 0 0 0
5 90 0 0 0 90 0 0 0 0 0 0
"""


def captures(folder):
    """[(name, bytes)] of short files of motion capture and of animals' tools."""
    joints, rng = get_layout("smpl24").joints, np.random.default_rng(3)
    points = rng.uniform(-0.4, 0.4, (4, 24, 3)) + [0, 1, 0]
    points[:, joints.index("head")], points[:, [7, 8]] = [0, 1.7, 0], [0, 0.1, 0]
    heads = "\t".join(f"{name}\t\t" for name in joints)
    rows = [f"{t}\t{t / 100}\t" + "\t".join(f"{1000 * v:.2f}" for v in frame.ravel()) for t, frame in enumerate(points)]
    keys = "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits"
    trc = [
        "PathFileType\t4\t(X/Y/Z)\ta.trc",
        keys,
        "100\t100\t4\t24\tmm",
        f"Frame#\tTime\t{heads}",
        "\t\tX1",
        "",
        *rows,
    ]
    names = get_layout("coco17").joints
    dlc = [",".join([name, *columns]) for name, columns in (
        ("scorer", ["net"] * 51), ("bodyparts", [n for name in names for n in [name] * 3]),
        ("coords", ["x", "y", "likelihood"] * 17))]  # fmt: skip
    dlc += [",".join(map(str, [t, *rng.uniform(9, 99, 51).round(2)])) for t in range(3)]
    np.savez(folder / "smpl.npz", joints=points, mocap_framerate=np.array(120.0))
    with h5py.File(folder / "a.analysis.h5", "w") as file:
        file["tracks"], file["point_scores"] = rng.uniform(9, 99, (2, 2, 17, 4)), rng.random((2, 17, 4))
        file["node_names"] = [name.encode() for name in names]
    written = [(name, (folder / name).read_bytes()) for name in ("smpl.npz", "a.analysis.h5")]
    return [("a.trc", "\n".join(trc).encode()), ("dlc.csv", "\n".join(dlc).encode()), ("a.bvh", BVH), *written]


def originals(folder):
    """dict kind -> list of whole files, as bytes (pickles as the objects, too)."""
    folder.mkdir()
    texts = [p.read_bytes() for p in write_dataset(folder / "raw", 1, 1, seed=2, frames=(8, 9))[-4:]]
    texts = [text[: len(text) // 2] if i == 3 else text for i, text in enumerate(texts)]
    content = {"split": {"train": ["v0", "v1"], "val": ["v2"]}, "annotations": [annotation(i) for i in range(3)]}
    (folder / "a.pkl").write_bytes(pickle.dumps(content))
    convert_pyskl(folder / "a.pkl", folder / "a.h5")
    x, y = np.random.default_rng(0).normal(size=(3, 4, 150)).astype("float32"), np.eye(3)
    np.savez(folder / "a.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    np.savez_compressed(folder / "b.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    np.save(folder / "a.npy", np.ones((2, 3, 4, 25, 1), "float32"))
    return {
        "skeleton": texts,
        "pkl": [pickle.dumps(content, protocol) for protocol in (0, 2, 4, 5)] + [pickle.dumps(content["annotations"])],
        "object": [content],
        "h5": [(folder / "a.h5").read_bytes()],
        "tree": [(folder / "a.h5").read_bytes()],
        "npz": [(folder / name).read_bytes() for name in ("a.npz", "b.npz")],
        "npy": [(folder / "a.npy").read_bytes()],
        "label": [pickle.dumps((["a", "b"], [0, 1]), protocol) for protocol in (0, 2, 4)],
        "csv": [table()],
        "clip": list(estimates().items()),
        "value": [(name, json.loads(data)) for name, data in estimates().items() if name.endswith(".json")],
        "array": _saved(np.random.default_rng(2).uniform(1, 99, (2, 5, 17, 2)).astype("float32")),
        "capture": captures(folder),
        "toml": [get_layout("coco17").to_toml().encode()],
    }


def _saved(values):
    """[(name, bytes)] of an array as `.npy` and `.npz`."""
    plain, packed = io.BytesIO(), io.BytesIO()
    np.save(plain, values)
    np.savez_compressed(packed, keypoints=values, scores=values[..., 0] / 99)
    return [("a.npy", plain.getvalue()), ("a.npz", packed.getvalue())]


def mutate(data, rng):
    """Bytes with one to three faults."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = max(1, len(data))
        at, length = int(rng.integers(size)), int(rng.integers(1, 40))
        kind = rng.integers(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            for place in rng.integers(0, size, rng.integers(1, 9)).tolist():
                if place < len(data):
                    data[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            data[at : at + length] = rng.bytes(length)
        elif kind == 3:
            del data[at : at + length * int(rng.integers(1, 50))]
        elif kind == 4:
            data[at:at] = data[at : at + length * 20]
        elif kind == 5:
            data[at : at + 8] = rng.choice([b"\xff" * 8, b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 4 + b"\0" * 4])
        elif kind == 6:  # a token of text, one near the start half of the time
            tokens = bytes(data[: 300 if rng.random() < 0.5 else None]).split()
            if tokens:
                token, huge = tokens[int(rng.integers(len(tokens)))], HUGE[int(rng.integers(len(HUGE)))]
                data = bytearray(bytes(data).replace(token, huge, int(rng.integers(1, 4))))
        else:
            data += rng.bytes(length)
    return bytes(data)


def mutate_object(value, rng):
    """A deep copy of containers in which one value has become something else."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return WRONG[int(rng.integers(len(WRONG)))]
    value = value.copy()
    key = list(value)[int(rng.integers(len(value)))] if isinstance(value, dict) else int(rng.integers(len(value)))
    if isinstance(value, dict) and rng.random() < 0.1:
        del value[key]
    else:
        value[key] = mutate_object(value[key], rng)
    return value


def mutate_tree(path, rng):
    """Change an attribute, or replace a data set, of a store in place."""
    with h5py.File(path, "r+") as file:
        if rng.random() < 0.4:
            name = list(file.attrs)[int(rng.integers(len(file.attrs)))]
            value = file.attrs[name]
            new = [
                b"\xff",
                1,
                -1.5,
                "",
                "{}",
                "[",
                "null",
                np.zeros(3),
                "[" * 9000,
                mutate(str(value).encode(), rng).replace(b"\0", b""),
            ]
            file.attrs[name] = new[int(rng.integers(len(new)))]
            return
        names = []
        file.visit(names.append)
        name = names[int(rng.integers(len(names)))]
        item = file[name]
        if not isinstance(item, h5py.Dataset) or rng.random() < 0.3:
            del file[name]
            new = [
                np.zeros(3),
                np.zeros((3, 2), "int64"),
                "x",
                h5py.SoftLink("/samples"),
                h5py.ExternalLink("a", "/b"),
                np.zeros((10, 17, 3), "float16"),
                np.array([b"v0"] * 3),
            ]
            file[name] = new[int(rng.integers(len(new)))]
        elif rng.random() < 0.3:
            shape, kind = item.shape, item.dtype
            del file[name]
            shape = (int(10.0 ** rng.uniform(0, 15)), *shape[1:])
            file.create_dataset(name, shape, kind, chunks=(min(shape[0], 64), *shape[1:]), compression="gzip")
        elif item.dtype.kind in "if" and item.size:
            flat = item[()].ravel()
            flat[int(rng.integers(flat.size))] = rng.choice([-(2**40), -1, 3, 2**40]) if item.dtype.kind == "i" else 1e4
            item[()] = flat.reshape(item.shape)


def run_one(kind, seeds, rng, folder):
    """Write a mutation of one of the seeds and read it; "read" or "refused"."""
    seed = seeds[int(rng.integers(len(seeds)))]
    output, source = folder / "out.h5", folder / f"in.{kind}"
    if kind == "object":
        source = folder / "in.pkl"
        source.write_bytes(pickle.dumps(mutate_object(seed, rng), int(rng.integers(2, 6))))
    elif kind == "tree":
        source = folder / "in.h5"
        source.write_bytes(seed)
        mutate_tree(source, rng)
    elif kind == "skeleton":
        source = folder / "S001C001P001R001A001.skeleton"
        source.write_bytes(mutate(seed, rng))
    elif kind in ("clip", "value", "array", "capture"):
        name, content = seed
        source = folder / name
        source.write_bytes(_dumped(mutate_object(content, rng)) if kind == "value" else mutate(content, rng))
    elif kind in ("npy", "label"):
        source = folder / "t_data.npy"
        source.write_bytes(mutate(seed, rng) if kind == "npy" else _ARRAY)
        label = pickle.dumps((["a", "b"], [0, 1]))
        (folder / "t_label.pkl").write_bytes(mutate(seed, rng) if kind == "label" else label)
    else:
        source.write_bytes(mutate(seed, rng))
    try:
        if kind == "skeleton":
            convert_ntu(folder, output, joints=("all", "coco17")[int(rng.integers(2))])
        elif kind in ("pkl", "object"):
            convert_pyskl(source, output)
        elif kind in ("h5", "tree"):
            with SkeletonStore(source) as store:
                for index in range(min(3, len(store))):
                    store.sample(index)
                store.verify()
        elif kind in ("clip", "value", "array"):
            convert(source, output, layout=("coco17" if kind == "array" else None))
        elif kind == "capture":
            convert(source, output, to=("coco17" if rng.random() < 0.5 else None))
        elif kind == "csv":
            convert_csv(source, output, layout="coco17")
        elif kind == "toml":
            get_layout(str(source))
        else:
            convert_arrays(source, output)
        result = "read"
    except DataError as error:
        assert str(error) and "\n" not in str(error), "an error in one line"
        assert "llocate" not in str(error) and "MemoryError" not in str(error), f"bounded before allocating: {error}"
        result = "refused"
    left = {path.name for path in folder.iterdir()} - {source.name, "t_label.pkl"}
    converted = result == "read" and kind not in ("h5", "tree", "toml")
    assert left == ({"out.h5"} if converted else set()), f"left behind: {left}"
    for path in folder.iterdir():
        path.unlink()
    return result


def _dumped(value):
    """A value as JSON; what JSON has not becomes text or, of arrays, lists."""
    return json.dumps(value, default=lambda item: item.tolist() if hasattr(item, "tolist") else str(item)).encode()


_ARRAY = b""


def main(arguments=None):
    global _ARRAY
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one number, to repeat a failure")
    parser.add_argument(
        "--kinds", nargs="+", help="of skeleton pkl object h5 tree npz npy label csv clip value array capture toml"
    )
    options = parser.parse_args(arguments)

    def stop(*_):
        raise TooLong

    signal.signal(signal.SIGPROF, stop)
    warnings.simplefilter("ignore")
    results, failures, slowest, started = Counter(), [], 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        seeds = originals(Path(temporary) / "seeds")
        _ARRAY = seeds["npy"][0]
        kinds = options.kinds or [
            *["skeleton"] * 4,
            *["pkl"] * 3,
            "object",
            *["h5"] * 3,
            "tree",
            "npz",
            "npy",
            "label",
            *["csv"] * 2,
            *["clip"] * 3,
            *["value"] * 3,
            "array",
            *["capture"] * 3,
            "toml",
        ]
        folder, trace = Path(temporary) / "one", Path(tempfile.gettempdir()) / "fuzz_readers.last"
        folder.mkdir()
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES + (1 << 30), resource.getrlimit(resource.RLIMIT_AS)[1]))
        for number in [options.only] if options.only is not None else range(options.count):
            kind = kinds[number % len(kinds)]
            trace.write_text(f"{options.seed} {number} {kind}")  # what a crash of the process was about
            signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
            begun = time.process_time()
            try:
                results[kind, run_one(kind, seeds[kind], np.random.default_rng((options.seed, number)), folder)] += 1
            except (Exception, MemoryError) as error:
                failures.append(f"seed {options.seed} number {number} ({kind}): {type(error).__name__}: {error}")
                print(failures[-1], file=sys.stderr, flush=True)
                if options.only is not None or len(failures) > 100:
                    raise
                for path in folder.iterdir():
                    path.unlink()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(slowest, time.process_time() - begun)
            if number % 10_000 == 9_999:
                print(f"{number + 1} done", file=sys.stderr, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (peak - base) * 1024 < MAX_BYTES, "more memory than a reader may take"
    figures = {
        "inputs": sum(results.values()),
        "seconds": round(time.perf_counter() - started, 1),
        "failures": failures,
        "slowest_cpu_ms": round(1e3 * slowest, 1),
        "peak_rss_MB": peak // 1024,
        "grown_MB": (peak - base) // 1024,
        **{f"{kind} {result}": count for (kind, result), count in sorted(results.items())},
    }
    print(json.dumps(figures))
    return figures


if __name__ == "__main__":
    main()
