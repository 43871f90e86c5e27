"""Clients of AWS services for small questions that a start or a request waits for: short time limits, few attempts.

boto3 is imported with the first one: a process that asks AWS nothing does without.
"""

import threading
from typing import Any

CONNECT_SECONDS = 1
READ_SECONDS = 2


class Clients:
    """Makes each client once, by service and region (None: the process's own). Thread-safe.

    `attempts`: how often a question is put at most, where an answer fails to come.
    """

    def __init__(self, *, attempts: int = 2) -> None:
        self._attempts = attempts
        self._lock = threading.Lock()  # boto3's sessions are for one thread at a time, its clients for many
        self._clients: dict[tuple[str, str | None], Any] = {}

    def get(self, service: str, region: str | None = None) -> Any:
        """Raises botocore's NoRegionError where none is named anywhere."""
        with self._lock:
            key = (service, region)
            if key not in self._clients:
                import boto3
                from botocore.config import Config

                config = Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"mode": "standard", "total_max_attempts": self._attempts},
                )
                # A session of its own: the default one would keep the credentials of a snapshot.
                self._clients[key] = boto3.session.Session().client(service, region_name=region, config=config)
            return self._clients[key]

    def drop(self) -> None:
        """Forgets connections and credentials: those in a restored snapshot are dead or old."""
        with self._lock:
            self._clients.clear()
