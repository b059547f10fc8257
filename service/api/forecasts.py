"""`POST /forecast`."""

from collections.abc import Awaitable, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import media, openapi
from service.api.exchange import answer
from service.api.services import Desk
from service.relations import answers
from service.relations.forecasts import ForecastTable
from service.schemas.answers import ForecastAnswer, ForecastBatchAnswer
from service.schemas.examples import forecast_answer_example, forecast_example
from service.schemas.jobs import JobKind
from service.schemas.requests import ForecastRequest

router = APIRouter(tags=["forecasts"])


class Forecast:
    """The call behind the endpoint."""

    kind: JobKind = "forecast"
    body = ForecastRequest
    offers: Sequence[str] = (media.JSON,)

    def prepared(self, request: ForecastRequest) -> ForecastRequest:
        """Give the request with a seed, drawn once for all its recordings if it has none."""
        return request.seeded()

    def run(self, at: Desk, single: ForecastRequest) -> Awaitable[ForecastTable]:
        """Ask the engine for one recording's future."""
        return at.services.pipeline.forecast(single)

    def encode(
        self, request: ForecastRequest, tables: Sequence[ForecastTable], media_type: str
    ) -> bytes:
        """Give JSON, the only representation offered."""
        assert media_type == media.JSON
        return answers.encode(answers.forecast_body(request, tables))


CALL = Forecast()


DESCRIBED = openapi.main_call(
    "Foretell what happens next, with bands and the relations used",
    openapi.body(ForecastRequest, forecast_example()),
    openapi.answers(ForecastAnswer | ForecastBatchAnswer, forecast_answer_example()),
)


@router.post("/forecast", **DESCRIBED)
@router.post("/v1/forecast", **DESCRIBED)
async def forecast(request: Request) -> Response:
    """Give mean, quantiles and, where asked for, samples of the next `horizon` frames.

    The same `seed` gives the same answer. `relations` forces relations: a what-if forecast.
    """
    return await answer(request, CALL)
