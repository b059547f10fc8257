import pytest

from service.api.media import check_content, choose, prefers_async
from service.errors import NotAcceptable, UnsupportedMedia

OFFERED = ("application/json", "text/csv")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/*", "text/csv"),
        ("text/html, text/csv;q=0.5", "text/csv"),
        ("application/json;q=0.1, text/csv;q=0.2", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/csv;q=oops, application/json", "application/json"),
    ],
)
def test_the_caller_gets_what_it_likes_best(accept: str | None, chosen: str) -> None:
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize("accept", ["image/png", "application/json;q=0", "*/*;q=0"])
def test_what_cannot_be_given_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        choose(accept, OFFERED)


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=UTF-8", "application/geo+json"]
)
def test_json_by_any_name_is_read(media: str) -> None:
    check_content({"content-type": media})


@pytest.mark.parametrize("media", ["", "text/json", "json", "multipart/form-data"])
def test_anything_else_is_not(media: str) -> None:
    with pytest.raises(UnsupportedMedia):
        check_content({"content-type": media})


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("wait=10, respond-async; x=1", True),
        ("wait=10", False),
        ("respond-async-not", False),
        ("", False),
    ],
)
def test_a_job_is_for_those_who_prefer_one(prefer: str, wanted: bool) -> None:
    assert prefers_async({"prefer": prefer}) is wanted
