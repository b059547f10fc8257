import pytest

from service.errors import (
    PROBLEMS,
    Finding,
    InvalidRequest,
    MalformedBody,
    ServiceError,
    Unavailable,
)


def test_a_problem_names_type_place_and_way_out() -> None:
    error = InvalidRequest("found 2, expected 3", code="odd", pointer="/a", fix="Send 3.")
    assert error.to_problem("urn:uuid:1") == {
        "type": "urn:relata:problem:odd",
        "title": "Invalid request",
        "status": 422,
        "detail": "found 2, expected 3",
        "instance": "urn:uuid:1",
        "code": "odd",
        "pointer": "/a",
        "fix": "Send 3.",
        "errors": [
            {"code": "odd", "pointer": "/a", "detail": "found 2, expected 3", "fix": "Send 3."}
        ],
    }


@pytest.mark.parametrize("kind", [InvalidRequest, MalformedBody])
def test_what_is_wrong_with_the_whole_body_is_pointed_at_too(kind: type[ServiceError]) -> None:
    problem = kind("found nothing").to_problem()
    assert problem["pointer"] == problem["errors"][0]["pointer"] == ""
    assert "pointer" not in Unavailable("full").to_problem()


def test_the_first_of_many_findings_names_the_problem_and_twenty_are_told() -> None:
    findings = [Finding(f"code-{index}", "detail", f"/{index}") for index in range(50)]
    problem = InvalidRequest.from_findings(findings).to_problem()
    assert (problem["code"], problem["pointer"], len(problem["errors"])) == ("code-0", "/0", 20)


def test_an_item_of_a_batch_is_pointed_at_in_the_batch() -> None:
    findings = [Finding("a", "d", "/trajectory/values/0"), Finding("b", "d", "/model")]
    moved = InvalidRequest.from_findings(findings).relocated("/trajectory", "/trajectories/2")
    assert moved.pointer == "/trajectories/2/values/0"
    assert [finding.pointer for finding in moved.findings] == [moved.pointer, "/model"]


@pytest.mark.parametrize(("seconds", "header"), [(0.1, "1"), (2.4, "2"), (60, "60")])
def test_retry_after_is_whole_seconds_and_never_none(seconds: float, header: str) -> None:
    assert Unavailable("full", retry_after_s=seconds).headers == {"Retry-After": header}


def test_every_problem_has_a_status_and_a_slug_of_its_own() -> None:
    assert len({kind.default_code for kind in PROBLEMS}) == len(PROBLEMS)
    assert all(400 <= kind.status < 600 and issubclass(kind, ServiceError) for kind in PROBLEMS)
