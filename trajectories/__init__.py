"""Recordings of moving things: readers, audit, windows, the one stored form of a dataset."""
