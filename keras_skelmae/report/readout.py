"""The read-out: ridge regression from features to positions, its strength chosen on clips kept apart."""

import numpy as np

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # relative to the features' mean square, which is 1 per feature
USUAL = STRENGTHS[1]  # where there are too few clips to choose
KEPT_APART = 5  # one clip of so many


def fit_ridge(features, positions, observed):
    """Fit positions of joints on features, one regression per joint.

    Args:
        features: (B, T, F). positions: (B, T, J, k). observed: (B, T, J) bool, the positions that count.

    Returns:
        A function of features (B, T, F) that gives positions (B, T, J, k). A joint that was never observed is put
        at the origin.
    """
    apart = np.repeat(np.arange(len(features)) % KEPT_APART == KEPT_APART - 1, features.shape[1])
    flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
    x = positions.reshape(-1, *positions.shape[2:]).astype(np.float64)  # (B * T, J, k)
    seen = observed.reshape(-1, observed.shape[2])
    there = flat[seen.any(axis=1)] if seen.any() else np.zeros((1, flat.shape[1]))  # empty frames say nothing
    mean, spread = there.mean(axis=0), np.maximum(there.std(axis=0), 1e-6)
    z = (flat - mean) / spread
    solutions = [_solve_joint(z, x[:, joint], seen[:, joint], apart) for joint in range(x.shape[1])]
    weights, bias = (np.stack(parts) for parts in zip(*solutions, strict=True))  # (J, F, k), (J, k)
    return lambda found: np.einsum("...f,jfk->...jk", (found.astype(np.float64) - mean) / spread, weights) + bias


def _solve_joint(z, x, seen, apart):
    """(weights (F, k), bias (k,)) of one joint."""
    if not seen.any():
        return np.zeros((z.shape[1], x.shape[1])), np.zeros(x.shape[1])
    used, held, strength = seen & ~apart, seen & apart, USUAL
    if used.any() and held.any():
        fits = _fits(z[used], x[used], STRENGTHS)
        errors = [np.square(z[held] @ weights + bias - x[held]).mean() for weights, bias in fits]
        strength = STRENGTHS[int(np.argmin(errors))]
    return _fits(z[seen], x[seen], [strength])[0]


def _fits(z, x, strengths):
    """[(weights, bias)] for each strength, from one product of the features with themselves."""
    centre, bias = z.mean(axis=0), x.mean(axis=0)
    square = (z - centre).T @ (z - centre) / len(z)
    cross = (z - centre).T @ (x - bias) / len(z)
    found = [np.linalg.solve(square + strength * np.eye(len(square)), cross) for strength in strengths]
    return [(weights, bias - centre @ weights) for weights in found]
