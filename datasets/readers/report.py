"""The end of every conversion: what the store is missing, noted in it and told in the report."""

from ..benchmarks import check_counts
from ..errors import DataError


def conclude(writer, source, skipped, splits, benchmark=None):
    """Name the splits of a StoreWriter's samples, and note in the store what it is missing.

    Args:
        source: what errors name. skipped: [(id, reason)]. splits: dict name -> ids.
        benchmark: the one the samples are of, with official counts, or None.
    Returns: dict with samples, skipped, people {M: samples}, layout, channels, classes (number), splits {name:
        samples}, split_missing {name: ids not among the samples}, benchmark, counts {split: {found, expected}}, and
        partial: whether a count differs from the official one.
    Raises: DataError where there are no samples.
    """
    if not writer.ids:
        found = f"{len(skipped)} bad ones; {skipped[0][1]}" if skipped else "none"
        raise DataError(source, "samples", "one usable sample or more", found)
    missing = writer.set_splits(splits)
    sizes = {name: len(ids) - missing[name] for name, ids in splits.items()}
    counts = check_counts(benchmark, len(writer.ids), sizes)
    counts = {name: entry for name, entry in counts.items() if name == "all" or name in sizes}
    partial = any(entry["found"] != entry["expected"] for entry in counts.values())
    writer.provenance |= {"benchmark": benchmark, "skipped": len(skipped), "partial": partial}
    return {
        "samples": len(writer.ids),
        "skipped": skipped,
        "people": writer.people,
        "layout": writer.layout.name,
        "channels": list(writer.channels),
        "classes": len(writer.classes),
        "splits": sizes,
        "split_missing": missing,
        "benchmark": benchmark,
        "counts": counts,
        "partial": partial,
    }
