"""Command line of keras-skelmae: one command per file, heavy imports inside the commands."""
