"""The commands of a page, taken out of it and run: what the documentation says is what is tested."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, kind):
    """The contents of the fenced blocks of a kind ("sh", "python", "toml") of a page, in order."""
    return [text for name, text in _BLOCK.findall(Path(page).read_text("utf-8")) if name == kind]


def run_page(page, folder, python=False):
    """Run a page's sh blocks in `folder`, then with `python` its python blocks; toml blocks become files by name.

    Raises:
        subprocess.CalledProcessError: a block failed; its output is in `output`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        HERE,
        folder / "docs",
        dirs_exist_ok=True,
        ignore=lambda *_: [path.name for path in HERE.iterdir() if path.suffix != ".py"],
    )
    for text in blocks(page, "toml"):
        name = re.search(r'^name = "(\w+)"', text, re.MULTILINE)[1]
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # skelmae and python of this environment
    for command in [["sh", "-e", "-c", text] for text in blocks(page, "sh")] + [
        [sys.executable, "-c", text] for text in blocks(page, "python") if python
    ]:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout)
