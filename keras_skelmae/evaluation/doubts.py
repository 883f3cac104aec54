"""What accuracies may not be taken for: it stands below every table of them, and on the report page."""


def with_doubts(lines, *results):
    """The lines of a table as text, and below them each of the :func:`doubts` about its results once."""
    notes = dict.fromkeys(note for result in results for note in doubts(result))
    return "\n".join([*lines, *[""] * bool(notes), *notes])


def doubts(result):
    """Sentences on what the figures of a protocol, a study, a baseline (dict) may not be taken for; [] mostly."""
    told, count = [], result.get("num_test", result.get("num_samples"))
    if result.get("nobody_seen"):
        told.append(f"In {result['nobody_seen']} of {count} test clips nobody was seen: they count as wrong.")
    if result.get("untrained"):
        names = ", ".join(f"{name} ({number})" for name, number in result["untrained"].items())
        told.append(f"Classes without a training clip, whose test clips count as wrong: {names}.")
    if result.get("alone"):
        told.append(f"{result['alone']} of {count} test clips are the only ones of their class: they are left out.")
    if result.get("seen_in_training"):
        told.append(f"{result['seen_in_training']} of {count} test clips were trained on, too: the figures flatter.")
    if result.get("seen_in_pretraining"):
        told.append(f"{result['seen_in_pretraining']} of {count} test clips were seen by the pre-training.")
    return told
