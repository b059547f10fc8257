import pytest

from service.jobs.terms import JobTerms
from service.tasks.child import POLL_S
from service.tasks.phases import CANCEL_GRACE_S

PROMISED_S = 2.0


def test_a_cancellation_can_take_effect_within_two_seconds() -> None:
    terms = JobTerms()
    assert terms.beat_s + terms.cancel_grace_s + terms.beat_s < PROMISED_S
    assert terms.beat_s + POLL_S + CANCEL_GRACE_S < PROMISED_S


def test_a_lease_outlives_many_missed_beats() -> None:
    terms = JobTerms()
    assert terms.lease_s > 20 * terms.beat_s


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATA_JOB_LEASE_S", "3")
    assert JobTerms().lease_s == 3.0
