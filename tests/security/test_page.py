"""The chat page shows text as text, keeps nothing and cannot be framed; nothing else is served for a browser to run."""

import re

import httpx
import pytest

WAYS_TO_RUN_TEXT = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "Function(",
    "srcdoc",
    "javascript:",
    "createContextualFragment",
    "DOMParser",
    "setHTML",
)
WAYS_TO_KEEP_A_KEY = ("localStorage", "sessionStorage", "indexedDB", "document.cookie", "caches", "serviceWorker")


async def test_the_page_puts_answers_in_as_text_and_keeps_no_key(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    assert [way for way in (*WAYS_TO_RUN_TEXT, *WAYS_TO_KEEP_A_KEY) if way in page] == []
    assert not re.search(r"\son[a-z]+\s*=", page)  # no handlers in attributes
    assert 'type="password" autocomplete="off"' in page


async def test_the_pages_policy_allows_its_own_script_and_nothing_else(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    rules = dict(rule.strip().split(" ", 1) for rule in headers["content-security-policy"].split(";"))
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules.pop("script-src"))
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules.pop("style-src"))
    assert rules == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")


@pytest.mark.parametrize("path", ["/<script>alert(1)</script>", "/v1/models/<img src=x onerror=alert(1)>"])
async def test_what_an_error_repeats_is_json_and_never_a_page(path: str, client: httpx.AsyncClient) -> None:
    answered = await client.get(path, headers={"accept": "text/html"})
    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["x-content-type-options"] == "nosniff"
