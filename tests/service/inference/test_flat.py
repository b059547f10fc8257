import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inference import flat as module
from service.inference.flat import (
    column,
    complete_graph,
    edge_rows,
    flatten,
    join_graphs,
    join_windows,
    present_in,
)
from trajectories.pairs import receiver_major, source_major


@st.composite
def windows(draw: st.DrawFn) -> np.ndarray:
    frames, entities = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    present = draw(
        st.lists(
            st.lists(st.booleans(), min_size=entities, max_size=entities),
            min_size=frames,
            max_size=frames,
        )
    )
    values = np.arange(frames * entities * 2, dtype=np.float32).reshape(frames, entities, 2)
    values[~np.array(present)] = np.nan
    return values


def spelled_out(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Give ``(frame, sender, receiver)`` of all edge rows, by plain loops."""
    present = ~np.isnan(values[..., 0])
    return [
        (t, sender, receiver)
        for t in range(len(values))
        for receiver in range(values.shape[1])
        for sender in range(values.shape[1])
        if sender != receiver and present[t, sender] and present[t, receiver]
    ]


class TestFlatten:
    @settings(max_examples=60, deadline=None)
    @given(values=windows())
    def test_lists_every_pair_that_is_present_together_by_receiver(
        self, values: np.ndarray
    ) -> None:
        window, layout = flatten(values)
        rows = spelled_out(values)
        assert edge_rows(present_in(values)) == len(rows) == len(window.senders)
        for row, (t, sender, receiver) in enumerate(rows):
            assert np.array_equal(window.nodes[window.senders[row]], values[t, sender])
            assert np.array_equal(window.nodes[window.receivers[row]], values[t, receiver])
            assert layout.row_frame[row] == t
        assert not np.isnan(window.nodes).any()

    @settings(max_examples=60, deadline=None)
    @given(values=windows())
    def test_packs_each_pairs_present_frames_to_the_left(self, values: np.ndarray) -> None:
        window, layout = flatten(values)
        rows = spelled_out(values)
        for sequence, length in enumerate(window.lengths):
            inside, behind = np.split(window.sequence[:, sequence], [length])
            assert (behind == len(rows)).all()
            found = [rows[row] for row in inside]
            pair = found[0][1:]
            assert found == [row for row in rows if row[1:] == pair]
            sources, targets = source_major(values.shape[1])
            public = layout.columns[sequence]
            assert (sources[public], targets[public]) == pair

    @settings(max_examples=60, deadline=None)
    @given(values=windows())
    def test_tables_put_every_row_back_and_leave_absent_pairs_empty(
        self, values: np.ndarray
    ) -> None:
        window, layout = flatten(values)
        packed = np.zeros((*window.sequence.shape, 1), np.float32)
        for row in range(len(window.senders)):
            packed[layout.row_place[row], layout.row_sequence[row]] = row
        table = layout.table(packed)
        sources, targets = source_major(values.shape[1])
        rows = spelled_out(values)
        for frame in range(len(values)):
            for pair in range(len(sources)):
                key = (frame, sources[pair], targets[pair])
                expected = rows.index(key) if key in rows else np.nan
                np.testing.assert_equal(table[frame, pair, 0], np.float32(expected))

    @settings(max_examples=40, deadline=None)
    @given(values=windows())
    def test_weighs_each_node_by_the_neighbours_it_has_in_its_frame(
        self, values: np.ndarray
    ) -> None:
        window, _ = flatten(values)
        degree = np.bincount(window.receivers, minlength=len(window.nodes))
        expected = np.where(degree > 0, 1 / np.maximum(degree, 1), 0)
        np.testing.assert_allclose(window.inverse_in_degree, expected, rtol=1e-6)

    @pytest.mark.parametrize(("frames", "entities"), [(1, 2), (4, 3), (1, 5)])
    def test_the_fast_way_equals_the_general_one(self, frames: int, entities: int) -> None:
        values = np.arange(frames * entities * 2, dtype=np.float32).reshape(frames, entities, 2)
        fast = module._flatten_whole(values)
        general = module._flatten_partial(values, present_in(values))
        for one, other in zip(fast.window, general.window, strict=True):
            assert np.array_equal(one, other)
            assert one.dtype == other.dtype
        for name, value in vars(fast.layout).items():
            assert np.array_equal(value, getattr(general.layout, name)), name


class TestColumn:
    def test_counts_pairs_by_source(self) -> None:
        sources, targets = source_major(4)
        assert column(sources, targets, 4).tolist() == list(range(12))


class TestJoin:
    @settings(max_examples=40, deadline=None)
    @given(several=st.lists(windows(), min_size=1, max_size=3))
    def test_windows_stand_side_by_side_without_touching(self, several: list[np.ndarray]) -> None:
        flats = [flatten(values).window for values in several]
        joined = join_windows(flats)
        node = row = sequence = 0
        for one in flats:
            edges = slice(row, row + len(one.senders))
            assert np.array_equal(joined.senders[edges] - node, one.senders)
            assert np.array_equal(joined.receivers[edges] - node, one.receivers)
            pairs = joined.sequence[:, sequence : sequence + len(one.lengths)]
            padding = pairs == len(joined.senders)
            local = np.where(padding, len(one.senders), pairs - row)
            assert np.array_equal(local[: len(one.sequence)], one.sequence)
            assert padding[len(one.sequence) :].all()
            node, row = node + len(one.nodes), row + len(one.senders)
            sequence += len(one.lengths)
        assert np.array_equal(joined.lengths, np.concatenate([one.lengths for one in flats]))

    def test_graphs_are_shifted_by_the_nodes_before_them(self) -> None:
        joined = join_graphs([complete_graph(2, 1), complete_graph(1, 2), complete_graph(3, 1)])
        assert joined.senders.tolist() == [1, 0, 5, 6, 4, 6, 4, 5]
        assert joined.receivers.tolist() == [0, 1, 4, 4, 5, 5, 6, 6]
        assert joined.inverse_in_degree.tolist() == [1, 1, 0, 0, 0.5, 0.5, 0.5]


class TestCompleteGraph:
    def test_copies_are_in_the_networks_pair_order(self) -> None:
        graph = complete_graph(3, 2)
        senders, receivers = receiver_major(3)
        assert graph.senders.tolist() == [*senders, *(senders + 3)]
        assert graph.receivers.tolist() == [*receivers, *(receivers + 3)]
