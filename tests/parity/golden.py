"""Reads the golden cases and puts their weights into our networks.

All sizes come from the arrays. The folder is ``RELATA_GOLDEN`` or the copy beside these tests.
"""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.dnri import Dnri
from models.dnri_config import DnriConfig
from models.graph import Graph

FOLDER = Path(os.environ.get("RELATA_GOLDEN", Path(__file__).parent.parent / "golden"))
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}


class Case:
    """One golden file as float64 tensors."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f"{name}.npz") as arrays:
            self._arrays: dict[str, NDArray[np.generic]] = {
                key: arrays[key] for key in arrays.files
            }

    def __getitem__(self, key: str) -> Tensor:
        array = torch.from_numpy(np.asarray(self._arrays[key]))
        return array if array.dtype == torch.int64 else array.double()

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def count(self, prefix: str) -> int:
        """How many numbered layers, such as ``w/decoder.msg_fc1.<k>.weight``, there are."""
        return sum(key.startswith(prefix) and key.endswith(".weight") for key in self._arrays)


def put_linear(layer: nn.Linear, case: Case, name: str) -> None:
    """Copy one linear layer."""
    layer.weight.data.copy_(case[f"w/{name}.weight"])
    if f"w/{name}.bias" in case:
        layer.bias.data.copy_(case[f"w/{name}.bias"])


def put_swapped_pair(layer: nn.Linear, case: Case, name: str) -> None:
    """Copy a pair layer whose input is ``[receiver, sender]`` in the reference."""
    receiver, sender = case[f"w/{name}.weight"].chunk(2, 1)
    layer.weight.data.copy_(torch.cat((sender, receiver), 1))
    layer.bias.data.copy_(case[f"w/{name}.bias"])


def receiver_major(case: Case) -> Tensor:
    """The permutation that sorts the case's edges by receiver, then sender."""
    nodes = int(case["in/edge_receiver"].max()) + 1
    return (case["in/edge_receiver"] * nodes + case["in/edge_sender"]).argsort()


def union_graph(case: Case, copies: int) -> Graph:
    """The case's graph, receiver-major, once per sample."""
    order = receiver_major(case)
    nodes = int(case["in/edge_receiver"].max()) + 1
    shift = (torch.arange(copies) * nodes).repeat_interleave(order.shape[0])
    inverse = torch.full((nodes * copies,), 1.0 / (nodes - 1), dtype=torch.float64)
    senders = case["in/edge_sender"][order].repeat(copies) + shift
    receivers = case["in/edge_receiver"][order].repeat(copies) + shift
    return Graph(senders, receivers, inverse)


def reference_dnri(case: Case) -> Dnri:
    """Our dNRI network with the case's weights, in evaluation mode and float64."""
    recurrent = "w/decoder.hidden_r.weight" in case
    config = DnriConfig(
        features=case["in/x"].shape[-1],
        edge_types=case["in/edges_hard"].shape[-1],
        hidden=case["w/encoder.mlp1.model.0.weight"].shape[0],
        lstm_hidden=case["w/encoder.forward_rnn.weight_hh_l0"].shape[1],
        head_hidden=case["w/encoder.prior_fc_out.0.weight"].shape[0],
        decoder="recurrent" if recurrent else "markov",
    )
    net = Dnri(config).double().eval()
    _put_encoder(net, case)
    _put_decoder(net, case, recurrent)
    return net


def _put_encoder(net: Dnri, case: Case) -> None:
    for name in ("mlp1", "mlp2", "mlp3", "mlp4"):
        block = getattr(net, name)
        put_linear(block.fc1, case, f"encoder.{name}.model.0")
        put_linear(block.fc2, case, f"encoder.{name}.model.3")
        for field in ("weight", "bias", "running_mean", "running_var"):
            getattr(block.bn, field).data.copy_(case[f"w/encoder.{name}.bn.{field}"])
    for ours, theirs in (("forward_lstm", "forward_rnn"), ("backward_lstm", "reverse_rnn")):
        for field in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(getattr(net, ours), field).data.copy_(case[f"w/encoder.{theirs}.{field}"])
    for index, layer in enumerate(net.posterior_head.layers):
        put_linear(layer, case, f"encoder.encoder_fc_out.{2 * index}")
    for index, layer in enumerate(net.prior_head.layers):
        put_linear(layer, case, f"encoder.prior_fc_out.{2 * index}")


def _put_decoder(net: Dnri, case: Case, recurrent: bool) -> None:
    decoder = net.decoder
    for index, network in enumerate(decoder.networks):
        put_swapped_pair(network.fc1, case, f"decoder.msg_fc1.{index + decoder.silent}")
        put_linear(network.fc2, case, f"decoder.msg_fc2.{index + decoder.silent}")
    for index, layer in enumerate((decoder.output.fc1, decoder.output.fc2, decoder.output.fc3)):
        put_linear(layer, case, f"decoder.out_fc{index + 1}")
    if recurrent:
        gates = ("r", "i", "n")
        weights = [case[f"w/decoder.input_{gate}.weight"] for gate in gates]
        decoder.from_input.weight.data.copy_(torch.cat(weights))
        decoder.from_input.bias.data.copy_(
            torch.cat([case[f"w/decoder.input_{g}.bias"] for g in gates])
        )
        hidden = [case[f"w/decoder.hidden_{gate}.weight"] for gate in ("r", "i", "h")]
        decoder.from_message.weight.data.copy_(torch.cat(hidden))
