"""Run the tutorial and the notebooks and keep what they show in docs/pictures, for `make docs`.

Done again only where a page changes.
"""

import hashlib
import shutil
import tempfile

import nbformat
from nbclient import NotebookClient
from run_blocks import HERE, run_page

PICTURES = ("strip.png", "names.png", "reconstruction.png", "report.html")


def main():
    target = HERE / "pictures"
    target.mkdir(exist_ok=True)
    for page, run in [(HERE / "tutorial.md", tutorial), *((path, notebook) for path in HERE.glob("notebooks/*.ipynb"))]:
        stamp, digest = target / f"{page.stem}.stamp", hashlib.sha256(page.read_bytes()).hexdigest()
        if not stamp.is_file() or stamp.read_text() != digest:
            run(page, target)
            stamp.write_text(digest)


def tutorial(page, target):
    work = HERE / "_run"
    shutil.rmtree(work, ignore_errors=True)
    run_page(page, work)
    for name in PICTURES:
        shutil.copy(work / name, target / name)
    shutil.rmtree(work)


def notebook(page, target):
    content = nbformat.read(page, 4)
    with tempfile.TemporaryDirectory() as work:
        NotebookClient(content, timeout=900, resources={"metadata": {"path": work}}).execute()
    nbformat.write(content, target / page.name)


if __name__ == "__main__":
    main()
