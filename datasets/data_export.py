"""Stores to files that other programs read: arrays as of CTR-GCN, JSON of our own, a table. No pickle is written."""

import csv
import os
import re
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import orjson

from .errors import DataError, naming
from .files import TEMPORARY, current_umask, replacing
from .readers import plain_json, table_text
from .readers.labels import ClassTable
from .readers.recordings import open_recordings
from .store.facts import EXPECTED

_PEOPLE = 2  # places in CTR-GCN's arrays, used or not


def export_data(path, output, to=None, train_split=None, test_split=None, progress=None):
    """Write a store as plain files, by the output's name.

    `.npz`: x_train (N, T, M*V*C) padded with zeros, y_train (N, K) one-hot, x_test, y_test, as of CTR-GCN. `.csv`: the
    table that `convert_csv` reads. Without a suffix: a folder with a `.json` a sequence, see `readers.plain_json`.
    These two have ids, classes, subjects and splits by names that are read back as they are.

    Args:
        path: a store, or what else `open_recordings` opens. output: the file, or a folder that is new or empty.
        to: as `open_recordings`.
        train_split, test_split: expressions as `SkeletonStore.select` takes them, for `.npz` alone; without them every
            split of the store is a part x_NAME, y_NAME, and without splits all is x_train, y_train.
        progress: called with (done, total).
    Returns: dict with samples, how many were written; form; splits {part: samples}, of `.npz`; notes, [text].
    Raises: DataError where the output cannot be, a split is not there, a name would not be read back, or as
        `open_recordings`; nothing is written then.
    """
    output = Path(output)
    forms = {".npz": _write_arrays, ".csv": _write_table, "": _write_folder}
    if output.suffix.lower() not in forms:
        raise DataError(output, "suffix", ".npz, .csv, or none for a folder of .json", output.suffix)
    asked = {"train": train_split, "test": test_split}
    if output.suffix.lower() != ".npz" and any(asked.values()):
        raise DataError(output, "splits", "an .npz for train_split and test_split", "another form, which has all")
    with open_recordings(path, to=to, strict=False) as store:
        if output.resolve() == Path(path).resolve():
            raise DataError(output, "output", "another file than the input")
        notes = store.notes
        report = {"form": output.suffix.lower() or "folder of .json", "notes": notes}
        return report | forms[output.suffix.lower()](store, output, asked, notes, progress or (lambda *_: None))


def _actions(store):
    return [store.classes[label] if label >= 0 else None for label in store.labels]


def _refuse_classes(store, output, label_in, expected):
    """Raise DataError where the name of a class, read by `label_in` as a label, would not be that class again."""
    names = sorted({store.classes[label] for label in store.labels if label >= 0})
    table = ClassTable(map(label_in, names))
    for name in names:
        number = table.number(label_in(name))
        if number in (None, -1) or table.names[number] != name:
            raise DataError(output, "classes", expected, repr(name)[:60])


def _splits_of(store):
    """For each sample the names of its splits."""
    names = [[] for _ in range(len(store))]
    for split, members in store.splits.items():
        for index in members.tolist():
            names[index].append(split)
    return names


# === Arrays ===


def _write_arrays(store, output, asked, notes, progress):
    parts = {part: store.select(expression) for part, expression in asked.items() if expression is not None}
    parts = parts or dict(store.splits) or {"train": np.arange(len(store))}
    unknown = len({int(index) for members in parts.values() for index in members if store.labels[index] < 0})
    if unknown:
        notes.append(f"{unknown} sequences without a label are left out: y cannot say so")
    parts = {part: members[store.labels[members] >= 0] for part, members in parts.items()}
    parts = {part: members for part, members in parts.items() if len(members)}
    if not parts:
        raise DataError(store.path, "splits", "a sequence with a label", "none")
    every = np.concatenate(list(parts.values()))
    if any(asked.values()) and len(np.unique(every)) < len(every):
        notes.append(
            f"{len(every) - len(np.unique(every))} sequences are in train and in test: accuracy flatters there"
        )
    people, frames = max(_PEOPLE, int(store.people[every].max())), int(store.frames[every].max())
    joints, width = store.layout.num_joints, len(store.channels)
    notes.append(f"a row is {frames} frames x ({people} people x {joints} joints x {', '.join(store.channels)})")
    done = 0
    with replacing(output) as temporary, naming(output), zipfile.ZipFile(temporary, "w") as archive:
        for part, members in parts.items():
            form = (len(members), frames, people * joints * width)
            with _member(archive, f"x_{part}", form) as file:
                for index in members:
                    row = np.zeros((frames, people, joints, width), "<f4")
                    keypoints = store.read(int(index))
                    row[: keypoints.shape[1], : len(keypoints)] = keypoints.swapaxes(0, 1)
                    file.write(row.tobytes())
                    done += 1
                    progress(done, len(every))
            labels = store.labels[members]
            hot = np.eye(len(store.classes), dtype="<f4")[labels] if len(store.classes) > 1 else labels.astype("<f4")
            with _member(archive, f"y_{part}", hot.shape) as file:
                file.write(np.ascontiguousarray(hot).tobytes())
    sizes = {part: len(members) for part, members in parts.items()}
    return {"samples": len(np.unique(every)), "splits": sizes}


