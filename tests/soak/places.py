"""Where a soak happens: the fault table's stages, and a transport that speaks to the one that takes events."""

import json

import httpx

from lambda_local.event import HttpRequest, Stamp, function_url_event
from lambda_local.response import read_response
from tests.faults.stage import PATIENCE, Place, Setup, Stage
from tests.soak.client import KEY

# What grows has to be a leak. So the cache is full after a few dozen requests, and glibc's allocator gives back what is
# free (man mallopt): as it comes, it keeps tens of megabytes of freed KV in one heap for each thread, ever more of it.
SETTINGS = (
    ("LLM_API_KEYS", KEY),
    ("LLM_PREFIX_CACHE_MB", "16"),
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", str(64 * 1024)),
    ("MALLOC_TRIM_THRESHOLD_", str(64 * 1024)),
)
# Share of the requests, and how many at once.
PLACES: dict[Place, tuple[float, int]] = {"stream": (0.45, 1), "managed": (0.4, 4), "rie-buffered": (0.15, 1)}


def setup(place: Place) -> Setup:
    return Setup(place=place, settings=SETTINGS)


class Events(httpx.BaseTransport):
    """HTTP requests as a Function URL's events, through AWS's Runtime Interface Emulator."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.lower(), value) for name, value in request.headers.items()]
        http = HttpRequest(method=request.method, target=request.url.path, headers=headers, body=request.read())
        event = function_url_event(http, Stamp(), region="us-east-1")
        prelude, body = read_response(self._stage.invoke(json.dumps(event).encode()))
        return httpx.Response(prelude.status, headers=prelude.headers, stream=httpx.ByteStream(body))


def client(stage: Stage) -> httpx.Client:
    if stage.setup.is_rie:
        return httpx.Client(base_url=stage.url, transport=Events(stage), timeout=PATIENCE)
    return httpx.Client(base_url=stage.url, timeout=PATIENCE)
