"""The suffixes of files that are read, and what each is read as where its content does not say otherwise."""

KINDS = {
    ".skeleton": "skeletons",
    ".pkl": "annotations",
    ".pickle": "annotations",
    ".h5": "store",
    ".hdf5": "store",
    ".npz": "arrays",
    ".npy": "arrays",
    ".csv": "table",
    ".json": "clips",
    ".txt": "clips",
    ".trc": "clips",
    ".bvh": "clips",
    ".c3d": "clips",
    ".slp": "clips",
    ".toml": "layout",
}
SUFFIXES = tuple(suffix for suffix, kind in KINDS.items() if kind != "layout")  # of recordings
IN_FOLDERS = tuple(suffix for suffix in SUFFIXES if KINDS[suffix] not in ("store", "skeletons"))  # of clips and frames
PACKED = ".gz"  # stands after another suffix
