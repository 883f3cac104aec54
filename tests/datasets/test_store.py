"""The store: exact round trip, whole file or none, refusal of what is not a sound store."""

import multiprocessing
import os
import pickle

import h5py
import numpy as np
import pytest

from skelmae_datasets import DataError, Sample, SkeletonLayout, SkeletonStore, StoreSet, StoreWriter, describe_store


def make_samples(count=5, dtype="float16"):
    rng = np.random.default_rng(0)
    return [
        Sample(
            f"clip-{i}",
            rng.normal(200, 50, (1 + i % 2, 3 + 40 * i, 17, 3)).astype(dtype),
            i % 3,
            i,
            1 + i % 2,
            7,
            (4, 5),
        )
        for i in range(count)
    ]


def write(path, samples, **options):
    options = {
        "layout": "coco17",
        "classes": ["a", "b", "c"],
        "channels": ("x", "y", "score"),
        "units": "pixels",
    } | options
    with StoreWriter(path, **{"provenance": {"note": "é"}, "dtype": "float16"} | options) as writer:
        for sample in samples:
            writer.append(sample)
        missing = writer.set_splits({"train": ["clip-3", "clip-0", "nobody"], "val": ["clip-1"], "none": []})
    assert missing == {"train": 1, "val": 0, "none": 0}
    return path


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "store.h5", make_samples())


@pytest.mark.parametrize("buffer", [1, 8 << 20])
def test_round_trip(tmp_path, monkeypatch, buffer):
    monkeypatch.setattr("skelmae_datasets.store.writer._BUFFER_BYTES", buffer)
    samples = make_samples()
    with SkeletonStore(write(tmp_path / "store.h5", samples)) as store:
        for i, sample in enumerate(samples):
            found = store.sample(i)
            assert found.keypoints.dtype == np.float16
            np.testing.assert_array_equal(found.keypoints, sample.keypoints)
            assert {**vars(found), "keypoints": 0} == {**vars(sample), "keypoints": 0}
            assert store.read(i).dtype == np.float32
        assert store.layout.name == "coco17" and store.num_coordinates == 2 and store.has_score
        assert store.provenance == {"note": "é"} and len(store) == 5
        store.verify()
        with pytest.raises(IndexError):
            store.read(5)
    assert describe_store(store.path)["classes"] == {"a": 2, "b": 2, "c": 1}


def test_the_rate_is_optional_and_part_of_the_content(tmp_path, path):
    with SkeletonStore(path) as store:
        assert store.fps is None
    with SkeletonStore(write(tmp_path / "r.h5", make_samples(), fps=29.97)) as rated:
        assert rated.fps == 29.97 == describe_store(rated.path)["fps"] and rated.fingerprint != store.fingerprint
        rated.verify()
    for bad in (0, -1, float("nan"), 1e9, "x", [1]):
        with pytest.raises(DataError, match="fps: expected more than 0"):
            write(tmp_path / "b.h5", make_samples(), fps=bad)
    with h5py.File(path, "r+") as file:
        file.attrs["fps"] = "fast"
    with pytest.raises(DataError, match="fps"):
        SkeletonStore(path)


def test_fingerprint_is_of_the_content(tmp_path):
    samples = make_samples()
    one, two = (write(tmp_path / name, samples, provenance={"at": name}) for name in ("1.h5", "2.h5"))
    samples[2].keypoints[0, 0, 0, 0] += 1
    three = write(tmp_path / "3.h5", samples)
    prints = [SkeletonStore(p).fingerprint for p in (one, two, three)]
    assert prints[0] == prints[1] != prints[2]
    with h5py.File(one, "r+") as file:
        file["keypoints"][10, 3, 1] = 0
    with pytest.raises(DataError, match="fingerprint"):
        SkeletonStore(one).verify()


def test_a_store_packed_again_is_the_same_store(path):
    with SkeletonStore(path) as store:
        expected = [store.read(i) for i in range(5)]
    with h5py.File(path, "r+") as file:
        rows = file["keypoints"][()]
        del file["keypoints"], file["samples/crc32"]
        file.create_dataset("keypoints", data=rows, chunks=(64, 17, 3), compression="gzip", shuffle=True)
    with SkeletonStore(path) as packed:
        packed.verify()
        for i, keypoints in enumerate(expected):
            np.testing.assert_array_equal(packed.read(i), keypoints)


def named(path, subjects):
    with StoreWriter(path, layout="coco17", classes=["wave"], channels=("x", "y")) as writer:
        for number, subject in enumerate(subjects):
            writer.append(Sample(f"{path.stem}{number}", np.ones((1, 2, 17, 2), "float32"), 0, subject))
    return path


