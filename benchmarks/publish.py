"""Put a pre-trained run's backbone into the package: `python benchmarks/publish.py RUN NAME`.

The run is of `skelmae pretrain MOTION.h5 --train-split all --set objective=complete`, the store what
`skelmae convert` makes of the motion capture that NAME's card tells of.
"""

import sys

from keras_skelmae.models import load_model
from keras_skelmae.models.published import publish
from skelmae_datasets.runs.run_folder import read_metrics
from skelmae_datasets.runs.settings import read_settings

SOURCES = [
    "CMU Graphics Lab Motion Capture Database, 193 sequences, 0.68 hours: free for all uses but resale of the data",
    "UI-PRMD, rehabilitation exercises (Vakanski et al., Data 2018), 1,979 sequences, 1.35 hours: PDDL",
    "ReActIdle, standing idle, 22 sequences, 0.78 hours: MIT",
]
ACKNOWLEDGEMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)
LIMITS = {
    "2d": "Made of standing, walking, dancing, climbing and exercising adults, one at a time, without hands or faces.",
    "3d": "Sees the body from a level sensor; made of one adult at a time.",
}


def main(run, name):
    """Write weights and card of the run into the package."""
    settings, metrics, backbone = (
        read_settings(f"{run}/config.toml", "pretrain"),
        read_metrics(run),
        load_model(run).backbone,
    )
    camera = settings.pretrain.camera
    seen = "2D poses by a virtual camera and a pose estimator" if camera == "2d" else "3D poses by a depth sensor"
    card = {
        "summary": f"motion completed from spoiled {seen}; 17 COCO joints",
        "recipe": settings.model.preset,
        "licence": "MIT, as the package",
        "data": SOURCES,
        "acknowledgement": ACKNOWLEDGEMENT,
        "made by": "skelmae pretrain MOTION.h5 --train-split all --recipe small --set objective=complete "
        f"--set camera={camera}",
        "epochs": f"{metrics.get('epochs', settings.optimizer.epochs)} of some 145 batches of 32 clips in two views",
        "rate": metrics.get("schedule", f"{settings.optimizer.schedule} from {settings.optimizer.learning_rate}"),
        "seed": settings.data.seed,
        "loss": round(metrics["loss"], 3),
        "parameters": int(backbone.count_params()),
        "coordinates": f"{', '.join(backbone.preprocessor.channels)} in {backbone.preprocessor.units}",
        "normalisation": f"each clip centred and scaled to its own extent, {backbone.preprocessor.num_frames} frames",
        "figures": "docs/results.md",
        "limits": LIMITS[camera],
    }
    publish(backbone, name, card)


if __name__ == "__main__":
    main(*sys.argv[1:])
