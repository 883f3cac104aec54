"""What the convert commands and `project` have in common."""

from .printing import SHOWN, echo, progress, table

LEFT_OUT = {
    "missing_listed": "files of the benchmark's own missing-skeleton list left out",
    "split_missing": "ids named by a split and not among the samples",
    "resumed": "files taken over from the conversion that was interrupted",
}


def run_conversion(name, source, output, as_json, **chosen):
    """Convert `source` by skelmae_datasets' function `name`, and tell what was written and what was left out."""
    if chosen.get("classes") is not None:
        chosen["classes"] = class_names(chosen["classes"])

    import skelmae_datasets

    with progress("Converting") as callback:
        report = getattr(skelmae_datasets, name)(source, output, progress=callback, **chosen)
    echo({"output": str(output), **report}, as_json, lambda: "\n".join(_told(report, output)))


def class_names(path):
    """The names in a file, one per line; ValueError where there are none."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{path}: expected class names, one per line, found none")
    return names


def _count(value):
    """How many a report's entry tells of: a number, a list, or either by split."""
    if isinstance(value, dict):
        return sum(map(_count, value.values()))
    return value if isinstance(value, int) else len(value or ())


def _told(report, output):
    """The lines of a conversion's report."""
    from skelmae_datasets.runs.splits import FEW

    for form, number in (report.get("read") or {}).items():
        yield f"read as {form}" + (f": {number}" if number > 1 else "")
    counts = report.get("class_counts") or {}
    yield f"{output}: {report['samples']} sequences{_of_classes(counts)}"
    few = [name for name, number in counts.items() if number < FEW]
    if few and any(counts.values()):
        yield f"  fewer than {FEW} sequences of {_listed(few) if len(few) < len(counts) else 'each class'}"
    if report.get("splits"):
        yield table([(name, _count(entry)) for name, entry in report["splits"].items()])
    if report.get("partial"):
        yield "  a part of the benchmark: compare its figures with no published ones"
    for name, entry in (report.get("counts") or {}).items():
        if entry["found"] != entry["expected"]:
            yield f"    {name}: {entry['found']} of {entry['expected']}"
    yield from (f"  {note}" for note in report.get("notes") or ())
    if report.get("nobody_seen"):
        yield f"  nobody was seen in {_listed(report['nobody_seen'])}: they stay as empty clips, with their labels"
    for key, text in LEFT_OUT.items():
        if _count(report.get(key)):
            yield f"  {_count(report[key])} {text}"
    dropped, skipped = report.get("dropped") or [], report.get("skipped") or []
    if dropped:
        yield f"  {len(dropped)} tracks of {len({entry[0] for entry in dropped})} sequences are no person:"
        yield from _some(f"{name}: body {body} ({frames} frames): {why}" for name, body, frames, why in dropped)
    if skipped:
        yield f"  {len(skipped)} left out:"
        yield from _some(str(why) if str(name) in str(why) else f"{name}: {why}" for name, why in skipped)


def _of_classes(counts):
    """How many sequences there are of each class; of many classes from how few to how many."""
    if not any(counts.values()):
        return ""
    if len(counts) <= SHOWN:
        return f" ({', '.join(f'{name} {number}' for name, number in counts.items())})"
    return f" of {len(counts)} classes, {min(counts.values())} to {max(counts.values())} of each"


def _listed(names):
    """The first names, and how many there are where these are more."""
    return ", ".join(names[:SHOWN]) + (f", ... ({len(names)})" if len(names) > SHOWN else "")


def _some(texts):
    """The first texts, indented, and how many there are besides."""
    texts = list(texts)
    yield from (f"    {text}" for text in texts[:SHOWN])
    if len(texts) > SHOWN:
        yield f"    ... and {len(texts) - SHOWN} more (--json lists all)"
