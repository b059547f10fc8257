import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.schemas.answers import ForecastAnswer, ProblemAnswer, RelationsAnswer
from service.schemas.parsing import parse
from service.schemas.requests import ForecastRequest, InferRelationsRequest


@pytest.fixture
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


class TestOpenApi:
    def test_is_version_3_1_and_has_every_call(self, document: Any) -> None:
        assert document["openapi"].startswith("3.1")
        assert {
            "/infer-relations",
            "/forecast",
            "/v1/infer-relations",
            "/v1/forecast",
            "/v1/jobs",
            "/v1/models",
            "/v1/models/{name}",
            "/v1/models/{name}/{version}",
            "/v1/models/{name}/aliases/{alias}",
            "/livez",
            "/readyz",
            "/metrics",
        } <= set(document["paths"])

    def test_every_reference_leads_somewhere(self, document: Any) -> None:
        names = set(re.findall(r"#/components/schemas/([A-Za-z0-9_.-]+)", str(document)))
        assert names <= set(document["components"]["schemas"])

    def test_examples_are_requests_and_answers(self, document: Any) -> None:
        kinds: list[tuple[str, Any, Any]] = [
            ("/infer-relations", InferRelationsRequest, RelationsAnswer),
            ("/forecast", ForecastRequest, ForecastAnswer),
        ]
        for path, request, answer in kinds:
            call = document["paths"][path]["post"]
            sent = call["requestBody"]["content"]["application/json"]["examples"]
            given = call["responses"]["200"]["content"]["application/json"]["examples"]
            parse(request, sent["example"]["value"])
            answer.model_validate(given["example"]["value"], strict=True)

    def test_every_problem_of_the_main_calls_has_an_example(self, document: Any) -> None:
        responses = document["paths"]["/forecast"]["post"]["responses"]
        for status in ("400", "404", "406", "413", "415", "422", "503", "504"):
            content = responses[status]["content"]["application/problem+json"]
            for example in content["examples"].values():
                assert ProblemAnswer.model_validate(example["value"]).status == int(status)


class TestPages:
    def test_the_example_in_the_document_works_as_it_stands(
        self, client: TestClient, document: Any
    ) -> None:
        for path in ("/infer-relations", "/forecast"):
            content = document["paths"][path]["post"]["requestBody"]["content"]
            body = content["application/json"]["examples"]["example"]["value"]
            assert client.post(path, json=body).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/docs"])
    def test_load_nothing_from_elsewhere(self, client: TestClient, path: str) -> None:
        page = client.get(path)
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)
        links = re.findall(r"(?:src|href)=\"(/(?:docs/assets|console)/[^\"]+)\"", page.text)
        assert len(links) >= 3
        for link in links:
            asset = client.get(link)
            assert (asset.status_code, bool(asset.content)) == (200, True)

    def test_have_no_inline_script_or_style(self, client: TestClient) -> None:
        for path in ("/", "/docs"):
            text = client.get(path).text
            assert not re.search(r"<script(?![^>]*\bsrc=)", text)
            assert "<style" not in text
            assert "style=" not in text
            assert not re.search(r"\son\w+=", text)

    @pytest.mark.parametrize("path", ["/docs/assets/x.js", "/console/..%2fapp.py", "/console/x"])
    def test_give_no_other_files(self, client: TestClient, path: str) -> None:
        assert client.get(path).status_code == 404
