import numpy as np
import pytest

from training.errors import DataError
from training.protocols import calibration_windows, evaluation_windows, protocol_for
from training.simulators import push
from trajectories.dataset import Dataset, Split


def made(**lengths: tuple[int, ...]) -> Dataset:
    splits = {
        key: Split(
            tuple(np.full((frames, 2, 4), float(frames)) for frames in frames_of),
            tuple(f"{key}{index}" for index in range(len(frames_of))),
        )
        for key, frames_of in lengths.items()
    }
    return Dataset("own", ("x", "y", "vx", "vy"), ("a", "b"), 1.0, splits)


def test_published_data_are_evaluated_as_published():
    protocol = protocol_for(push.simulate(1))
    assert (protocol.burn_ins, protocol.steps) == ((10, 25), (1, 15, 25))


def test_other_data_are_given_by_half():
    protocol = protocol_for(made(test=(20, 21)))
    assert (protocol.burn_ins, protocol.steps) == ((10,), (1, 5, 10))


def test_test_sequences_are_cut_to_the_shortest():
    assert evaluation_windows(made(test=(20, 30))).shape == (2, 20, 2, 4)


def test_calibration_uses_validation_sequences_that_are_long_enough():
    assert calibration_windows(made(test=(20,), valid=(20, 25))).shape == (2, 20, 2, 4)


def test_calibration_falls_back_to_whole_validation_trials():
    dataset = made(test=(20,), valid=(10, 10), valid_trials=(45, 61))
    assert calibration_windows(dataset).shape == (5, 20, 2, 4)


def test_too_short_validation_data_are_refused():
    with pytest.raises(DataError, match="10 frames"):
        calibration_windows(made(test=(20,), valid=(10,)))
    with pytest.raises(DataError, match="more than 20"):
        calibration_windows(made(test=(20,), valid=(10,), valid_trials=(20,)))
