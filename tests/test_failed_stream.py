"""An answer that breaks off on Lambda: the application and the Runtime API loop together tell it."""

import json

from handler.api.app import create_app
from tests.aws.fake_runtime_api import function_url
from tests.aws.test_streaming import answers
from tests.fakes import ScriptedDecoder, chat_service

BODY = {"model": "fake-model", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


async def test_a_failure_in_mid_stream_is_an_error_event_and_then_trailers() -> None:
    broken = create_app({"fake-model": chat_service(ScriptedDecoder("Hello.", fail_at=3))})
    event = function_url(method="POST", path="/v1/chat/completions", body=json.dumps(BODY))
    post, next_post = await answers(broken, event, function_url(path="/health"))
    assert json.loads(post.chunks[-1].removeprefix(b"data: ")).keys() == {"error"}
    assert b"[DONE]" not in post.body
    assert post.trailers["Lambda-Runtime-Function-Error-Type"] == "StreamFailed"
    assert not next_post.trailers
