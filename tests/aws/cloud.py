"""AWS on this machine: moto behind HTTP, asked by the real boto3.

AWS compares and writes an item in one step. moto does the one after the other, so here it does one request at a time.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """`environment` is what makes a process ask it."""

    url: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}

    def client(self, service: str, region: str = REGION) -> Any:
        """An operator's client, not the product's."""
        credentials = {name.lower(): value for name, value in CREDENTIALS.items()}
        return boto3.session.Session(region_name=region, **credentials).client(service, endpoint_url=self.url)

    def create_quota_table(self, name: str = "quotas") -> None:
        """The table of the limits of keys, as template.yaml has it."""
        self.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "counter", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "counter", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


@contextmanager
def cloud() -> Iterator[Cloud]:
    """An empty account."""
    moto = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with one_at_a_time:
            return [b"".join(moto(environ, start_response))]

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        httpx.post(f"{url}/moto-api/reset").raise_for_status()  # what another server of this process was told
        yield Cloud(url=url)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
