"""A killed conversion: the old output or none, and --resume takes over what was read."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from skelmae_datasets import DataError, SkeletonStore, convert_ntu
from skelmae_datasets.readers import ntu
from skelmae_datasets.readers.journal import Journal
from skelmae_datasets.synthetic import write_dataset


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_dataset(folder, subjects=2, repetitions=2, seed=1, frames=(12, 14))
    (folder / "S001C001P001R009A001.skeleton").write_text("broken")
    return folder


class Stop(BaseException):
    """As a kill would, nothing of Exception's."""


def interrupt(monkeypatch, folder, output, after=10):
    def stop(done, total):
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        convert_ntu(folder, output, progress=stop)


def test_resume_reads_only_the_rest_and_gives_the_same_store(recordings, tmp_path, monkeypatch):
    whole = convert_ntu(recordings, tmp_path / "whole.h5")
    output = tmp_path / "out.h5"
    interrupt(monkeypatch, recordings, output)
    assert [p.name for p in tmp_path.iterdir() if p.name != "whole.h5"] == [".out.h5.resume"]
    read = []
    monkeypatch.setattr(ntu, "read_people", lambda *a, f=ntu.read_people: (read.append(a), f(*a))[1])
    report = convert_ntu(recordings, output, resume=True)
    assert report["resumed"] == 10 and len(read) == whole["samples"] + 1 - 10
    assert report | {"resumed": 0} == whole
    assert SkeletonStore(output).fingerprint == SkeletonStore(tmp_path / "whole.h5").fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.h5", "whole.h5"]


def test_a_real_kill(recordings, tmp_path):
    output = tmp_path / "out.h5"
    output.write_text("old")
    code = (
        "import sys, time\nfrom skelmae_datasets import convert_ntu\n"
        "hold = lambda done, n: done == 12 and (print('go', flush=True), time.sleep(60))\n"
        "convert_ntu(*sys.argv[1:], progress=hold, force=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, recordings, output], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"go\n"
    with pytest.raises(DataError, match="one that is running"):
        convert_ntu(recordings, output, resume=True, force=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert output.read_text() == "old" and len(list(tmp_path.glob(".part-out-*.h5"))) == 1
    with pytest.raises(DataError, match="--force replaces any"):
        convert_ntu(recordings, output, resume=True)
    assert convert_ntu(recordings, output, resume=True, force=True)["resumed"] == 12
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"], "what the kill left is removed"


def test_other_settings_and_changed_files(recordings, tmp_path, monkeypatch):
    output = tmp_path / "out.h5"
    interrupt(monkeypatch, recordings, output)
    with pytest.raises(DataError, match="settings: .*other joints"):
        convert_ntu(recordings, output, joints="coco17", resume=True)
    interrupt(monkeypatch, recordings, output)
    first = sorted(recordings.glob("*.skeleton"))[0]
    os.utime(first, (time.time(), time.time() + 5))
    read = []
    monkeypatch.setattr(ntu, "read_people", lambda *a, f=ntu.read_people: (read.append(a[0]), f(*a))[1])
    convert_ntu(recordings, output, resume=True)
    assert first in read
    interrupt(monkeypatch, recordings, output)
    assert convert_ntu(recordings, output)["resumed"] == 0, "without resume it begins again"
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5"]


@pytest.mark.parametrize("damage", ["cut", "flip", "junk"])
def test_a_damaged_journal_is_used_up_to_the_damage(tmp_path, damage):
    output = tmp_path / "out.h5"
    for part in range(2):
        with pytest.raises(Stop), Journal(output, {"a": 1}, resume=part > 0) as journal:
            for number in range(3):
                journal.append(f"{part}{number}", {"n": number}, None)
            raise Stop
    content = journal.path.read_bytes()
    flipped = bytearray(content)
    flipped[-5] ^= 1
    journal.path.write_bytes({"cut": content[:-3], "flip": flipped, "junk": content[:-12] + b"\xff" * 500}[damage])
    with Journal(output, {"a": 1}, resume=True) as journal:
        assert list(journal.done) == ["00", "01", "02", "10", "11"]
        assert json.loads(json.dumps(journal.read("11"))) == [{"n": 1}, None]
    assert not journal.path.exists()
