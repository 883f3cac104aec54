"""Every specialised way to compute what ``layers`` and ``models`` define.

``ops`` is the lower floor: sums and normalisations spelled for a backend or a device, used by layers. ``networks`` is
the upper one: networks that compute only what a loss depends on, batches in slices, several devices; used by training.
Each has a test that it equals the plain way.
"""
