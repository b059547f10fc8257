"""`POST /infer-relations`."""

from collections.abc import Awaitable, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import media, openapi
from service.api.exchange import answer
from service.api.services import Desk
from service.relations import answers
from service.relations.long_table import CSV, PARQUET, encode_relations
from service.relations.tables import RelationTable
from service.schemas.answers import RelationsAnswer, RelationsBatchAnswer
from service.schemas.examples import infer_relations_example, relations_answer_example
from service.schemas.jobs import JobKind
from service.schemas.requests import InferRelationsRequest

router = APIRouter(tags=["relations"])


class InferRelations:
    """The call behind the endpoint."""

    kind: JobKind = "infer-relations"
    body = InferRelationsRequest
    offers: Sequence[str] = (media.JSON, CSV, PARQUET)

    def prepared(self, request: InferRelationsRequest) -> InferRelationsRequest:
        """Give the request as it is: nothing of it is drawn."""
        return request

    def run(self, at: Desk, single: InferRelationsRequest) -> Awaitable[RelationTable]:
        """Ask the engine for one recording's relations."""
        return at.services.pipeline.infer_relations(single)

    def encode(
        self, request: InferRelationsRequest, tables: Sequence[RelationTable], media_type: str
    ) -> bytes:
        """Give JSON, or the long table as CSV or Parquet."""
        if media_type == media.JSON:
            return answers.encode(answers.relations_body(request, tables))
        return encode_relations(request, tables, media_type)


CALL = InferRelations()


DESCRIBED = openapi.main_call(
    "Infer who influences whom, per frame",
    openapi.body(InferRelationsRequest, infer_relations_example()),
    openapi.answers(RelationsAnswer | RelationsBatchAnswer, relations_answer_example()),
)


@router.post("/infer-relations", **DESCRIBED)
@router.post("/v1/infer-relations", **DESCRIBED)
async def infer_relations(request: Request) -> Response:
    """Give relation distributions of a recording, with (posterior) or without (prior) hindsight.

    `Accept: text/csv` or `application/vnd.apache.parquet` gives the long table instead of JSON.
    """
    return await answer(request, CALL)
