"""Dynamic neural relational inference: relations that change at every step.

Source: Graber & Schwing, "Dynamic Neural Relational Inference", CVPR 2020, Sec. 3, and its public
code. Deviations:
    - the heads use ELU as the code does; the paper says ReLU (`head_activation`);
    - the prior never sees earlier draws (as the code: the LSTM is fed states only);
    - coordinate frames may be local and the output integrated (`models.coordinates`), which the
      paper does not have; the published model is frames global, kinematics free.
"""

import torch
from torch import Tensor, nn

from models.blocks import Head, MlpBlock
from models.coordinates import advance, describe
from models.decoders import DECODERS, DecoderSizes, MarkovDecoder, RecurrentDecoder
from models.dnri_config import DnriConfig
from models.embedding import edge_embedding, fold_blocks
from models.folded import FoldedDnri, RelationLogits
from models.graph import Graph
from models.recurrence import fold_lstm


class Dnri(nn.Module):
    """The trainable view: BatchNorm and `nn.LSTM`; `fold` gives the view for inference."""

    def __init__(self, config: DnriConfig) -> None:
        super().__init__()
        self.config = config
        self.coordinates = config.coordinates
        view, width = self.coordinates, config.hidden
        regular = (config.dropout, config.norm_eps)
        self.mlp1 = MlpBlock(view.own_width, width, *regular)
        self.mlp2 = MlpBlock(2 * width + view.pair_width, width, *regular)
        self.mlp3 = MlpBlock(width, width, *regular)
        self.mlp4 = MlpBlock(3 * width, width, *regular)
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

    def fold(self) -> FoldedDnri:
        """Give the view for inference: BatchNorm folded into its consumers, biases merged."""
        blocks, embedding = fold_blocks((self.mlp1, self.mlp2, self.mlp3, self.mlp4))
        return FoldedDnri(
            self.config,
            blocks=blocks,
            forward_lstm=fold_lstm(self.forward_lstm, *embedding),
            backward_lstm=fold_lstm(self.backward_lstm, *embedding),
            prior_head=self.prior_head.fold(),
            posterior_head=self.posterior_head.fold(),
            decoder=self.decoder.fold(),
        )


def _head(config: DnriConfig, inputs: int) -> Head:
    return Head(inputs, config.head_hidden, config.edge_types, config.head_activation)


def _decoder(config: DnriConfig) -> MarkovDecoder | RecurrentDecoder:
    view = config.coordinates
    sizes = DecoderSizes(
        own=view.own_width,
        pairs=view.pair_width,
        hidden=config.hidden,
        outputs=view.output_width,
        edge_types=config.edge_types,
        silent=int(config.skip_first),
        dropout=config.dropout,
    )
    return DECODERS[config.decoder](sizes)
