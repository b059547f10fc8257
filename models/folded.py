"""The view of dNRI for inference and export: no BatchNorm, merged biases, states passed by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.blocks import Head
from models.coordinates import View, advance, describe
from models.decoders import MarkovDecoder, RecurrentDecoder
from models.dnri_config import DnriConfig
from models.embedding import FoldedBlock, edge_embedding
from models.graph import Graph
from models.recurrence import FoldedLstm, LstmState
from models.sampling import draw_types


class RelationLogits(NamedTuple):
    """``posterior`` and ``prior`` ``[T, E, K]``: with and without sight of later frames."""

    posterior: Tensor
    prior: Tensor


class State(NamedTuple):
    """What one causal stream carries: LSTM rows per edge, decoder memory per node."""

    hidden: Tensor
    cell: Tensor
    memory: Tensor


class Step(NamedTuple):
    """One frame's answer.

    Attributes:
        state: after this frame.
        nodes: ``[P, D]``, the mean of the next frame.
        prior_logits: ``[E, K]``.
        types: ``[E]`` int64, drawn or forced.
    """

    state: State
    nodes: Tensor
    prior_logits: Tensor
    types: Tensor


class FoldedDnri(nn.Module):
    """The view for inference and export; equal to `models.dnri.Dnri` in evaluation mode."""

    def __init__(
        self,
        config: DnriConfig,
        *,
        blocks: tuple[FoldedBlock, FoldedBlock, FoldedBlock, FoldedBlock],
        forward_lstm: FoldedLstm,
        backward_lstm: FoldedLstm,
        prior_head: Head,
        posterior_head: Head,
        decoder: MarkovDecoder | RecurrentDecoder,
    ) -> None:
        super().__init__()
        self.config = config
        self.coordinates = config.coordinates
        self.mlp1, self.mlp2, self.mlp3, self.mlp4 = blocks
        self.forward_lstm = forward_lstm
        self.backward_lstm = backward_lstm
        self.prior_head = prior_head
        self.posterior_head = posterior_head
        self.decoder = decoder
        self.requires_grad_(False)
        self.eval()

    def embed(self, nodes: Tensor, graph: Graph) -> Tensor:
        """Embed the edges of normalised states ``[..., P, D]``: ``[..., E, H]``."""
        return self._embed(describe(nodes, graph, self.coordinates), graph)

    def encode(
        self, nodes: Tensor, graph: Graph, sequence: Tensor, lengths: Tensor
    ) -> RelationLogits:
        """Give both estimators' logits ``[L, S, K]`` for packed sequences of edge rows.

        Args:
            nodes: ``[P, D]``, all present entities of all frames.
            graph: Q edges over them, a complete graph per frame.
            sequence: ``[L, S]`` edge row of pair s in its l-th present frame; Q is padding.
            lengths: ``[S]`` int32.
        """
        packed = _pack(self.embed(nodes, graph), sequence)
        return self._both_ways(packed, lengths, sequence.shape[1])

    def causal(
        self, nodes: Tensor, graph: Graph, sequence: Tensor, lengths: Tensor, state: LstmState
    ) -> tuple[Tensor, LstmState]:
        """Give the prior's logits ``[L, S, K]`` and the state after each pair's last frame."""
        packed = _pack(self.embed(nodes, graph), sequence)
        outputs, state = self.forward_lstm.sequence(packed, lengths, state)
        return self.prior_head(outputs), state

    def relation_logits(self, states: Tensor, graph: Graph) -> RelationLogits:
        """Give both estimators' logits ``[T, E, K]`` for `states` ``[T, P, D]`` on one graph."""
        embedded = self.embed(states, graph)
        return self._both_ways(embedded, _whole(states, graph), graph.num_edges)

    def initial_state(self, graph: Graph) -> State:
        """Give the state before the first frame."""
        hidden, cell = self.forward_lstm.start(graph.num_edges)
        memory = hidden.new_zeros((graph.inverse_in_degree.shape[0], self.decoder.memory_width))
        return State(hidden, cell, memory)

    def advance_prior(self, state: State, states: Tensor, graph: Graph) -> tuple[State, Tensor]:
        """Feed true frames ``[T, P, D]`` to the prior alone; give its logits ``[T, E, K]``.

        Enough for a Markov decoder's burn-in; a recurrent decoder's memory does not move.
        """
        start = LstmState(state.hidden, state.cell)
        outputs, after = self.forward_lstm.sequence(
            self.embed(states, graph), _whole(states, graph), start
        )
        return State(after.hidden, after.cell, state.memory), self.prior_head(outputs)

    def step(
        self, state: State, nodes: Tensor, uniforms: Tensor, graph: Graph, forced: Tensor
    ) -> Step:
        """Feed one frame and predict the next: prior, draw (or forced type), decoder.

        Args:
            state: before this frame.
            nodes: ``[P, D]`` normalised.
            uniforms: ``[E]`` in ``[0, 1)``.
            graph: E edges.
            forced: ``[E]`` int64 edge types; −1 draws from the prior.
        """
        view = describe(nodes, graph, self.coordinates)
        after = self.forward_lstm.cell(
            self._embed(view, graph), LstmState(state.hidden, state.cell)
        )
        logits = self.prior_head(after.hidden)
        types = torch.where(forced < 0, draw_types(logits, uniforms), forced)
        decoded = self.decoder.step(view, state.memory, types, graph)
        moved = advance(nodes, decoded.output, view, self.coordinates)
        return Step(State(after.hidden, after.cell, decoded.memory), moved, logits, types)

    def _embed(self, view: View, graph: Graph) -> Tensor:
        return edge_embedding((self.mlp1, self.mlp2, self.mlp3, self.mlp4), view, graph)

    def _both_ways(self, embedded: Tensor, lengths: Tensor, pairs: int) -> RelationLogits:
        start = self.forward_lstm.start(pairs)
        causal, _ = self.forward_lstm.sequence(embedded, lengths, start)
        backward, _ = self.backward_lstm.sequence(embedded, lengths, start, reverse=True)
        both = torch.cat((causal, backward), -1)
        return RelationLogits(self.posterior_head(both), self.prior_head(causal))


def _pack(edges: Tensor, sequence: Tensor) -> Tensor:
    padded = torch.cat((edges, edges.new_zeros((1, edges.shape[-1]))))
    return padded.index_select(0, sequence.flatten()).view(*sequence.shape, edges.shape[-1])


def _whole(states: Tensor, graph: Graph) -> Tensor:
    """Give the lengths ``[E]`` of pairs that are present in all frames of ``[T, P, D]``."""
    return torch.full((graph.num_edges,), states.shape[0], dtype=torch.int32, device=states.device)
