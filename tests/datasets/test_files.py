"""Files appear whole or not at all."""

import os

import pytest

from skelmae_datasets import DataError
from skelmae_datasets.files import (
    file_digest,
    leftovers,
    read_json,
    replacing,
    write_atomically,
    write_json,
    write_text,
)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "öld")
    assert path.read_text("utf-8") == "öld" and path.stat().st_mode & 0o777 == 0o666 & ~current_umask()

    def fail(temporary):
        with open(temporary, "w") as file:
            file.write("half")
        raise OSError(28, "no space left")

    with pytest.raises(OSError) as error:
        write_atomically(path, fail)
    assert error.value.filename == str(path)
    with pytest.raises(KeyboardInterrupt), replacing(path):
        assert len(leftovers(path)) == 1
        raise KeyboardInterrupt
    assert path.read_text("utf-8") == "öld" and [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_folder_that_takes_no_file_names_the_one_asked_for(tmp_path, monkeypatch):
    def refuse(dir, prefix, suffix):
        raise PermissionError(13, "Permission denied", f"{dir}/{prefix}abcd{suffix}")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError) as error:
        write_text(tmp_path / "a.txt", "text")
    assert error.value.filename == str(tmp_path / "a.txt")


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_leftovers_are_those_of_one_file(tmp_path):
    names = [".part-a-abcd_123.h5", ".part-a-b-abcd_123.h5", ".part-a-abcd_123.txt", "a.h5"]
    for name in names:
        (tmp_path / name).touch()
    assert [p.name for p in leftovers(tmp_path / "a.h5")] == names[:1]
    assert [p.name for p in leftovers(tmp_path / "a-b.h5")] == names[1:2]
    assert not leftovers(tmp_path / "[a].h5")


def test_json(tmp_path):
    path = tmp_path / "a.json"
    assert read_json(path, missing_ok=True) is None
    with pytest.raises(FileNotFoundError):
        read_json(path)
    write_json(path, {"a": [1, None]})
    assert read_json(path) == {"a": [1, None]} and path.read_text().endswith("}\n")
    for text, found in (("{", "JSON"), ("[1]", "a JSON object, found list"), ("[" * 100_000, "JSON")):
        path.write_text(text)
        with pytest.raises(DataError, match=f"a.json: expected {found}"):
            read_json(path, missing_ok=True)
    assert file_digest(None) is None and len(file_digest(path)) == 64
