"""Constants of the benchmarks: counts that the sources state, and relations between the lists."""

from skelmae_datasets import benchmarks


def test_lists_have_the_published_sizes():
    ntu60, ntu120 = benchmarks.missing_names("ntu60"), benchmarks.missing_names("ntu120")
    assert (len(ntu60), len(ntu120)) == (302, 535) and ntu60 < ntu120
    assert all(benchmarks.match_name(name)["setup"] <= 17 for name in ntu60)
    assert all(benchmarks.match_name(name)["action"] > 60 for name in ntu120 - ntu60)
    for name, size in (("ntu60", 60), ("ntu120", 120), ("diving48", 48), ("finegym99", 99)):
        assert len(set(benchmarks.class_names(name))) == size
    assert benchmarks.class_names("ntu120")[49] == "punching/slapping other person"


def test_totals_agree():
    counts = benchmarks.EXPECTED_COUNTS
    assert counts["ntu60"]["all"] == 56880 - 302 and counts["ntu120"]["all"] == 114480 - 535
    for table in counts.values():
        kinds = {name.partition("_")[0] for name in table if name != "all"}
        assert all(table[f"{kind}_train"] + table[f"{kind}_val"] == table["all"] for kind in kinds)


def test_counts_follow_from_the_name_lists():
    """Every performer was recorded in each (setup, replication) doing 60 actions before 3 cameras, 180 files."""
    full = {"ntu60": {"xsub_train": 40320, "xsub_val": 16560, "xview_train": 37920, "xview_val": 18960}, "ntu120": {}}
    for benchmark, counts in benchmarks.EXPECTED_COUNTS.items():
        missing = benchmarks.ntu_splits(sorted(benchmarks.missing_names(benchmark)), benchmark)
        for split, count in counts.items():
            if split == "all":
                continue
            before = count + len(missing[split])
            assert before == full[benchmark].get(split, before), "as published, the missing included"
            assert before % (18960 if split.startswith("xview") else 180) == 0


def test_one_shot_protocol():
    novel = benchmarks.NTU_ONE_SHOT_EXEMPLARS[-1]
    splits = benchmarks.ntu_splits(["S001C001P001R001A001", novel, "S018C001P041R001A062"], "ntu120")
    assert splits["oneshot_exemplar"] == [novel] and splits["oneshot_val"] == ["S001C001P001R001A001"]
    assert splits["oneshot_train"] == ["S018C001P041R001A062"]
    assert not any(name.startswith("oneshot") for name in benchmarks.ntu_splits([], "ntu60"))


def test_check_counts():
    found = benchmarks.check_counts("ntu60", 56578, {"xsub_train": 40091, "own": 3})
    assert found["all"] == {"found": 56578, "expected": 56578} and found["xsub_val"]["found"] == 0
    assert "own" not in found and benchmarks.check_counts(None, 5, {}) == {}


def test_split_rules():
    assert len(benchmarks.NTU_TRAIN_SUBJECTS) == 53
    assert sum(subject <= 40 for subject in benchmarks.NTU_TRAIN_SUBJECTS) == 20
    stems = ["S001C001P001R001A001", "S002C002P003R001A060"]
    splits = benchmarks.ntu_splits(stems, "ntu60")
    assert splits == {"xsub_train": stems[:1], "xsub_val": stems[1:], "xview_train": stems[1:], "xview_val": stems[:1]}
    assert benchmarks.ntu_splits(stems, "ntu120")["xset_train"] == stems[1:]
    assert (
        benchmarks.NTU_ONE_SHOT_EXEMPLARS[10] == "S018C003P008R001A061" and len(benchmarks.NTU_ONE_SHOT_ACTIONS) == 20
    )


def test_names_and_benchmark():
    name = benchmarks.match_name("S001C002P003R001A120")
    assert name == {"setup": 1, "camera": 2, "subject": 3, "replication": 1, "action": 120}
    assert benchmarks.ntu_benchmark([name]) == "ntu120"
    assert benchmarks.ntu_benchmark([name | {"action": 60}]) == "ntu60"
    assert benchmarks.ntu_benchmark([name | {"subject": 215}]) is None
    for bad in ("S001C002P003R001A1", "S001C002P003R001A001_rgb", "", "S٠٠١C002P003R001A001"):
        assert benchmarks.match_name(bad) is None
