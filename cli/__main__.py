"""`python -m skelmae_cli` is `skelmae`."""

from .main import cli

if __name__ == "__main__":  # worker processes import this module again under another name
    cli(prog_name="skelmae")
