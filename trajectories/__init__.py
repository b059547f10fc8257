"""Recordings of moving entities: readers, windows, normalisers, the one stored form of a dataset.

Axes: ``T`` frames, ``N`` entities, ``E`` ordered pairs, ``D`` features, ``S`` sequences.
The package stands on numpy and pyarrow only; training and service both stand on it.
"""
