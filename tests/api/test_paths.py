"""What of a request's first line may be logged."""

import pytest

from handler.api.paths import MODEL, PATHS, known_method, known_path
from tests.api.conftest import make_app


def test_the_known_paths_are_those_of_the_application() -> None:
    served = {route.path for included in make_app().routes for route in included.original_router.routes}
    assert served == PATHS | {"/v1/models/{name:path}"}
    assert known_path("/v1/models/org/name") == MODEL


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/chat/completions/", "/secret", "//", "", "/v1/modelsecret"])
def test_any_other_path_is_the_callers_text(path: str) -> None:
    assert known_path(path) == "other"


def test_a_method_is_one_of_https_own() -> None:
    assert [known_method(method) for method in ("POST", "post", "SECRET")] == ["POST", "other", "other"]
