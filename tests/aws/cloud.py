"""AWS on this machine: moto as a server of its own, asked by the real boto3 over HTTP."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

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


@contextmanager
def cloud() -> Iterator[Cloud]:
    """An empty account."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        httpx.post(f"{url}/moto-api/reset").raise_for_status()  # what another server of this process was told
        yield Cloud(url=url)
    finally:
        server.stop()
