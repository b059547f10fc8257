import dataclasses

import numpy as np
import pytest
import torch

from models import philox, registry
from models.folded import FoldedDnri
from models.graph import fully_connected
from training import rollouts
from training.errors import Diverged
from training.rollouts import Plan, relation_probabilities, roll_out
from trajectories import pairs

ENTITIES = ("a", "b", "c", "d")


def network(decoder: str) -> FoldedDnri:
    torch.manual_seed(4)
    sizes = {"hidden": 8, "lstm_hidden": 5, "head_hidden": 6}
    built = registry.build(
        "dnri", {"features": 4, "edge_types": 2, "decoder": decoder, "skip_first": True, **sizes}
    )
    return built.eval().fold()


@pytest.fixture(params=["markov", "recurrent"])
def folded(request: pytest.FixtureRequest) -> FoldedDnri:
    return network(request.param)


@pytest.fixture
def windows() -> np.ndarray:
    stream = np.random.default_rng(11)
    return stream.normal(size=(5, 9, 4, 4)).astype(np.float32)


PLAN = Plan(entities=ENTITIES, burn_in=4, horizon=5, paths=3, seed=7)


def nothing(steps: int) -> None:
    del steps


def stepped(
    folded: FoldedDnri, window: np.ndarray, plan: Plan, index: int, path: int
) -> np.ndarray:
    """Roll out one path of one window the slow way: every frame through ``step``."""
    graph = fully_connected(len(plan.entities))
    names = [[plan.entities[i] for i in side] for side in pairs.receiver_major(len(plan.entities))]
    state, frame = folded.initial_state(graph), torch.from_numpy(window[0])
    free = torch.full((graph.num_edges,), -1, dtype=torch.int64)
    frames = []
    for step in range(plan.burn_in - 1 + plan.horizon):
        drawn = torch.from_numpy(philox.uniforms(plan.seed + index, [path], step, *names)[0])
        given = step < plan.burn_in
        state, frame, _, _ = folded.step(
            state, torch.from_numpy(window[step]) if given else frame, drawn, graph, free
        )
        frames.append(frame.numpy())
    return np.stack(frames[plan.burn_in - 1 :])


def test_every_path_is_what_stepping_through_every_frame_gives(
    folded: FoldedDnri, windows: np.ndarray
):
    futures = roll_out(folded, windows, PLAN, nothing)
    assert futures.paths.shape == (5, 3, 5, 4, 4)
    for window, path in ((0, 0), (3, 2), (4, 1)):
        expected = stepped(folded, windows[window], PLAN, window, path)
        np.testing.assert_allclose(futures.paths[window, path], expected, atol=2e-5)


def test_paths_differ_and_repeat_with_the_seed(folded: FoldedDnri, windows: np.ndarray):
    one, again = (roll_out(folded, windows, PLAN, nothing).paths for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one[:, 0], one[:, 1])
    other = roll_out(folded, windows, dataclasses.replace(PLAN, seed=8), nothing).paths
    assert not np.allclose(one, other)


def test_chunks_change_nothing(
    folded: FoldedDnri, windows: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    whole = roll_out(folded, windows, PLAN, nothing)
    related = relation_probabilities(folded, windows)
    monkeypatch.setattr(rollouts, "EDGE_ROWS", 2 * PLAN.edges * PLAN.paths)
    counted: list[int] = []
    parts = roll_out(folded, windows, PLAN, counted.append)
    np.testing.assert_allclose(parts.paths, whole.paths, atol=1e-5)
    assert sum(counted) == len(windows) * PLAN.horizon
    for name, stated in relation_probabilities(folded, windows).items():
        np.testing.assert_allclose(stated, related[name], atol=1e-6)


def test_the_future_is_never_looked_at(folded: FoldedDnri, windows: np.ndarray):
    changed = windows.copy()
    changed[:, PLAN.burn_in :] += 5.0
    ours, theirs = (roll_out(folded, given, PLAN, nothing).paths for given in (windows, changed))
    np.testing.assert_array_equal(ours, theirs)


def test_one_given_frame_is_enough(folded: FoldedDnri, windows: np.ndarray):
    plan = dataclasses.replace(PLAN, burn_in=1)
    futures = roll_out(folded, windows, plan, nothing)
    expected = stepped(folded, windows[2], plan, 2, 1)
    np.testing.assert_allclose(futures.paths[2, 1], expected, atol=2e-5)


def test_relations_come_in_public_order_from_all_frames_but_the_last(
    folded: FoldedDnri, windows: np.ndarray
):
    stated = relation_probabilities(folded, windows)
    senders, receivers = pairs.receiver_major(4)
    with torch.inference_mode():
        logits = folded.relation_logits(torch.from_numpy(windows[3][:-1]), fully_connected(4))
    for name, probabilities in stated.items():
        assert probabilities.shape == (5, 8, 12, 2)
        inner = getattr(logits, name).softmax(-1).numpy()
        for row, (source, target) in enumerate(zip(*pairs.source_major(4), strict=True)):
            edge = np.nonzero((senders == source) & (receivers == target))[0][0]
            np.testing.assert_allclose(probabilities[3, :, row], inner[:, edge], atol=1e-6)
    changed = windows.copy()
    changed[:, -1] += 5.0
    for name, probabilities in relation_probabilities(folded, changed).items():
        np.testing.assert_array_equal(probabilities, stated[name])


def test_the_prior_of_a_rollout_is_averaged_over_its_paths(folded: FoldedDnri, windows: np.ndarray):
    futures = roll_out(folded, windows, PLAN, nothing)
    assert futures.prior.shape == (5, 5, 12, 2)
    np.testing.assert_allclose(futures.prior.sum(-1), 1.0, atol=1e-5)
    # The first step still sees true frames, so all paths share the window's own prior there.
    seen = relation_probabilities(folded, windows[:, : PLAN.burn_in + 1])["prior"]
    np.testing.assert_allclose(futures.prior[:, 0], seen[:, -1], atol=1e-5)


def test_a_path_that_leaves_the_finite_range_is_an_error_not_a_number(windows: np.ndarray):
    folded = network("markov")
    with torch.no_grad():
        for parameter in folded.decoder.parameters():
            parameter.mul_(1e30)
    with pytest.raises(Diverged, match=r"window \d+ left the finite range at step \d+"):
        roll_out(folded, windows, PLAN, nothing)
