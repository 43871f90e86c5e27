"""The fault table: what goes wrong, and how it ends. Each row is a test, and a line of docs/faults.md."""

import signal

from tests.aws.store.faulty_s3 import cut, flipped, refusal
from tests.faults.asking import LONG, PARIS, Ending, Json
from tests.faults.injections import (
    ABSENT,
    STREAMED,
    asking,
    at_once,
    changed,
    crowding,
    frozen,
    leaving,
    leaving_early,
    raw,
    reading_slowly,
    signalled,
)
from tests.faults.row import Row
from tests.faults.stage import Place
from tests.faults.worlds import a_thousand_keys, in_s3, with_secret

CUT = Ending(status=200, whole=False)
UNREAD = Ending(status=None, whole=False)
BAD_GATEWAY = Ending(status=502)
LENGTH = Ending(status=200, finish_reason="length")
STOP = Ending(status=200, finish_reason="stop")
LATE = Ending(status=504, code="deadline_exceeded")
TOO_LONG = Ending(status=400, code="context_length_exceeded")
TOO_LARGE = Ending(status=413, code="request_too_large")
NO_ROOM = Ending(status=503, code="out_of_memory")
INVALID = Ending(status=400, code="invalid_value")
INVALID_JSON = Ending(status=400, code="invalid_json")
UNAUTHORIZED = Ending(status=401, code="invalid_api_key")
UNSUPPORTED = Ending(status=None, code="UnsupportedEvent")


def both_modes(ending: Ending) -> dict[Place, Ending]:
    return {"stream": ending, "buffered": ending}


def said(text: str) -> Json:
    return PARIS | {"messages": [{"role": "user", "content": text}]}