def test_subjects_may_have_names(tmp_path):
    path = named(tmp_path / "a.h5", ["ben", "anna", -1, 7, "anna"])
    with SkeletonStore(path) as store:
        store.verify()
        assert store.subjects == ["7", "anna", "ben"] and store.subject.tolist() == [2, 1, -1, 0, 1]
        assert store.select("subject=anna").tolist() == [1, 4] and store.select("subject=7, ben").tolist() == [0, 3]
        assert [store.sample(index).subject for index in range(5)] == ["ben", "anna", -1, "7", "anna"]
        assert describe_store(store)["subject"] == ["7", "anna", "ben"]
        with pytest.raises(DataError, match="subject: expected values of -1, 7, anna, ben, found '2'"):
            store.select("subject=2")
    named(tmp_path / "b.h5", ["anna", "carl"])
    with StoreSet([path, tmp_path / "b.h5", named(tmp_path / "c.h5", [7])]) as stores:  # each numbers them for itself
        assert stores.subjects == ["7", "anna", "ben", "carl"] and stores.select("subject=anna").tolist() == [1, 4, 5]
        assert stores.select("subject=7").tolist() == [3, 7]
    with pytest.raises(DataError, match="d.h5: subject: expected one spelling for each person, found 'Anna' and"):
        named(tmp_path / "d.h5", ["Anna", "anna ", "ben"])
    assert not (tmp_path / "d.h5").exists()
    with h5py.File(path, "r+") as file:
        file.attrs["subjects"] = np.bytes_(b'["anna"]')
    with pytest.raises(DataError, match="samples/subject: expected -1 to 0, found 2"):
        SkeletonStore(path)


def test_select(path, tmp_path):
    store = SkeletonStore(path)
    assert store.select("all").tolist() == [0, 1, 2, 3, 4]
    assert store.select("train").tolist() == [3, 0]
    assert store.select("subject=1,4").tolist() == [1, 4]
    assert store.select("camera=2").tolist() == [1, 3] and len(store.select("setup=7")) == 5
    (tmp_path / "ids.txt").write_text("clip-4\n\nclip-2\n")
    assert store.select(f"ids={tmp_path / 'ids.txt'}").tolist() == [4, 2]
    with pytest.raises(DataError, match="one of train, .*found 'trian'"):
        store.select("trian")
    with pytest.raises(DataError, match="subject: expected values of 0, 1, 2, 3, 4, found '9'"):
        store.select("subject=9")
    (tmp_path / "ids.txt").write_text("clip_4\n")
    with pytest.raises(DataError, match="close: clip-4"):
        store.select(f"ids={tmp_path / 'ids.txt'}")


def test_a_sample_is_selected_once_and_a_selection_is_not_empty(path, tmp_path):
    (tmp_path / "ids.txt").write_text("clip-4\nclip-2\n clip-4\nclip-4\n")
    with h5py.File(path, "r+") as file:
        file["splits/train"][...] = [3, 3]  # as another program may write it
    with SkeletonStore(path) as store:
        assert store.select(f"ids={tmp_path / 'ids.txt'}").tolist() == [4, 2]
        assert store.select("subject=1,1").tolist() == [1] and store.select("train").tolist() == [3]
        with pytest.raises(DataError, match="split none: expected a sequence or more, as in train, val, all, found"):
            store.select("none")


def test_classes_that_differ_in_capitals_or_spaces_stay_apart(tmp_path):
    classes = ["Wave", "wave", "wave "]
    with SkeletonStore(write(tmp_path / "s.h5", make_samples(), classes=classes)) as store:
        assert store.classes == classes and store.labels.tolist() == [0, 1, 2, 0, 1]
        assert describe_store(store)["classes"] == {"Wave": 2, "wave": 2, "wave ": 1}


def read_one(store):
    return store.read(1)


