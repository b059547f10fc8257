from typing import Any

import pytest

from service.errors import InvalidRequest
from service.inference.limits import answer_values, check_limits
from service.schemas.examples import example_trajectory, forecast_example
from service.schemas.parsing import parse
from service.schemas.requests import ForecastRequest, InferRelationsRequest
from service.settings import Limits


def relations(**changes: Any) -> InferRelationsRequest:
    body = {"model": "m", "trajectory": example_trajectory(frames=10)}
    return parse(InferRelationsRequest, body | changes)


def refusal(request: Any, limits: Limits) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_limits(request, limits, edge_types=2)
    assert caught.value.code == "cost-over-limit"
    assert caught.value.fix
    return caught.value


def test_a_request_at_the_limits_passes() -> None:
    limits = Limits(entities=3, frames=10, values=60, answer_values=120)
    check_limits(relations(), limits, edge_types=2)


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        (Limits(entities=2), "/trajectory/entities"),
        (Limits(frames=9), "/trajectory/values"),
        (Limits(values=59), ""),
        (Limits(answer_values=119), ""),
    ],
)
def test_one_more_is_refused_where_it_is(limits: Limits, pointer: str) -> None:
    assert refusal(relations(), limits).pointer == pointer


def test_thinning_makes_a_large_answer_small() -> None:
    limits = Limits(answer_values=12)
    assert "select" in refusal(relations(), limits).fix
    check_limits(relations(select={"last": 1}), limits, edge_types=2)


def test_a_job_is_a_way_out_only_where_jobs_take_it() -> None:
    limits, wider = Limits(horizon=5), Limits(horizon=20)
    cases = [(10, None, False), (10, wider, True), (21, wider, False)]
    for horizon, job_limits, offered in cases:
        request = parse(ForecastRequest, forecast_example() | {"horizon": horizon})
        with pytest.raises(InvalidRequest) as caught:
            check_limits(request, limits, 2, wider=job_limits)
        assert ("job" in caught.value.fix) is offered


def test_samples_count_only_where_they_are_sent() -> None:
    with_samples = forecast_example() | {"outputs": ["samples"], "quantiles": []}
    without = parse(ForecastRequest, with_samples | {"outputs": ["mean"]})
    assert answer_values(parse(ForecastRequest, with_samples), 2) == 10 * 3 * 2 * (32 + 2)
    assert answer_values(without, 2) == 10 * 3 * 2 * 2
