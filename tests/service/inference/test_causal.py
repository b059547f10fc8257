import numpy as np
import pytest

from service.inference import causal
from service.inference.causal import CausalPass, causal_passes
from tests.service.networks import small_model, walk, with_absences

MODEL = small_model()


def run(*windows: np.ndarray) -> list[CausalPass]:
    steps = causal_passes(MODEL.runtime, [w.astype(np.float32) for w in windows], 3)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


WHOLE = walk(9, 3)
PARTIAL = with_absences(walk(9, 4, seed=1), {0: (0, 4), 2: (3, 6), 3: (8, 9)})


@pytest.mark.parametrize("window", [WHOLE, PARTIAL], ids=["whole", "partial"])
@pytest.mark.parametrize("rows", [1, 12, 40])
def test_chunks_carry_the_state_of_every_pair(monkeypatch, window, rows):
    (together,) = run(window)
    monkeypatch.setattr(causal, "ROWS_PER_CALL", rows)
    (chunked,) = run(window)
    np.testing.assert_allclose(chunked.logits, together.logits, atol=1e-6)
    np.testing.assert_allclose(chunked.state.hidden, together.state.hidden, atol=1e-6)
    np.testing.assert_allclose(chunked.state.cell, together.state.cell, atol=1e-6)


def test_a_union_gives_each_window_what_it_gets_alone():
    nobody = np.full((3, 2, 4), np.nan)
    alone = [run(window)[0] for window in (WHOLE, PARTIAL, nobody)]
    for one, other in zip(run(WHOLE, PARTIAL, nobody), alone, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-6)
        np.testing.assert_allclose(one.state.hidden, other.state.hidden, atol=1e-6)


def test_never_sees_a_later_frame():
    changed = WHOLE.copy()
    changed[6:] += 0.5
    before, after = run(WHOLE)[0], run(changed)[0]
    np.testing.assert_allclose(after.logits[:6], before.logits[:6], atol=1e-6)
    assert np.abs(after.logits[6:] - before.logits[6:]).max() > 1e-3


def test_absent_pairs_have_no_logits_and_keep_their_state():
    logits = run(PARTIAL)[0].logits
    present = ~np.isnan(PARTIAL[..., 0])
    for pair, (source, target) in enumerate((s, t) for s in range(4) for t in range(4) if s != t):
        together = present[:, source] & present[:, target]
        assert np.array_equal(~np.isnan(logits[:, pair]).any(axis=-1), together)


def test_a_pair_that_pauses_goes_on_as_if_nothing_had_been_between():
    paused = with_absences(walk(9, 2), {1: (4, 6)})
    (gap,), (cut,) = run(paused), run(np.delete(paused, [4, 5], axis=0))
    np.testing.assert_allclose(gap.logits[6:], cut.logits[4:], atol=1e-6)
    np.testing.assert_allclose(gap.state.hidden, cut.state.hidden, atol=1e-6)


def test_no_frames_leave_zero_state():
    (empty,) = run(WHOLE[:0])
    assert empty.logits.shape == (0, 6, 3)
    assert not empty.state.hidden.any()
