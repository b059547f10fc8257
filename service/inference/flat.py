"""From a window ``[F, N, D]`` to flat graphs, and from flat rows back to tables of pairs.

Each frame becomes a complete directed graph over the entities present in it. Inside, edge rows are
grouped by receiver; tables have one column per ordered pair of all entities, source-major.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.inference.runtimes.protocol import FlatWindow, Floats, Index, StepGraph

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the rows of a flat window came from.

    Attributes:
        frames: F.
        entities: N.
        row_frame: ``[Q]`` frame of each edge row.
        row_place: ``[Q]`` its place in the pair's sequence.
        row_sequence: ``[Q]`` its sequence.
        columns: ``[S]`` public column of each sequence.
    """

    frames: int
    entities: int
    row_frame: Index
    row_place: Index
    row_sequence: Index
    columns: Index

    def table(self, sequences: Floats) -> Floats:
        """Give ``[F, E, K]`` from packed ``[L, S, K]``; NaN where a pair is absent."""
        pairs = self.entities * (self.entities - 1)
        table = np.full((self.frames, pairs, sequences.shape[-1]), np.nan, np.float32)
        rows = sequences[self.row_place, self.row_sequence]
        table[self.row_frame, self.columns[self.row_sequence]] = rows
        return table


class Flattened(NamedTuple):
    """A window for the networks and the way back."""

    window: FlatWindow
    layout: Layout


def present_in(values: Floats) -> Flags:
    """Give ``[F, N]``: who is present in the normalised window ``[F, N, D]``."""
    return ~np.isnan(values[..., 0])


def edge_rows(present: Flags) -> int:
    """Give Q, the number of edge rows of frames with presence ``[F, N]``."""
    counts = present.sum(axis=1)
    return int((counts * (counts - 1)).sum())


def flatten(values: Floats) -> Flattened:
    """Give the normalised window ``[F, N, D]`` (NaN: absent) as a union of its frames."""
    present = present_in(values)
    if present.all():
        return _flatten_whole(values)
    return _flatten_partial(values, present)


def column(sources: Index, targets: Index, entities: int) -> Index:
    """Give the public, source-major column of each pair."""
    return sources * (entities - 1) + targets - (targets > sources)


def complete_graph(nodes: int, copies: int) -> StepGraph:
    """Give `copies` disjoint complete graphs of `nodes` nodes each, receiver-major."""
    receivers, senders = np.nonzero(~np.eye(nodes, dtype=bool))
    shift = np.repeat(np.arange(copies) * nodes, len(receivers))
    return StepGraph(
        senders=np.tile(senders, copies) + shift,
        receivers=np.tile(receivers, copies) + shift,
        inverse_in_degree=_inverse_in_degree(np.full(nodes * copies, nodes, np.int64)),
    )


def join_windows(windows: Sequence[FlatWindow]) -> FlatWindow:
    """Give the disjoint union of windows; their sequences stand side by side, in order."""
    if len(windows) == 1:
        return windows[0]
    first_node = np.cumsum([0, *(len(window.nodes) for window in windows)])
    first_row = np.cumsum([0, *(len(window.senders) for window in windows)])
    length = max(len(window.sequence) for window in windows)
    return FlatWindow(
        nodes=np.concatenate([window.nodes for window in windows]),
        senders=np.concatenate(
            [w.senders + at for w, at in zip(windows, first_node, strict=False)]
        ),
        receivers=np.concatenate(
            [w.receivers + at for w, at in zip(windows, first_node, strict=False)]
        ),
        inverse_in_degree=np.concatenate([window.inverse_in_degree for window in windows]),
        sequence=np.concatenate(
            [
                _moved(window.sequence, len(window.senders), int(at), int(first_row[-1]), length)
                for window, at in zip(windows, first_row, strict=False)
            ],
            axis=1,
        ),
        lengths=np.concatenate([window.lengths for window in windows]),
    )


def join_graphs(graphs: Sequence[StepGraph]) -> StepGraph:
    """Give the disjoint union of graphs, in order."""
    if len(graphs) == 1:
        return graphs[0]
    first = np.cumsum([0, *(len(graph.inverse_in_degree) for graph in graphs)])
    return StepGraph(
        senders=np.concatenate([g.senders + at for g, at in zip(graphs, first, strict=False)]),
        receivers=np.concatenate([g.receivers + at for g, at in zip(graphs, first, strict=False)]),
        inverse_in_degree=np.concatenate([graph.inverse_in_degree for graph in graphs]),
    )


def _moved(sequence: Index, padding: int, shift: int, new_padding: int, length: int) -> Index:
    moved = np.full((length, sequence.shape[1]), new_padding, np.int64)
    moved[: len(sequence)] = np.where(sequence == padding, new_padding, sequence + shift)
    return moved


def _flatten_whole(values: Floats) -> Flattened:
    frames, entities, features = values.shape
    receivers, senders = np.nonzero(~np.eye(entities, dtype=bool))
    pairs = len(receivers)
    steps = np.arange(frames, dtype=np.int64)
    shift = np.repeat(steps * entities, pairs)
    rows = np.arange(frames * pairs, dtype=np.int64).reshape(frames, pairs)
    window = FlatWindow(
        nodes=np.ascontiguousarray(values.reshape(frames * entities, features)),
        senders=np.tile(senders, frames) + shift,
        receivers=np.tile(receivers, frames) + shift,
        inverse_in_degree=_inverse_in_degree(np.full((frames * entities,), entities, np.int64)),
        sequence=rows,
        lengths=np.full(pairs, frames, np.int32),
    )
    frame = np.repeat(steps, pairs)
    sequence = np.tile(np.arange(pairs, dtype=np.int64), frames)
    columns = column(senders, receivers, entities)
    return Flattened(window, Layout(frames, entities, frame, frame, sequence, columns))


def _flatten_partial(values: Floats, present: Flags) -> Flattened:
    frames, entities, _ = values.shape
    together = present[:, :, None] & present[:, None, :] & ~np.eye(entities, dtype=bool)
    frame, receiver, sender = np.nonzero(together)
    node = (np.cumsum(present) - 1).reshape(present.shape)
    met = together.any(axis=0)
    sequence_of = (np.cumsum(met) - 1).reshape(met.shape)
    place_of = np.cumsum(together, axis=0) - 1
    lengths = together.sum(axis=0, dtype=np.int32)[met]
    row_sequence = sequence_of[receiver, sender]
    row_place = place_of[frame, receiver, sender]
    sequence = np.full((int(lengths.max(initial=0)), len(lengths)), len(frame), np.int64)
    sequence[row_place, row_sequence] = np.arange(len(frame))
    counts = present.sum(axis=1)
    window = FlatWindow(
        nodes=values[present],
        senders=node[frame, sender],
        receivers=node[frame, receiver],
        inverse_in_degree=_inverse_in_degree(np.repeat(counts, counts)),
        sequence=sequence,
        lengths=lengths,
    )
    receivers, senders = np.nonzero(met)
    columns = column(senders, receivers, entities)
    return Flattened(window, Layout(frames, entities, frame, row_place, row_sequence, columns))


def _inverse_in_degree(entities: Index) -> Floats:
    """Give one over the neighbours of nodes whose frame holds so many entities; 0 when alone."""
    neighbours = entities - 1
    return np.where(neighbours > 0, 1.0 / np.maximum(neighbours, 1), 0.0).astype(np.float32)
