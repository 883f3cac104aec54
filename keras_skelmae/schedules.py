"""Learning-rate schedules."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_skelmae")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then constant, cosine to zero, or divided by 10 at given steps.

    Args:
        learning_rate: float, the rate after warm-up.
        total_steps: int, where the cosine ends.
        warmup_steps: int.
        kind: "constant", "cosine" or "step".
        boundaries: steps at which "step" divides by 10.
    """

    def __init__(self, learning_rate, total_steps, warmup_steps=0, kind="constant", boundaries=()):
        self.learning_rate = learning_rate
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.kind = kind
        self.boundaries = [int(step) for step in boundaries]

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(self.learning_rate, "float32")
        if self.kind == "cosine":
            span = max(self.total_steps - self.warmup_steps, 1)
            progress = ops.clip((step - self.warmup_steps) / span, 0.0, 1.0)
            rate = rate * 0.5 * (1 + ops.cos(3.14159265358979 * progress))
        elif self.kind == "step":
            for boundary in self.boundaries:
                rate = ops.where(step >= boundary, rate * 0.1, rate)
        if self.warmup_steps:
            rate = rate * ops.minimum((step + 1) / self.warmup_steps, 1.0)
        return rate

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "kind": self.kind,
            "boundaries": self.boundaries,
        }
