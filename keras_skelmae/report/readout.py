"""Ridge regression from features to positions, its strength chosen on sequences kept apart."""

import numpy as np

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # relative to the features' mean square, which is 1 a feature


def fit_ridge(features, positions, observed):
    """Fit positions of joints on features, a regression a joint.

    Args:
        features: (B, P, T, F). positions: (B, P, T, J, k). observed: (B, P, T, J) bool, the positions that count.

    Returns:
        A function of features (B, P, T, F) that gives positions (B, P, T, J, k). A joint that was never observed is
        put at the origin.
    """
    width = features.shape[-1]
    flat = features.reshape(-1, width).astype(np.float64)
    clip = np.repeat(np.arange(len(features)), features.shape[1] * features.shape[2])
    x = positions.reshape(-1, *positions.shape[3:]).astype(np.float64)  # (rows, J, k)
    seen = observed.reshape(-1, observed.shape[3])
    there = seen.any(axis=1)  # nobody's frames say nothing about features
    mean = flat[there].mean(axis=0) if there.any() else np.zeros(width)
    spread = np.maximum(flat[there].std(axis=0), 1e-6) if there.any() else np.ones(width)
    flat = (flat - mean) / spread
    apart = clip % 5 == 4 if len(features) >= 5 else clip < 0  # clips kept apart, to choose the strength
    solutions = [_solve_joint(flat, x[:, joint], seen[:, joint], apart) for joint in range(x.shape[1])]
    weights, bias = (np.stack(parts) for parts in zip(*solutions, strict=True))  # (J, F, k), (J, k)

    def read(found):
        z = (found.astype(np.float64) - mean) / spread
        return np.einsum("...f,jfk->...jk", z, weights) + bias

    return read


def _solve_joint(z, x, seen, apart):
    """(weights (F, k), bias (k,)) of one joint."""
    if not seen.any():
        return np.zeros((z.shape[1], x.shape[1])), np.zeros(x.shape[1])
    used, held = seen & ~apart, seen & apart
    strength = STRENGTHS[1]
    if used.any() and held.any():
        errors = [np.square(_predict(z[held], fit) - x[held]).mean() for fit in _fits(z[used], x[used], STRENGTHS)]
        strength = STRENGTHS[int(np.argmin(errors))]
    return _fits(z[seen], x[seen], [strength])[0]


def _predict(z, fit):
    return z @ fit[0] + fit[1]


def _fits(z, x, strengths):
    """[(weights, bias)] for each strength, from one product of the features with themselves."""
    centre, bias = z.mean(axis=0), x.mean(axis=0)
    square = (z - centre).T @ (z - centre) / len(z)
    cross = (z - centre).T @ (x - bias) / len(z)
    found = []
    for strength in strengths:
        weights = np.linalg.solve(square + strength * np.eye(len(square)), cross)
        found.append((weights, bias - centre @ weights))
    return found
