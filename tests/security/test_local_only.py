"""What is for this machine is reached from this machine only."""

import socket
import sys

from handler.settings import Settings
from lambda_local.function import Function
from lambda_local.function_url import FunctionUrl


def test_the_laptops_server_listens_on_this_machine_unless_told_otherwise() -> None:
    assert Settings.model_fields["host"].default == "127.0.0.1"


async def test_the_local_function_url_listens_on_this_machine_and_cannot_be_told_otherwise() -> None:
    function = Function(command=[sys.executable, "-c", "pass"], timeout=5)
    async with FunctionUrl(function, log=lambda _line: None) as url:
        port = int(url.base_url.rpartition(":")[2])
        assert url.base_url == f"http://127.0.0.1:{port}"
        # Were it open to the network, the port would be taken on every other address of this machine too.
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))
