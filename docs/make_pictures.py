"""Run the tutorial and keep its pictures in docs/pictures, for `make docs`. Done again only when the page changes."""

import hashlib
import shutil

from run_blocks import HERE, run_page

PICTURES = ("strip.png", "names.png", "reconstruction.png", "report.html")


def main():
    page, target, work = HERE / "tutorial.md", HERE / "pictures", HERE / "_run"
    stamp = hashlib.sha256(page.read_bytes()).hexdigest()
    if (target / "stamp").is_file() and (target / "stamp").read_text() == stamp:
        return
    shutil.rmtree(work, ignore_errors=True)
    run_page(page, work)
    target.mkdir(exist_ok=True)
    for name in PICTURES:
        shutil.copy(work / name, target / name)
    (target / "stamp").write_text(stamp)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
