import pytest

from service.jobs.keys import JobRef


def test_a_reference_is_read_back_from_its_text() -> None:
    ref = JobRef.new("acme")
    assert JobRef.parse(str(ref)) == ref


def test_every_key_of_a_job_carries_its_tenant() -> None:
    ref = JobRef.new("acme")
    keys = (ref.record, ref.request, ref.lease, ref.events, ref.jobs, ref.open, ref.ended)
    assert all(":acme:" in key for key in keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "text",
    ["", "default", "default/", f"/{'0' * 32}", f"a:b/{'0' * 32}", "default/0", f"A/{'0' * 32}"],
)
def test_a_forged_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="job reference"):
        JobRef.parse(text)
