"""What Lambda knows of a function before it runs: its configuration, and the variables its runtime starts with."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambda_local.event import ACCOUNT_ID
from lambda_local.invocation import OnLeave

SNAPSHOT_INIT_LIMIT = 130.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function's configuration. Times in seconds; memory is announced to the runtime and not enforced.

    `at_once`: how many invocations one process is given at the same time, as on Lambda Managed Instances if above 1.
    """

    command: Sequence[str]
    timeout: float = 60.0
    init_timeout: float = 10.0
    memory_mb: int = 1769
    name: str = "lambda-llm"
    region: str = "us-east-1"
    env: Mapping[str, str] = field(default_factory=dict)
    snapstart: bool = False
    at_once: int = 1
    on_leave: OnLeave = "break"

    @property
    def arn(self) -> str:
        """Of the function, in a fictional account."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.name}"

    @property
    def init_limit(self) -> float:
        """Seconds for Init. Before a snapshot Lambda gives longer."""
        return max(SNAPSHOT_INIT_LIMIT, self.timeout) if self.snapstart else self.init_timeout

    def variables(self, runtime_api: str) -> dict[str, str]:
        """The runtime's whole environment."""
        return {
            **os.environ,
            "AWS_EXECUTION_ENV": "AWS_Lambda_Image",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": self.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start" if self.snapstart else "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_RUNTIME_API": runtime_api,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            **({} if self.at_once == 1 else {"AWS_LAMBDA_MAX_CONCURRENCY": str(self.at_once)}),
            "LAMBDA_TASK_ROOT": str(Path.cwd()),
            "_HANDLER": "handler",
            **self.env,
        }