def test_other_processes_read_the_same(path):
    store = SkeletonStore(path)
    expected = store.read(1)
    assert len(pickle.dumps(store)) < 1000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.map(read_one, [store] * 4):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(store.read(1), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_an_open_handle_survives_a_fork(path):
    store = SkeletonStore(path)
    expected = [store.read(i) for i in range(len(store))]  # the file is open now, at some place
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            for _ in range(20):
                ok = all(np.array_equal(store.read(i), e) for i, e in enumerate(expected))
                if not ok:
                    os._exit(1)
            os._exit(0)
        children.append(child)
    for _ in range(20):
        assert all(np.array_equal(store.read(i), e) for i, e in enumerate(expected))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    copy = pickle.loads(pickle.dumps(store))
    store.close()
    np.testing.assert_array_equal(copy.read(1), expected[1])
    np.testing.assert_array_equal(store.read(1), expected[1], "a closed store opens again")


@pytest.mark.parametrize("byte", [b"\xff", b"\0", b"\x5a"])
def test_one_sample_touches_only_its_own_chunks(path, byte):
    """All chunks but those of sample 3 are spoilt, and sample 3 still reads."""
    expected = SkeletonStore(path).read(3)
    with h5py.File(path) as file:
        data, offset = file["keypoints"], int(file["samples/offset"][3])
        rows = range(offset // 64, -(-(offset + 2 * 123) // 64))
        infos = [data.id.get_chunk_info(i) for i in range(data.id.get_num_chunks())]
        others = [info for info in infos if info.chunk_offset[0] // 64 not in rows]
    content = bytearray(path.read_bytes())
    for info in others:
        content[info.byte_offset : info.byte_offset + info.size] = byte * info.size
    path.write_bytes(content)
    with SkeletonStore(path) as store:
        np.testing.assert_array_equal(store.read(3), expected)
        with pytest.raises(DataError, match="sample 'clip-4'"):
            store.read(4)
        with pytest.raises(DataError, match="sample 'clip-0'"):
            store.read(0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"keypoints": np.zeros((1, 2, 18, 3))}, "18"),
        ({"keypoints": np.zeros((0, 2, 17, 3))}, r"\(0, 2, 17, 3\)"),
        ({"keypoints": [[[1, 2], [3]]]}, "numbers \\(M, T, 17, 3\\), found object"),
        ({"keypoints": np.full((1, 2, 17, 3), "x")}, "numbers"),
        ({"keypoints": np.full((1, 2, 17, 3), 1e9)}, "within float16"),
        ({"label": 3}, "label below 3"),
        ({"label": "a"}, "a whole number as label, found 'a'"),
        ({"label": None}, "a whole number as label"),
        ({"subject": 1.5}, "a whole number or a name without , and ; as subject, found 1.5"),
        ({"subject": "anna,ben"}, "as subject, found 'anna,ben'"),
        ({"camera": "front"}, "a whole number as camera"),
        ({"image_size": 240}, "two whole numbers as image_size"),
        ({"id": 7}, "new, printable id"),
        ({"id": "clip-0"}, "new, printable id"),
        ({"id": "a\0"}, "new, printable id"),
    ],
)
def test_a_bad_sample_leaves_no_file_and_keeps_the_old(path, change, match):
    before = path.read_bytes()
    samples = make_samples(2)
    vars(samples[1]).update(change)
    with pytest.raises(DataError, match=match):
        write(path, samples)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["store.h5"]


def test_an_empty_store_is_refused(tmp_path):
    with (
        pytest.raises(DataError, match="one sample or more"),
        StoreWriter(tmp_path / "x.h5", layout="coco17", classes=[], channels=("x", "y"), units="pixels"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def damage_version(file):
    file.attrs["version"] = 2


def damage_layout(file):
    file.attrs["layout"] = "{}"


def damage_json(file):
    file.attrs["classes"] = "["


def damage_missing(file):
    del file["samples/people"]


def damage_range(file):
    file["samples/frames"][4] = 10**9


def damage_negative(file):
    file["samples/offset"][0] = -1


def damage_label(file):
    file["samples/label"][0] = 3


def damage_split(file):
    file["splits/train"][0] = 5


def damage_external(file):
    del file["keypoints"]
    file["keypoints"] = h5py.ExternalLink("other.h5", "/keypoints")


def damage_soft(file):
    del file["splits"]
    file["splits"] = h5py.SoftLink("/samples")


def damage_raw_file(file):
    del file["keypoints"]
    file.create_dataset("keypoints", (463, 17, 3), "float16", external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])


def damage_sparse(file):
    del file["keypoints"]
    file.create_dataset("keypoints", (10**12, 17, 3), "float16", chunks=(64, 17, 3))


DAMAGES = [value for name, value in list(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_unsound_store_is_refused(path, damage):
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DataError, match="store.h5"):
        SkeletonStore(path)


def test_other_files_are_refused(path, tmp_path):
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[: len(whole) // 2]):
        (tmp_path / "x.h5").write_bytes(content)
        with pytest.raises(DataError, match="x.h5"):
            SkeletonStore(tmp_path / "x.h5")
    with pytest.raises(FileNotFoundError):
        SkeletonStore(tmp_path / "absent.h5")


def test_the_index_of_many_chunks_stays_in_memory(tmp_path):
    """Else reads in any order look for most chunks in the file: of its own HDF5 keeps 1 MiB."""
    rng = np.random.default_rng(0)
    layout = SkeletonLayout("point", ("a",), (), (), {"all": (0,)})
    options = {"layout": layout, "classes": ["a"], "channels": ("x", "y"), "units": "pixels", "dtype": "float16"}
    with StoreWriter(tmp_path / "s.h5", **options) as writer:
        for number in range(150):  # 76,800 chunks
            writer.append(Sample(str(number), rng.normal(size=(1, 64 * 512, 1, 2)).astype("float16"), 0))
    with SkeletonStore(tmp_path / "s.h5") as store:
        store.read(0)
        file = store._open()
        rows = rng.integers(0, len(file["keypoints"]), 20000)
        for _ in range(2):
            file.id.reset_mdc_hit_rate_stats()
            for row in rows:
                store._keypoints[row]
        assert file.id.get_mdc_hit_rate() > 0.99
