"""Rules and constants of the public benchmarks: splits, class names, missing recordings, expected counts.

Sources: the NTU RGB+D README (names, missing skeletons, one-shot protocol), CTR-GCN and PYSKL (split lists, which
agree), PYSKL label maps (class names).
"""

import functools
import re
from importlib import resources

_NTU_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)
NTU_MAX_SETUP, NTU_MAX_SUBJECT, NTU_MAX_ACTION = 32, 106, 120

# Cross-subject training subjects; those up to 40 are the NTU RGB+D 60 list.
_TRAIN_SUBJECTS = """
1 2 4 5 8 9 13 14 15 16 17 18 19 25 27 28 31 34 35 38 45 46 47 49 50 52 53 54 55 56 57 58 59 70 74 78 80 81 82 83 84 85
86 89 91 92 93 94 95 97 98 100 103
"""
NTU_TRAIN_SUBJECTS = frozenset(map(int, _TRAIN_SUBJECTS.split()))
NTU_TRAIN_CAMERAS = frozenset((2, 3))  # cross-view; cross-setup trains on even setups
NTU_ONE_SHOT_ACTIONS = tuple(range(1, 121, 6))  # 1-based novel classes of the one-shot protocol
NTU_ONE_SHOT_EXEMPLARS = tuple(
    f"S{1 if action <= 60 else 18:03d}C003P008R001A{action:03d}" for action in NTU_ONE_SHOT_ACTIONS
)
EXPECTED_COUNTS = {
    "ntu60": {"all": 56578, "xsub_train": 40091, "xsub_val": 16487, "xview_train": 37646, "xview_val": 18932},
    "ntu120": {"all": 113945, "xsub_train": 63026, "xsub_val": 50919, "xset_train": 54468, "xset_val": 59477},
}


@functools.cache
def load_names(name):
    """The lines of `data/<name>.txt`, a tuple of str."""
    text = resources.files(__package__).joinpath(f"data/{name}.txt").read_text("utf-8")
    return tuple(text.splitlines())


def class_names(benchmark):
    """Class names in label order for "ntu60", "ntu120", "diving48" or "finegym99", a list."""
    if benchmark == "ntu60":
        return list(load_names("ntu120_classes")[:60])
    return unique_names(load_names(f"{benchmark}_classes"))


def unique_names(names):
    """The names as a list, a repeated one told apart by its label: FineGym99 has one name twice (58 and 70)."""
    seen = set()
    return [f"{n} [{i}]" if n in seen or seen.add(n) else n for i, n in enumerate(names)]


@functools.cache
def missing_names(benchmark):
    """Recordings without a usable skeleton, left out of "ntu60" (302) or "ntu120" (535) by its authors."""
    return frozenset(load_names(f"{benchmark}_missing"))


def match_name(stem):
    """Numbers in an NTU-style name as dict(setup, camera, subject, replication, action), or None."""
    match = _NTU_NAME.fullmatch(stem)
    keys = ("setup", "camera", "subject", "replication", "action")
    return dict(zip(keys, map(int, match.groups()), strict=True)) if match else None


def name_numbers(name):
    """dict(subject, camera, setup) of an NTU-style name, -1 for those of another name."""
    found = match_name(name) or {}
    return {key: found.get(key, -1) for key in ("subject", "camera", "setup")}


def ntu_benchmark(names):
    """The benchmark of parsed names: "ntu60", "ntu120", or None for other recordings in the format."""
    highest = {key: max((n[key] for n in names), default=0) for key in ("setup", "subject", "action", "camera")}
    lowest = min((min(n.values()) for n in names), default=0)
    limits = (NTU_MAX_SETUP, NTU_MAX_SUBJECT, NTU_MAX_ACTION, 3)
    if lowest < 1 or any(highest[key] > limit for key, limit in zip(highest, limits, strict=True)):
        return None
    return "ntu60" if highest["setup"] <= 17 and highest["subject"] <= 40 and highest["action"] <= 60 else "ntu120"


def ntu_splits(stems, benchmark):
    """Official splits of the given recordings.

    Args:
        stems: names that `match_name` knows.
        benchmark: "ntu60" (xsub and xview) or "ntu120" (xsub, xset and the one-shot protocol: oneshot_train has
            the 100 auxiliary classes, oneshot_exemplar one recording of each of the 20 novel ones, oneshot_val
            the others of these).
    Returns: dict split name -> list of stems, in the given order; every split is there, maybe empty.
    """
    second = "xview" if benchmark == "ntu60" else "xset"
    splits = {f"{kind}_{part}": [] for kind in ("xsub", second) for part in ("train", "val")}
    if benchmark == "ntu120":
        splits |= {f"oneshot_{part}": [] for part in ("train", "exemplar", "val")}
    for stem in stems:
        name = match_name(stem)
        train = name["camera"] in NTU_TRAIN_CAMERAS if second == "xview" else name["setup"] % 2 == 0
        splits["xsub_train" if name["subject"] in NTU_TRAIN_SUBJECTS else "xsub_val"].append(stem)
        splits[f"{second}_train" if train else f"{second}_val"].append(stem)
        if benchmark == "ntu120":
            novel = name["action"] in NTU_ONE_SHOT_ACTIONS
            part = "exemplar" if stem in NTU_ONE_SHOT_EXEMPLARS else "val" if novel else "train"
            splits[f"oneshot_{part}"].append(stem)
    return splits


def check_counts(benchmark, samples, splits):
    """Found against official counts.

    Args:
        benchmark: a key of EXPECTED_COUNTS; others give an empty result.
        samples: how many there are in all. splits: dict split name -> how many.
    Returns: dict "all" or split name -> {"found", "expected"}, for every count that is official.
    """
    found = {"all": samples} | splits
    expected = EXPECTED_COUNTS.get(benchmark, {})
    return {name: {"found": found.get(name, 0), "expected": count} for name, count in expected.items()}
