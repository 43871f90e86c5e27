"""A buffered function answer → HTTP status, headers and body, as a Function URL infers them. No I/O."""

import base64
import binascii
import json

from lambda_local.prelude import Prelude, PreludeError, prelude_from


def read_response(payload: bytes) -> tuple[Prelude, bytes]:
    """Status, headers and body of a buffered answer. Raises PreludeError where it cannot be an HTTP answer.

    JSON without a `statusCode` is itself the body of a 200, as AWS documents.
    """
    try:
        answer = json.loads(payload)
    except ValueError:
        raise PreludeError("the function's answer is not JSON") from None
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Prelude(headers={"content-type": "application/json"}), payload
    prelude = prelude_from(answer)
    body = answer.get("body")
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    try:
        raw = base64.b64decode(text, validate=True) if answer.get("isBase64Encoded") else text.encode()
    except binascii.Error:
        raise PreludeError("isBase64Encoded is true and the body is not base64") from None
    headers = {"content-type": "application/json", **prelude.headers}
    headers.pop("content-length", None)
    if prelude.status not in (204, 304):
        headers["content-length"] = str(len(raw))
    return Prelude(status=prelude.status, headers=headers, cookies=prelude.cookies), raw
