import uuid

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    "name", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "123e4567-e89b-12d3-a456-426614174000"]
)
def test_a_ulid_or_uuid_is_taken_over_as_request_id(client: TestClient, name: str) -> None:
    assert client.get("/livez", headers={"X-Request-ID": name}).headers["x-request-id"] == name


@pytest.mark.parametrize("name", ["", "a b", "x" * 5000, "<script>", "1"])
def test_anything_else_is_replaced(client: TestClient, name: str) -> None:
    given = client.get("/livez", headers={"X-Request-ID": name}).headers["x-request-id"]
    assert str(uuid.UUID(given)) == given


def test_every_answer_forbids_guessing_its_type(client: TestClient) -> None:
    for path in ("/livez", "/nowhere", "/"):
        assert client.get(path).headers["x-content-type-options"] == "nosniff"


def test_requests_are_counted_by_route_and_not_by_path(client: TestClient) -> None:
    client.get("/v1/models/dnri-push3")
    client.get("/some/secret/path")
    page = client.get("/metrics").text
    assert 'route="/v1/models/{name}",status="200"' in page
    assert "secret" not in page
    assert "relata_http_requests_active 1.0" in page
