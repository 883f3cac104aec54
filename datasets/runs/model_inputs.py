"""Recordings as a model takes them: opened, and checked against it, before Keras is imported."""

from ..errors import DataError
from ..readers.notes import note_kind
from ..readers.recordings import kind_of, open_recordings


def open_inputs(stack, form, inputs, told=None, to=None, **reading):
    """Yield (path, store) of files of any readable kind, checked against a model; closed with the ExitStack.

    Args:
        form: DataForm of the model, such as its preprocessor. inputs: paths.
        told: called with a line for each kind of note on how inputs were read, before the last of them is given.
        to: the layout, the model's, to read their joints in by name; None for inputs that have it.
        reading: how those are read that are no store: image_size, (width, height) in pixels where coordinates are 0 to
            1; unit and up of x, y, z; None is as they say.

    Raises:
        DataError: an input does not fit the model, or as `open_recordings`.
    """
    layout, dims = form.layout, form.num_coordinates
    joints = "coco17" if layout.num_joints == 17 and dims == 2 else "all"
    notes = {}  # of each kind [the first input, note, how many more]
    kinds = [(path, kind_of(path)) for path in inputs]  # none is read before all are known to be readable
    for number, (path, kind) in enumerate(kinds, 1):
        taken = {"joints": joints} | _taken(path, kind, reading)
        if kind == "clips" and dims == 3:
            taken["channels"] = tuple(form.channels)
        if kind == "store" or to is not None:  # a store knows its own layout
            store = stack.enter_context(open_recordings(path, to=to, **taken))
        else:
            store = _opened_as(stack, form, path, taken)
        form.check(store)
        for note in store.notes:
            notes.setdefault(note_kind(note), [path, note, -1])[-1] += 1
        if told and number == len(kinds):
            for first, note, more in notes.values():
                told(f"{first}{f' and {more} more' if more else ''}: {note}")
        yield path, store


def _taken(path, kind, reading):
    """What the reader of this kind takes of how an input is read; DataError for axes of a store, which stay."""
    given = {key: value for key, value in reading.items() if value is not None}
    for key in ("unit", "up") if kind == "store" else ():
        if key in given:
            raise DataError(path, key, "a recording", f"a store: `skelmae convert --{key}` makes another of it")
    return {key: value for key, value in given.items() if kind == "clips" or key != "image_size"}


def _opened_as(stack, form, path, reading):
    """A recording as a store of the model's layout; where it has another, the error says so."""
    try:
        return stack.enter_context(open_recordings(path, form.layout, **reading))
    except DataError as error:
        try:
            with open_recordings(path, strict=False, **reading) as store:
                found = store
        except DataError:
            raise error from None
        form.check(found)  # what is wrong is told by its own layout
        raise
