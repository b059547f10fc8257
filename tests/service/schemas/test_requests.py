from service.schemas.examples import example_trajectory, forecast_example
from service.schemas.parsing import parse
from service.schemas.requests import ForecastRequest, InferRelationsRequest


def test_a_batch_falls_into_singles_that_keep_the_rest() -> None:
    batch = {"model": "m", "trajectories": [example_trajectory(frames=n) for n in (3, 4)]}
    request = parse(InferRelationsRequest, batch | {"estimator": "prior"})
    singles = request.singles()
    assert [len(single.each()[0].values) for single in singles] == [3, 4]
    assert all(single.estimator == "prior" and not single.is_batch for single in singles)


def test_a_single_is_its_own_only_single() -> None:
    request = parse(ForecastRequest, forecast_example())
    assert request.singles() == (request,)


def test_a_seed_is_kept_or_drawn_once() -> None:
    request = parse(ForecastRequest, forecast_example())
    assert request.seeded() is request
    unseeded = parse(ForecastRequest, {k: v for k, v in forecast_example().items() if k != "seed"})
    seed = unseeded.seeded().seed
    assert seed is not None
    assert 0 <= seed < 2**53
    assert unseeded.seeded().seed != seed


def test_a_request_survives_the_way_through_a_job() -> None:
    request = parse(ForecastRequest, forecast_example())
    assert parse(ForecastRequest, request.model_dump(mode="json", exclude_none=True)) == request
