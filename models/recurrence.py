"""The LSTM over one pair's frames: trainable, and folded for inference and export."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class LstmState(NamedTuple):
    """``hidden`` and ``cell``, both ``[S, L]`` for S pairs."""

    hidden: Tensor
    cell: Tensor


class FoldedLstm(nn.Module):
    """An LSTM with merged biases whose sequences may have different lengths.

    Gate rows are PyTorch's: input, forget, cell, output. In an exported graph a sequence becomes
    the ONNX ``LSTM`` operator (exporting ``nn.LSTM`` bakes the number of frames in, silently).
    """

    def __init__(self, weight_input: Tensor, weight_hidden: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(weight_input, requires_grad=False)
        self.weight_hidden = nn.Parameter(weight_hidden, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)

    @property
    def width(self) -> int:
        """L, the size of the state."""
        return self.weight_hidden.shape[1]

    def start(self, pairs: int) -> LstmState:
        """Give the empty state of `pairs` pairs."""
        zeros = self.weight_hidden.new_zeros((pairs, self.width))
        return LstmState(zeros, zeros)

    def cell(self, inputs: Tensor, state: LstmState) -> LstmState:
        """Feed one frame ``[S, in]``."""
        gates = functional.linear(inputs, self.weight_input, self.bias)
        return self._advance(gates, state)

    def sequence(
        self, inputs: Tensor, lengths: Tensor, state: LstmState, *, reverse: bool = False
    ) -> tuple[Tensor, LstmState]:
        """Feed left-aligned sequences ``[L, S, in]`` of `lengths` ``[S]`` frames.

        Returns:
            Outputs ``[L, S, width]`` (undefined behind a sequence's end) and the state after each
            sequence's last frame (its first, when `reverse`).
        """
        if torch.onnx.is_in_onnx_export():
            return self._operator(inputs, lengths, state, reverse)
        gates = functional.linear(inputs, self.weight_input, self.bias)
        outputs = [torch.empty(0)] * inputs.shape[0]
        steps = range(inputs.shape[0])
        for index in reversed(steps) if reverse else steps:
            inside = (index < lengths).unsqueeze(-1)
            advanced = self._advance(gates[index], state)
            state = LstmState(
                torch.where(inside, advanced.hidden, state.hidden),
                torch.where(inside, advanced.cell, state.cell),
            )
            outputs[index] = state.hidden
        return torch.stack(outputs), state

    def _advance(self, gates: Tensor, state: LstmState) -> LstmState:
        total = gates + functional.linear(state.hidden, self.weight_hidden)
        enter, forget, fresh, leave = total.chunk(4, -1)
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(enter) * torch.tanh(fresh)
        return LstmState(torch.sigmoid(leave) * torch.tanh(cell), cell)

    def _operator(
        self, inputs: Tensor, lengths: Tensor, state: LstmState, reverse: bool
    ) -> tuple[Tensor, LstmState]:
        steps, pairs = inputs.shape[0], inputs.shape[1]
        bias = _onnx_gates(self.bias.unsqueeze(-1)).squeeze(-1)
        outputs, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            [
                inputs,
                _onnx_gates(self.weight_input).unsqueeze(0),
                _onnx_gates(self.weight_hidden).unsqueeze(0),
                torch.cat((bias, torch.zeros_like(bias))).unsqueeze(0),
                lengths,
                state.hidden.unsqueeze(0),
                state.cell.unsqueeze(0),
            ],
            attrs={"hidden_size": self.width, "direction": "reverse" if reverse else "forward"},
            dtypes=[inputs.dtype] * 3,
            shapes=[[steps, 1, pairs, self.width], [1, pairs, self.width], [1, pairs, self.width]],
            version=18,
        )
        return outputs.squeeze(1), LstmState(hidden.squeeze(0), cell.squeeze(0))


def fold_lstm(lstm: nn.LSTM, scale: Tensor, shift: Tensor) -> FoldedLstm:
    """Merge biases and the affine map ``input * scale + shift`` in front into the weights."""
    weight, weight_hidden, bias, bias_hidden = (
        lstm.get_parameter(f"{name}_l0").detach()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    bias = bias + bias_hidden + weight @ shift
    return FoldedLstm((weight * scale).clone(), weight_hidden.clone(), bias)


def _onnx_gates(rows: Tensor) -> Tensor:
    enter, forget, fresh, leave = rows.chunk(4, 0)
    return torch.cat((enter, leave, forget, fresh), 0)
