"""A hook of MkDocs: notebooks become pages, with the outputs that `make_pictures.py` has run into docs/pictures."""

import json
from pathlib import Path

from mkdocs.structure.files import File

PICTURES = Path(__file__).resolve().parent / "pictures"


def on_files(files, config):
    """A page NAME.md in place of each NAME.ipynb."""
    for found in [file for file in files if file.src_uri.endswith(".ipynb")]:
        run = PICTURES / Path(found.src_uri).name
        source = run if run.is_file() else Path(found.abs_src_path)
        files.remove(found)
        name = found.src_uri.removesuffix(".ipynb") + ".md"
        files.append(File.generated(config, name, content=as_markdown(json.loads(source.read_text("utf-8")))))
    return files


def on_page_markdown(markdown, **_):
    """Links to notebooks lead to their pages."""
    return markdown.replace(".ipynb)", ".md)")


def as_markdown(notebook):
    """The cells of a notebook, and what they printed and drew."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            picture = output.get("data", {}).get("image/png")
            if picture:
                parts.append(f"![A figure](data:image/png;base64,{''.join(picture).replace(chr(10), '')})")
            elif output.get("name") == "stdout":
                parts.append(f"```text\n{''.join(output['text']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"
