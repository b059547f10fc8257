import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.training.tiny import tiny_config, tiny_model, tiny_network
from training.checkpoints import (
    Standing,
    load_last,
    load_network,
    save_best,
    save_last,
    weights_sha256,
    write_atomically,
)
from training.errors import CheckpointError


def trained(seed: int = 1) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Give a network and an optimiser that has made two steps."""
    network = tiny_network(tiny_config(seed=seed))
    optimiser = torch.optim.Adam(network.parameters())
    for _ in range(2):
        optimiser.zero_grad()
        sum(parameter.square().sum() for parameter in network.parameters()).backward()
        optimiser.step()
    return network, optimiser


class TestLast:
    def test_brings_back_weights_optimiser_and_standing(self, tmp_path: Path) -> None:
        network, optimiser = trained()
        standing = Standing(
            epoch=3, step=2, sums={"nll": 1.5}, best_loss=-2.0, best_epoch=1, seed=7
        )
        save_last(tmp_path, network, optimiser, standing)
        other, fresh = tiny_network(tiny_config(seed=2)), None
        fresh = torch.optim.Adam(other.parameters())
        assert load_last(tmp_path, other, fresh) == standing
        assert weights_sha256(other) == weights_sha256(network)
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
            for key, value in optimiser.state[mine].items():
                assert torch.equal(value, fresh.state[theirs][key])

    def test_repeats_the_standing_for_people(self, tmp_path: Path) -> None:
        save_last(tmp_path, *trained(), Standing(epoch=3))
        assert json.loads((tmp_path / "last.json").read_text())["epoch"] == 3

    def test_keeps_the_time_spent_out_of_the_weights_file(self, tmp_path: Path) -> None:
        """Two runs that trained alike must leave equal bytes, however long they took."""
        network, optimiser = trained()
        for folder, seconds in (("a", 1.5), ("b", 99.0)):
            save_last(tmp_path / folder, network, optimiser, Standing(seconds=seconds))
        files = [tmp_path / folder / "last.safetensors" for folder in ("a", "b")]
        assert files[0].read_bytes() == files[1].read_bytes()
        assert load_last(tmp_path / "b", network, optimiser).seconds == 99.0

    def test_goes_by_the_weights_file_alone(self, tmp_path: Path) -> None:
        """A kill between the two files leaves an older last.json, which must not matter."""
        network, optimiser = trained()
        save_last(tmp_path, network, optimiser, Standing(epoch=3))
        for text in ('{"epoch": 2}', '{"epo', ""):
            (tmp_path / "last.json").write_text(text)
            assert load_last(tmp_path, network, optimiser).epoch == 3

    def test_of_another_network_is_refused_with_the_weight_that_differs(
        self, tmp_path: Path
    ) -> None:
        save_last(tmp_path, *trained(), Standing())
        other = tiny_network(tiny_config(model=tiny_model(hidden=5)))
        with pytest.raises(
            CheckpointError, match=r"'backward_lstm\.weight_ih_l0' is \(8, 4\); expected \(8, 5\)"
        ):
            load_last(tmp_path, other, torch.optim.Adam(other.parameters()))

    def test_with_weights_the_network_lacks_is_refused(self, tmp_path: Path) -> None:
        save_last(tmp_path, *trained(), Standing())
        other = nn.Linear(2, 2)
        with pytest.raises(CheckpointError, match="expected no such weight"):
            load_last(tmp_path, other, torch.optim.Adam(other.parameters()))

    def test_that_does_not_exist_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"no checkpoint at .*last\.safetensors"):
            load_last(tmp_path, *trained())

    def test_that_is_damaged_is_named(self, tmp_path: Path) -> None:
        save_last(tmp_path, *trained(), Standing())
        path = tmp_path / "last.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(CheckpointError, match=r"last\.safetensors is damaged"):
            load_last(tmp_path, *trained())

    def test_without_a_standing_is_refused(self, tmp_path: Path) -> None:
        network, optimiser = trained()
        save_file(network.state_dict(), tmp_path / "last.safetensors")
        with pytest.raises(CheckpointError, match="does not say where training stands"):
            load_last(tmp_path, network, optimiser)


class TestNetworks:
    def test_read_back_from_best_and_last(self, tmp_path: Path) -> None:
        first, second = trained(1), trained(2)
        save_best(tmp_path, first[0], epoch=4, nll=-1.25)
        save_last(tmp_path, *second, Standing())
        for which, (network, _) in (("best", first), ("last", second)):
            loaded = tiny_network(tiny_config(seed=3))
            load_network(tmp_path, loaded, which)
            assert weights_sha256(loaded) == weights_sha256(network)


class TestFingerprint:
    def test_changes_with_any_weight_and_statistic(self) -> None:
        network, _ = trained()
        seen = {weights_sha256(network)}
        state = network.state_dict()
        for value in state.values():
            value.view(-1)[0] += 1
            seen.add(weights_sha256(network))
        assert len(seen) == len(state) + 1


class TestWriting:
    def test_an_interrupted_write_leaves_the_old_content(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "file"
        write_atomically(path, b"old")

        def fail(_: int) -> None:
            raise OSError("no space left")

        monkeypatch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="no space"):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