def _member(archive, name, shape):
    """A float32 array of this shape in the archive, open for its bytes."""
    info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
    info.compress_type, info._compresslevel = zipfile.ZIP_DEFLATED, 1  # padding packs well
    file = archive.open(info, "w", force_zip64=True)
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(map(int, shape))}
    np.lib.format.write_array_header_1_0(file, header)
    return file


# === Folder ===


def _write_folder(store, output, asked, notes, progress):
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise DataError(output, "output", "a new or empty folder", "a file" if output.is_file() else "files in it")
    output.parent.mkdir(parents=True, exist_ok=True)
    _refuse_classes(store, output, plain_json.label_in, "names that are not empty, nor all such as 1.0")
    actions, splits, used = _actions(store), _splits_of(store), set()
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=output.parent) as folder, naming(output):
        for index, name in enumerate(store.ids):
            sample = store.sample(index)
            known = actions[index], splits[index], store.fps
            content = plain_json.content_of(sample, store.layout, store.channels, *known)
            path = Path(folder) / f"{_file_name(name, used)}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))
            progress(index + 1, len(store))
        os.chmod(folder, 0o777 & ~current_umask())
        os.replace(folder, output)
        Path(folder).mkdir()  # what is left to be removed
    return {"samples": len(store)}


def _file_name(name, used):
    """A path for a sample's id: its folders stay, what no file can be called does not, and none is given twice."""
    parts = [re.sub(r'[\\:*?"<>|]', "_", part).lstrip(".") or "_" for part in name.split("/")]
    path = base = "/".join(part.encode()[:200].decode(errors="ignore") for part in parts)
    number = 2
    while path.lower() in used:
        path, number = f"{base}~{number}", number + 1
    used.add(path.lower())
    return path


# === Table ===


def _refuse_texts(store, output):
    """Raise DataError where a name would be another, several or none in a field of a table."""
    expected = "names that stay as they are in a table (a folder of .json keeps any)"
    _refuse_classes(store, output, table_text.label_in, expected)
    for key, names, read in (
        ("ids", store.ids, lambda text: text.strip()),
        ("subjects", store.subjects, lambda text: str(table_text.fact_in(text))),
        ("splits", store.splits, lambda text: ";".join(table_text.splits_in(text))),
    ):
        changed = next((name for name in names if read(name) != name), None)
        if changed is not None:
            raise DataError(output, key, expected, repr(changed)[:60])


def _write_table(store, output, asked, notes, progress):
    _refuse_texts(store, output)
    actions, splits = _actions(store), _splits_of(store)
    known = [key for key in EXPECTED if (getattr(store, key) >= 0).any()]
    columns = ["sample", "frame", "person", "joint", *store.channels, "label", *known, "split"]
    with replacing(output) as temporary, naming(output), open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for index, name in enumerate(store.ids):
            sample = store.sample(index)
            numbers = ["" if value == -1 else value for value in (getattr(sample, key) for key in known)]
            facts = [actions[index] or "", *numbers, ";".join(splits[index])]
            writer.writerows(
                [name, *row, *facts] for row in _rows(sample.keypoints.astype("float32"), store.layout.joints)
            )
            progress(index + 1, len(store))
    return {"samples": len(store)}


def _rows(keypoints, joints):
    """[frame, person, joint, values] of every joint that was seen, in order of time; an empty one where nobody was."""
    seen = keypoints.any(-1).transpose(1, 0, 2)  # (T, M, V)
    frames, people, places = np.nonzero(seen)
    texts = orjson.dumps(keypoints[people, frames, places], option=orjson.OPT_SERIALIZE_NUMPY)  # the fewest digits
    values = [row.split(",") for row in texts.decode()[2:-2].split("],[")] if len(frames) else []
    rows = list(zip(frames.tolist(), people.tolist(), places.tolist(), values, strict=True))
    empty = np.flatnonzero(~seen.any(axis=(1, 2))).tolist()
    rows += [(frame, 0, 0, [""] * keypoints.shape[-1]) for frame in empty]
    rows.sort(key=lambda row: row[:3])
    return [(frame, person, joints[joint], *texts) for frame, person, joint, texts in rows]
