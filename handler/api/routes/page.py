"""GET /: a chat page for a person to try the endpoint. One file, no build step, nothing from elsewhere."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Response

_PAGE = Path(__file__).parent.parent / "page.html"


def page_router() -> APIRouter:
    router = APIRouter()

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page() -> Response:
        html = _PAGE.read_text(encoding="utf-8")
        headers = {"content-security-policy": content_security_policy(html), "referrer-policy": "no-referrer"}
        return Response(html, media_type="text/html", headers=headers)

    return router


def content_security_policy(html: str) -> str:
    """Only the page's own script and style, by their hashes, and only this server to talk to."""
    script, style = (_hash(html, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(html: str, tag: str) -> str:
    match = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    text = match[1] if match else ""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
