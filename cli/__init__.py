"""Command line of keras-skelmae: one command a file, heavy imports inside the commands."""
