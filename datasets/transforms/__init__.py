"""From arrays to arrays: frames drawn, joints masked, samples augmented."""
