"""Sums, normalisations and moves along time, spelled so that they and their gradients are quick."""
