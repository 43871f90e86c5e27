"""Our own Runtime API loop around the application with one key and a scripted model. Run as a program."""

import asyncio
import os

from handler.api.app import ApiConfig
from handler.aws.loop import serve_streaming
from handler.key_list import key_ring, read_key_list
from handler.keys import StaticKeys
from tests.api.conftest import make_app

KEY = "sk-the-only-key-there-is"

if __name__ == "__main__":
    ring = key_ring(read_key_list(KEY, where="a test"), where="a test")
    app = make_app(config=ApiConfig(keys=StaticKeys(ring)))
    asyncio.run(serve_streaming(app, runtime_api=os.environ["AWS_LAMBDA_RUNTIME_API"]))
