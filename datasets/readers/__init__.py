"""Readers of recordings: each converts one form of file into a store."""
