import pytest
import torch
from torch import Tensor, nn

from models.recurrence import FoldedLstm, LstmState, fold_lstm

WIDTH, STATE = 5, 4


@pytest.fixture
def lstm() -> nn.LSTM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.LSTM(WIDTH, STATE).double()


@pytest.fixture
def folded(lstm: nn.LSTM) -> FoldedLstm:
    ones = torch.ones(WIDTH, dtype=torch.float64)
    return fold_lstm(lstm, ones, torch.zeros_like(ones))


def frames(count: int, pairs: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((count, pairs, WIDTH), generator=generator, dtype=torch.float64)


def lengths(*counts: int) -> Tensor:
    return torch.tensor(counts, dtype=torch.int32)


def zero_state(pairs: int) -> LstmState:
    zeros = torch.zeros((pairs, STATE), dtype=torch.float64)
    return LstmState(zeros, zeros)


class TestFolding:
    def test_an_affine_map_in_front_is_taken_in(self, lstm: nn.LSTM) -> None:
        inputs = frames(6, 2)
        scale, shift = frames(2, 1, seed=1)[:, 0]
        found, state = fold_lstm(lstm, scale, shift).sequence(inputs, lengths(6, 6), zero_state(2))
        wanted, (hidden, cell) = lstm(inputs * scale + shift)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(state.hidden, hidden[0])
        torch.testing.assert_close(state.cell, cell[0])

    def test_the_trained_weights_are_left_alone(self, lstm: nn.LSTM) -> None:
        before = [weight.clone() for weight in lstm.parameters()]
        two = torch.full((WIDTH,), 2.0, dtype=torch.float64)
        folded = fold_lstm(lstm, two, two)
        folded.weight_hidden.data.zero_()
        assert all(map(torch.equal, before, lstm.parameters()))


class TestSequence:
    def test_backwards_is_the_reversed_input_read_forwards(
        self, lstm: nn.LSTM, folded: FoldedLstm
    ) -> None:
        inputs = frames(5, 3)
        found, _ = folded.sequence(inputs, lengths(5, 5, 5), zero_state(3), reverse=True)
        wanted, _ = lstm(inputs.flip(0))
        torch.testing.assert_close(found, wanted.flip(0))

    @pytest.mark.parametrize("reverse", [False, True])
    def test_a_short_sequence_among_longer_ones_is_as_alone(
        self, folded: FoldedLstm, reverse: bool
    ) -> None:
        inputs, counts = frames(6, 3), (2, 6, 4)
        start = LstmState(*(row[:, :STATE] for row in frames(2, 3, seed=2)))
        found, after = folded.sequence(inputs, lengths(*counts), start, reverse=reverse)
        for pair, count in enumerate(counts):
            rows = slice(pair, pair + 1)
            alone, state = folded.sequence(
                inputs[:count, rows],
                lengths(count),
                LstmState(start.hidden[rows], start.cell[rows]),
                reverse=reverse,
            )
            torch.testing.assert_close(found[:count, rows], alone)
            torch.testing.assert_close(after.hidden[rows], state.hidden)
            torch.testing.assert_close(after.cell[rows], state.cell)

    def test_in_two_parts_is_as_in_one(self, folded: FoldedLstm) -> None:
        inputs = frames(7, 2)
        whole, wanted = folded.sequence(inputs, lengths(7, 7), zero_state(2))
        first, middle = folded.sequence(inputs[:3], lengths(3, 3), zero_state(2))
        second, found = folded.sequence(inputs[3:], lengths(4, 4), middle)
        torch.testing.assert_close(torch.cat((first, second)), whole)
        torch.testing.assert_close(found.cell, wanted.cell)

    def test_frame_by_frame_is_as_at_once(self, folded: FoldedLstm) -> None:
        inputs, state = frames(4, 3), zero_state(3)
        whole, _ = folded.sequence(inputs, lengths(4, 4, 4), state)
        for time, frame in enumerate(inputs):
            state = folded.cell(frame, state)
            torch.testing.assert_close(state.hidden, whole[time])

    def test_no_pair_gives_no_row(self, folded: FoldedLstm) -> None:
        found, state = folded.sequence(frames(3, 0), lengths(), folded.start(0))
        assert found.shape == (3, 0, STATE)
        assert state.hidden.shape == (0, STATE)
