"""Dynamic neural relational inference: relations that change at every step.

Source: Graber & Schwing, "Dynamic Neural Relational Inference", CVPR 2020, Sec. 3, and its public
code. Deviations:
    - the heads use ELU as the code does; the paper says ReLU (`head_activation`);
    - the prior never sees earlier draws (as the code: the LSTM is fed states only);
    - coordinate frames may be local and the output integrated (`models.coordinates`), which the
      paper does not have; the published model is frames global, kinematics free.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from models.blocks import Head, MlpBlock, SplitLinear, elu, pair_linear
from models.coordinates import CoordinateConfig, View, advance, describe
from models.decoders import DECODERS, DecoderKind, MarkovDecoder, RecurrentDecoder
from models.graph import Graph, mean_at_receivers
from models.recurrence import LstmState, fold_lstm
from models.sampling import draw_types


@dataclass(frozen=True)
class DnriConfig:
    """Sizes and options of one dNRI network; the defaults are the published sizes.

    Attributes:
        features: D, positions then velocities.
        edge_types: K.
        hidden: width H of the encoder blocks and of the decoder.
        lstm_hidden: width of each LSTM.
        head_hidden: width of the prior and posterior heads.
        head_activation: between the layers of the heads.
        decoder: `markov` (the papers' synthetic experiment) or `recurrent` (all others).
        skip_first: type 0 sends no message, so it means "none".
        frames: `global` (published) or `local`.
        kinematics: `free` (published) or `integrated`.
        absolute: with local frames, also give each node its global state.
        vertical: index of the vertical axis; needed by local frames in 3-D.
        pair_length: the distance, in normalised units, that counts as 1 in pair features.
        heading_floor: normalised speed below which a local frame is not rotated.
        velocity_ratio: the normaliser's velocity scale over its position scale.
        velocity_shift: the normaliser's velocity offset over its position scale.
        dropout: inside blocks and decoder, in training only.
    """

    features: int
    edge_types: int = 2
    hidden: int = 256
    lstm_hidden: int = 64
    head_hidden: int = 128
    head_activation: Literal["elu", "relu"] = "elu"
    decoder: DecoderKind = "recurrent"
    skip_first: bool = True
    frames: Literal["global", "local"] = "global"
    kinematics: Literal["free", "integrated"] = "free"
    absolute: bool = False
    vertical: int | None = None
    pair_length: float = 1.0
    heading_floor: float = 1e-4
    velocity_ratio: float = 1.0
    velocity_shift: float = 0.0
    dropout: float = 0.0

    @property
    def coordinates(self) -> CoordinateConfig:
        """How states are described to the networks.

        Raises:
            ValueError: if the features cannot be positions and velocities of 2 or 3 dimensions.
        """
        if self.frames == "global" and self.kinematics == "free" and self.features not in (4, 6):
            raise ValueError(f"features: found {self.features}, expected 4 or 6")
        return CoordinateConfig(
            dimensions=self.features // 2,
            local=self.frames == "local",
            absolute=self.absolute,
            vertical=self.vertical,
            pair_length=self.pair_length,
            heading_floor=self.heading_floor,
            integrated=self.kinematics == "integrated",
            velocity_ratio=self.velocity_ratio,
            velocity_shift=self.velocity_shift,
        )


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


class EdgeBlock(Protocol):
    """A block of the edge embedding, trainable or folded."""

    def nodes(self, rows: Tensor) -> Tensor: ...  # noqa: D102
    def aggregates(self, rows: Tensor, graph: Graph) -> Tensor: ...  # noqa: D102
    def pairs(self, nodes: Tensor, graph: Graph, extra: Tensor | None = None) -> Tensor: ...  # noqa: D102


def edge_embedding(
    blocks: "tuple[EdgeBlock, EdgeBlock, EdgeBlock, EdgeBlock]", view: View, graph: Graph
) -> Tensor:
    """Embed every edge of every frame from that frame alone: ``[..., E, H]``.

    Source: dNRI Eqs. (5)-(8) of Sec. 3.2; neighbours are averaged (its code), not summed.
    """
    first, second, third, fourth = blocks
    edges = second.pairs(first.nodes(view.own), graph, view.pairs)
    nodes = third.aggregates(mean_at_receivers(edges, graph), graph)
    return fourth.pairs(nodes, graph, edges)


class Dnri(nn.Module):
    """The trainable view: BatchNorm and `nn.LSTM`; `fold` gives the view for inference."""

    def __init__(self, config: DnriConfig) -> None:
        super().__init__()
        self.config = config
        self.coordinates = config.coordinates
        view, width = self.coordinates, config.hidden
        self.mlp1 = MlpBlock(view.own_width, width, config.dropout)
        self.mlp2 = MlpBlock(2 * width + view.pair_width, width, config.dropout)
        self.mlp3 = MlpBlock(width, width, config.dropout)
        self.mlp4 = MlpBlock(3 * width, width, config.dropout)
        self.forward_lstm = nn.LSTM(width, config.lstm_hidden)
        self.backward_lstm = nn.LSTM(width, config.lstm_hidden)
        self.prior_head = _head(config, config.lstm_hidden)
        self.posterior_head = _head(config, 2 * config.lstm_hidden)
        self.decoder = _decoder(config)

    def relation_logits(self, states: Tensor, graph: Graph) -> RelationLogits:
        """Give both estimators' logits for the frames of `states` ``[T, P, D]``.

        Source: dNRI Eqs. (9)-(12). The caller leaves the window's last frame out, as training does.
        """
        view = describe(states, graph, self.coordinates)
        embedded = edge_embedding((self.mlp1, self.mlp2, self.mlp3, self.mlp4), view, graph)
        causal, _ = self.forward_lstm(embedded)
        backward, _ = self.backward_lstm(embedded.flip(0))
        both = torch.cat((causal, backward.flip(0)), -1)
        return RelationLogits(self.posterior_head(both), self.prior_head(causal))

    def teacher_forced(self, states: Tensor, graph: Graph, weights: Tensor) -> Tensor:
        """Predict ``states[t + 1]`` from the true ``states[t]``: ``[T, P, D]``.

        Args:
            states: ``[T, P, D]``.
            graph: E edges.
            weights: ``[T, E, K]`` relaxed or one-hot samples; set t acts on the step t to t + 1.
        """
        view = describe(states, graph, self.coordinates)
        output = self.decoder.sequence(view, weights, graph)
        return advance(states, output, view, self.coordinates)

    def fold(self) -> "FoldedDnri":
        """Give the view for inference: BatchNorm folded into its consumers, biases merged."""
        return FoldedDnri(self)


class FoldedBlock(nn.Module):
    """Linear, ELU, linear, ELU; the affine maps around it are folded into the linears.

    `degree_shift` is the folded shift of a neighbour mean: it counts only where there are neighbours.
    """

    def __init__(
        self, fc1: nn.Linear | SplitLinear, fc2: nn.Linear, degree_shift: Tensor | None = None
    ) -> None:
        super().__init__()
        self.fc1 = fc1
        self.fc2 = fc2
        self.degree_shift = (
            None if degree_shift is None else nn.Parameter(degree_shift, requires_grad=False)
        )

    def nodes(self, rows: Tensor) -> Tensor:
        """Transform rows ``[..., in] -> [..., H]``."""
        return self._after_first(self.fc1(rows))

    def aggregates(self, rows: Tensor, graph: Graph) -> Tensor:
        """Transform neighbour means ``[..., P, in] -> [..., P, H]``."""
        hidden = self.fc1(rows)
        if self.degree_shift is not None:
            has_neighbours = (graph.inverse_in_degree > 0).to(hidden.dtype).unsqueeze(-1)
            hidden = hidden + has_neighbours * self.degree_shift
        return self._after_first(hidden)

    def pairs(self, nodes: Tensor, graph: Graph, extra: Tensor | None = None) -> Tensor:
        """Transform ``[sender, receiver, extra]`` of every edge."""
        return self._after_first(pair_linear(self.fc1, nodes, graph, extra))

    def _after_first(self, rows: Tensor) -> Tensor:
        return elu(self.fc2(elu(rows)))


class FoldedDnri(nn.Module):
    """The view for inference and export; equal to `Dnri` in evaluation mode."""

    def __init__(self, trained: Dnri) -> None:
        super().__init__()
        self.config = trained.config
        self.coordinates = trained.coordinates
        norms = [
            _affine(block.bn) for block in (trained.mlp1, trained.mlp2, trained.mlp3, trained.mlp4)
        ]
        (one, two, three, four) = norms
        width = trained.config.hidden
        self.mlp1 = FoldedBlock(_copy(trained.mlp1.fc1), _copy(trained.mlp1.fc2))
        self.mlp2 = FoldedBlock(
            SplitLinear(_absorb(trained.mlp2.fc1, {0: one, width: one}), width),
            _copy(trained.mlp2.fc2),
        )
        mean_shift = trained.mlp3.fc1.weight.detach() @ two.shift
        third = _absorb(trained.mlp3.fc1, {0: two._replace(shift=torch.zeros_like(two.shift))})
        self.mlp3 = FoldedBlock(third, _copy(trained.mlp3.fc2), mean_shift)
        fourth = _absorb(trained.mlp4.fc1, {0: three, width: three, 2 * width: two})
        self.mlp4 = FoldedBlock(SplitLinear(fourth, width), _copy(trained.mlp4.fc2))
        self.forward_lstm = fold_lstm(trained.forward_lstm, *four)
        self.backward_lstm = fold_lstm(trained.backward_lstm, *four)
        self.prior_head = trained.prior_head.fold()
        self.posterior_head = trained.posterior_head.fold()
        self.decoder = trained.decoder.fold()
        self.requires_grad_(False)
        self.eval()

    def embed(self, nodes: Tensor, graph: Graph) -> Tensor:
        """Embed the edges of normalised states ``[..., P, D]``: ``[..., E, H]``."""
        view = describe(nodes, graph, self.coordinates)
        return self._embed(view, graph)

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
        start = self.forward_lstm.start(sequence.shape[1])
        causal, _ = self.forward_lstm.sequence(packed, lengths, start)
        backward, _ = self.backward_lstm.sequence(packed, lengths, start, reverse=True)
        both = torch.cat((causal, backward), -1)
        return RelationLogits(self.posterior_head(both), self.prior_head(causal))

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
        pairs = graph.num_edges
        lengths = torch.full((pairs,), states.shape[0], dtype=torch.int32, device=states.device)
        start = self.forward_lstm.start(pairs)
        causal, _ = self.forward_lstm.sequence(embedded, lengths, start)
        backward, _ = self.backward_lstm.sequence(embedded, lengths, start, reverse=True)
        both = torch.cat((causal, backward), -1)
        return RelationLogits(self.posterior_head(both), self.prior_head(causal))

    def initial_state(self, graph: Graph) -> State:
        """Give the state before the first frame."""
        hidden, cell = self.forward_lstm.start(graph.num_edges)
        memory = hidden.new_zeros((graph.inverse_in_degree.shape[0], self.decoder.memory_width))
        return State(hidden, cell, memory)

    def advance_prior(self, state: State, states: Tensor, graph: Graph) -> tuple[State, Tensor]:
        """Feed true frames ``[T, P, D]`` to the prior alone; give its logits ``[T, E, K]``.

        Enough for a Markov decoder's burn-in; a recurrent decoder's memory does not move.
        """
        lengths = torch.full(
            (graph.num_edges,), states.shape[0], dtype=torch.int32, device=states.device
        )
        start = LstmState(state.hidden, state.cell)
        outputs, after = self.forward_lstm.sequence(self.embed(states, graph), lengths, start)
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


class _Affine(NamedTuple):
    scale: Tensor
    shift: Tensor


def _affine(norm: nn.BatchNorm1d) -> _Affine:
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return _Affine(scale, norm.bias.detach() - mean * scale)


def _copy(layer: nn.Linear) -> nn.Linear:
    return _absorb(layer, {})


def _absorb(layer: nn.Linear, maps: "dict[int, _Affine]") -> nn.Linear:
    """Fold ``input * scale + shift`` of some input columns (by first column) into a linear layer."""
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    for first, (scale, shift) in maps.items():
        columns = slice(first, first + scale.shape[0])
        bias += weight[:, columns] @ shift
        weight[:, columns] *= scale
    folded = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    folded.weight.data, folded.bias.data = weight, bias
    return folded


def _pack(edges: Tensor, sequence: Tensor) -> Tensor:
    padded = torch.cat((edges, edges.new_zeros((1, edges.shape[-1]))))
    return padded.index_select(0, sequence.flatten()).view(*sequence.shape, edges.shape[-1])


def _head(config: DnriConfig, inputs: int) -> Head:
    return Head(inputs, config.head_hidden, config.edge_types, config.head_activation)


def _decoder(config: DnriConfig) -> MarkovDecoder | RecurrentDecoder:
    view = config.coordinates
    return DECODERS[config.decoder](
        own=view.own_width,
        pairs=view.pair_width,
        hidden=config.hidden,
        outputs=view.output_width,
        edge_types=config.edge_types,
        silent=int(config.skip_first),
        dropout=config.dropout,
    )


def config_from(options: dict[str, object]) -> DnriConfig:
    """Give a config from plain values.

    Raises:
        ValueError: naming an unknown option and those that exist.
    """
    known = {item.name for item in dataclasses.fields(DnriConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"model option {unknown[0]!r} is unknown; expected one of {sorted(known)}")
    return DnriConfig(**options)  # pyright: ignore[reportArgumentType]
