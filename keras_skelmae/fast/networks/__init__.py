"""Whole networks computed in another order, in slices, or on several devices."""
