"""`skelmae weights`: the pre-trained backbones that come with the package."""

import click

from . import options
from .printing import echo, table


@options.command("weights")
@click.argument("name", required=False)
@options.json_flag
def command(name, as_json):
    """List the pre-trained backbones of the package, or with NAME all that is known of one.

    Each serves any skeleton whose joints map to its own by their names.

    \b
    Example:
      skelmae weights coco17-motion
      skelmae finetune jhmdb.h5 --train-split train1 --pretrained coco17-motion --output runs/fine
    """
    from skelmae_datasets.runs.published import model_card, published

    if name is None:
        cards = {known: model_card(known) for known in published()}
        echo(cards, as_json, lambda: table([(known, card["summary"]) for known, card in cards.items()]))
        return
    card = model_card(name)
    echo(card, as_json, lambda: table([(key, _text(value)) for key, value in card.items()]))


def _text(value):
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)
