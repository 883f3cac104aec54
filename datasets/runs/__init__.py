"""What a run folder is on disk, and the settings of a run; readable without Keras."""
