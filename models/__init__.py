"""Torch networks of the papers and the artifact manifest; nothing of the web, nothing of files.

Axes used everywhere in this package:

    B batch    T time    N nodes of one graph    P nodes of a disjoint union (P = sum of N)
    E edges    K edge types    D features    H hidden    S samples

Arrays are time-major: ``[T, P, D]`` and ``[T, E, K]``. Importing this package costs nothing; the
networks need torch, `models.manifest` needs the standard library only, `models.philox` numpy only.
"""