STRINGS = {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2000}
SCHEMA = {"type": "object", "properties": {"a": STRINGS}, "required": ["a"], "additionalProperties": False}
TIMELESS = {name: value for name, value in STREAMED.items() if name != "ignore_eos"}
ARRAY = TIMELESS | {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
CALL = TIMELESS | {"tools": [TOOL], "tool_choice": "required"}
PROMPT = said("Why? " * 3500)
# Each step makes eight chunks of three kilobytes.
LARGE = STREAMED | {"n": 8, "logprobs": True, "top_logprobs": 20, "max_completion_tokens": 250}

# Enough for the default model and one long answer beside it.
MEMORY_MB = 600

TABLE: tuple[Row, ...] = (
    Row(
        fault="killed in the middle of a stream",
        injected="SIGKILL after five events",
        inject=signalled(signal.SIGKILL),
        endings={"stream": CUT, "managed": CUT},
        log=("Runtime exited with signal: kill",),
        process="a new one",
    ),
    Row(
        fault="killed while it computes a whole answer",
        injected="SIGKILL half a second after the request",
        inject=signalled(signal.SIGKILL, LONG),
        endings={"stream": BAD_GATEWAY, "buffered": BAD_GATEWAY},
        log=("Runtime exited with signal: kill",),
        process="a new one",
    ),
    Row(
        fault="client gone",
        injected="the connection is closed after five events of a stream",
        inject=leaving_early(),
        endings={"stream": UNREAD, "managed": UNREAD, "laptop": UNREAD},
        log=({"path": "/v1/chat/completions", "disconnected": True},),
    ),
    Row(
        fault="client gone, while a whole answer is computed",
        injected="the connection is closed half a second after the request",
        inject=leaving(LONG | {"max_completion_tokens": 100}),
        endings={"stream": UNREAD, "buffered": UNREAD},
        log=({"path": "/v1/chat/completions", "completion_tokens": 100},),
    ),
    Row(
        fault="told to stop, in the middle of a stream",
        injected="SIGTERM after five events",
        inject=signalled(signal.SIGTERM),
        endings={"stream": CUT, "managed": CUT, "laptop": CUT},
        process="exits 0",
    ),
    Row(
        fault="Ctrl-C in the middle of a stream",
        injected="SIGINT after five events",
        inject=signalled(signal.SIGINT),
        endings={"laptop": CUT},
        process="exits 0",
    ),
    Row(
        fault="slow client",
        injected="one byte a second is read of eight answers that make half a megabyte a second; another client asks",
        inject=reading_slowly(LARGE, 4),
        endings={"managed": STOP, "laptop": STOP},
        log=({"path": "/v1/chat/completions", "disconnected": True},),
    ),
    *(
        Row(
            fault=f"the time is up: {what}",
            injected=f"{body_says} in a function that may run for 6 s",
            inject=inject,
            endings=endings,
            log=({"path": "/v1/chat/completions", **log},),
            limit=6.0,
        )
        for what, body_says, inject, endings, log in (
            (
                "a long answer, streamed",
                "two thousand tokens",
                asking(STREAMED),
                both_modes(LENGTH),
                {"finish_reason": "length"},
            ),
            (
                "a long answer, whole",
                "the same, not streamed",
                asking(LONG),
                both_modes(LENGTH),
                {"finish_reason": "length"},
            ),
            (
                "four choices",
                "the same with `n` = 4",
                asking(STREAMED | {"n": 4}),
                {"stream": LENGTH},
                {"finish_reason": "length"},
            ),
            (
                "a JSON schema",
                "an array of two thousand strings",
                asking(ARRAY),
                {"stream": LENGTH},
                {"finish_reason": "length"},
            ),
            (
                "a call",
                "a call with such an array for its argument",
                asking(CALL),
                {"stream": LENGTH},
                {"finish_reason": "length"},
            ),
            (
                "a long prompt, streamed",
                "seven thousand tokens to be read",
                asking(PROMPT | {"stream": True}),
                {"stream": LENGTH},
                {"finish_reason": "length"},
            ),
            (
                "a long prompt, whole",
                "the same, not streamed",
                asking(PROMPT),
                {"stream": LATE, "buffered": LATE},
                {"status": 504},
            ),
            (
                "four clients at once",
                "four such answers together",
                at_once(4, STREAMED),
                {"managed": LENGTH},
                {"finish_reason": "length"},
            ),
            (
                "before it began",
                "a process that stands still for 5 s",
                frozen(5.0, PARIS),
                {"stream": LATE, "buffered": LATE},
                {"status": 504},
            ),
        )
    ),
    Row(
        fault="no disk",
        injected="no file can be written (`ulimit -f 0`), and there is no directory for temporary ones",
        inject=asking(PARIS),
        endings={"stream": STOP, "buffered": STOP, "laptop": STOP},
        settings={"TMPDIR": "/nowhere"},
        wrapper=("sh", "-c", '(ulimit -f 0; exec "$@") 2>&1 | cat', "sh"),
    ),
    Row(
        fault="a body of almost 6 MB",
        injected="a message of 5.9 MB",
        inject=asking(said("x " * 2_950_000)),
        endings={"stream": TOO_LONG, "buffered": TOO_LONG, "laptop": TOO_LONG},
        log=({"path": "/v1/chat/completions", "status": 400},),
    ),
    Row(
        fault="a body of more than 6 MB",
        injected="a message of 6.3 MB; Lambda itself refuses it before the function is asked",
        inject=asking(said("x " * 3_150_000)),
        endings={"stream": Ending(status=413), "buffered": Ending(status=413), "laptop": TOO_LARGE},
    ),
    Row(
        fault="a body of more than the setting allows",
        injected="a message of 3 kB where `LLM_MAX_BODY_BYTES` is 2048",
        inject=asking(said("x " * 1500)),
        endings={"stream": TOO_LARGE, "buffered": TOO_LARGE},
        log=({"path": "/v1/chat/completions", "status": 413},),
        settings={"LLM_MAX_BODY_BYTES": "2048"},
    ),
    Row(
        fault="memory: what can never fit",
        injected=f"a prompt of five thousand tokens where the process has {MEMORY_MB} MB",
        inject=asking(said("word " * 5000)),
        endings={"stream": TOO_LONG, "buffered": TOO_LONG, "laptop": TOO_LONG},
        log=({"path": "/v1/chat/completions", "status": 400},),
        settings={"LLM_MEMORY_MB": str(MEMORY_MB)},
    ),
    Row(
        fault="memory: what does not fit beside others",
        injected=f"four answers of up to 1,500 tokens at once where the process has {MEMORY_MB} MB",
        inject=crowding(4, LONG | {"max_completion_tokens": 1500}),
        endings={"managed": NO_ROOM, "laptop": NO_ROOM},
        log=({"path": "/v1/chat/completions", "status": 503},),
        settings={"LLM_MEMORY_MB": str(MEMORY_MB)},
    ),
    Row(
        fault="woken from a snapshot",
        injected="SnapStart's restore before the first request",
        inject=asking(PARIS),
        endings={"stream": STOP, "buffered": STOP},
        snapstart=True,
    ),
    *(
        Row(
            fault=f"S3: {what}, and then all is well",
            injected="while the weights are read, at the start",
            inject=asking(PARIS),
            endings={"stream": STOP},
            world=in_s3(once=(fault, fault)),
        )
        for what, fault in (
            ("500 twice", refusal(500, "InternalError")),
            ("throttled twice", refusal(503, "SlowDown")),
            ("cut off twice", cut(1000)),
            ("a bit flipped twice", flipped(1000)),
        )
    ),
    *(
        Row(
            fault=f"S3: {what}",
            injected="at every read of the weights; the operator then puts it right",
            inject=asking(PARIS),
            endings={"stream": BAD_GATEWAY, "buffered": BAD_GATEWAY},
            log=("model.onnx.data", "Status: error"),
            process="a new one",
            world=in_s3(always=fault),
        )
        for what, fault in (
            ("a bit stays flipped", flipped(1000)),
            ("nobody may read", refusal(403, "AccessDenied")),
        )
    ),
    Row(
        fault="the secret is missing",
        injected="`LLM_API_KEYS_FROM` names a secret that is not there; the operator then creates it",
        inject=asking(PARIS),
        endings={"stream": BAD_GATEWAY, "buffered": BAD_GATEWAY},
        log=("The keys in secretsmanager:keys cannot be read: ResourceNotFoundException",),
        process="a new one",
        world=with_secret(there=False),
    ),
    Row(
        fault="the secret is rotated",
        injected="the client's key is not in it; then it holds that one, without a deployment",
        inject=asking(PARIS),
        endings={"stream": UNAUTHORIZED, "buffered": UNAUTHORIZED},
        log=({"path": "/v1/chat/completions", "status": 401},),
        world=with_secret(there=True),
    ),
    Row(
        fault="a thousand keys",
        injected="in two secrets; a client without a key, and then the one with the last",
        inject=asking(PARIS),
        endings={"stream": UNAUTHORIZED, "buffered": UNAUTHORIZED},
        log=({"path": "/v1/chat/completions", "status": 401},),
        world=a_thousand_keys,
    ),
    *(
        Row(
            fault=f"event: {what}",
            injected="as it says, through AWS's Runtime Interface Emulator",
            inject=raw(event),
            endings={"rie": streamed, "rie-buffered": buffered},
        )
        for what, event, streamed, buffered in (
            ("not JSON", b'{"version": "2.0", ', UNSUPPORTED, Ending(status=None, code="Runtime.UnmarshalError")),
            ("not an object", b"[1, 2]", UNSUPPORTED, UNSUPPORTED),
            ("null", b"null", UNSUPPORTED, UNSUPPORTED),
            ("deep", b"[" * 100_000, UNSUPPORTED, Ending(status=None, code="Runtime.UnmarshalError")),
            ("of an unknown source", b'{"Records": []}', UNSUPPORTED, UNSUPPORTED),
            ("without its request context", changed(requestContext=ABSENT), UNSUPPORTED, UNSUPPORTED),
            ("with an empty request context", changed(requestContext={}), UNSUPPORTED, UNSUPPORTED),
            (
                "with numbers for texts",
                changed(rawPath=1, rawQueryString=2, headers={"host": 3}),
                UNSUPPORTED,
                UNSUPPORTED,
            ),
            ("with a list for headers", changed(headers=["a"]), UNSUPPORTED, UNSUPPORTED),
            ("with null for headers", changed(headers=None), STOP, STOP),
            ("with an IPv6 host", changed(headers={"host": "[::1]:8080"}), STOP, STOP),
            ("with ten thousand headers", changed(headers={f"x-{n}": "y" for n in range(10_000)}), STOP, STOP),
            ("with a header of a megabyte", changed(headers={"x": "y" * 2**20}), STOP, STOP),
            ("with null for its body", changed(body=None), INVALID_JSON, INVALID_JSON),
            ("with a number for its body", changed(body=1), UNSUPPORTED, UNSUPPORTED),
            ("text that it calls base64", changed(isBase64Encoded=True), INVALID, INVALID),
            (
                "base64 that it calls text",
                changed(body="eyJhIjogMX0=", isBase64Encoded=False),
                INVALID_JSON,
                INVALID_JSON,
            ),
            ("with a body that is not UTF-8", changed(body="/w==", isBase64Encoded=True), INVALID_JSON, INVALID_JSON),
            ("with a lone surrogate", changed(body="\ud800"), INVALID, INVALID),
        )
    ),
)
