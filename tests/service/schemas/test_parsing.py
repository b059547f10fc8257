from typing import Any

import pytest

from service.errors import InvalidRequest, MalformedBody
from service.schemas.examples import infer_relations_example
from service.schemas.jobs import RetrainRequest
from service.schemas.parsing import decode_json, parse
from service.schemas.requests import ForecastRequest, InferRelationsRequest


def refusal(model: Any, payload: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(model, payload)
    return caught.value


class TestDecode:
    def test_says_where_it_stopped_reading(self) -> None:
        with pytest.raises(MalformedBody, match=r"^line 2, column 3: "):
            decode_json(b'{"a": 1,\n  b}')

    def test_tells_not_finite_from_not_json(self) -> None:
        for text in (b"[NaN]", b"[1, -Infinity]", b"[1e999]", b'{"a":Infinity}'):
            with pytest.raises(MalformedBody) as caught:
                decode_json(text)
            assert caught.value.code == "not-finite"
        with pytest.raises(MalformedBody) as caught:
            decode_json(b"[Nancy]")
        assert caught.value.code in ("bad-json", "not-finite")

    def test_refuses_millions_of_lists_before_it_makes_them(self) -> None:
        with pytest.raises(InvalidRequest) as caught:
            decode_json(b"[" + b"[]," * 1_000_000 + b"[]]")
        assert caught.value.code == "cost-over-limit"


class TestParse:
    def test_says_what_stands_there_and_what_should(self) -> None:
        error = refusal(InferRelationsRequest, infer_relations_example() | {"estimator": 3})
        assert error.pointer == "/estimator"
        assert error.detail == "found an integer, expected 'posterior' or 'prior'"

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"horizon": 0}, "found an integer, expected at least 1"),
            ({"horizon": 1.5}, "found a number, expected an integer"),
            ({"horizon": 2**63, "seed": 2**63}, f"found an integer, expected at most {2**63 - 1}"),
            ({"quantiles": [1]}, "found an integer, expected less than 1"),
            ({"quantiles": ["a"]}, "found a string, expected a number"),
            ({"outputs": []}, "found an array, expected a length of at least 1"),
            ({"trajectory": []}, "found an array, expected an object"),
            ({"model": "../x"}, "found a string, expected a name"),
            ({"numSamples": 3}, "found an integer, expected no such field"),
            ({"trajectory": None}, "found an object, expected exactly one of "),
        ],
    )
    def test_speaks_of_json_and_not_of_python(self, changes: Any, detail: str) -> None:
        body = infer_relations_example() | {"horizon": 1} | changes
        del body["estimator"]
        assert refusal(ForecastRequest, body).detail.startswith(detail)

    def test_names_a_missing_member_inside(self) -> None:
        body = infer_relations_example()
        del body["trajectory"]["entities"]
        error = refusal(InferRelationsRequest, body)
        assert (error.code, error.pointer) == ("missing-field", "/trajectory/entities")
        assert error.detail.startswith("found nothing")

    def test_points_at_the_value_and_not_at_one_of_the_choices(self) -> None:
        forced = {"source": "a", "target": "b", "type": None}
        body = infer_relations_example() | {"horizon": 1, "relations": [forced]}
        del body["estimator"]
        error = refusal(ForecastRequest, body)
        assert {finding.pointer for finding in error.findings} == {"/relations/0/type"}

    def test_does_not_point_at_a_member_whose_name_is_no_word(self) -> None:
        error = refusal(InferRelationsRequest, infer_relations_example() | {"<script>": 1})
        assert (error.code, error.pointer) == ("unknown-field", "")

    def test_stops_at_the_first_bad_item_of_a_list(self) -> None:
        body = infer_relations_example()
        body["trajectory"]["entities"] = [1] * 5000
        assert len(refusal(InferRelationsRequest, body).findings) == 1

    def test_needs_one_source_for_a_retraining(self) -> None:
        assert refusal(RetrainRequest, {"name": "a"}).code == "one-source"
        both = {"name": "a", "experiment": "push3", "dataset": "mine"}
        assert refusal(RetrainRequest, both).code == "one-source"
