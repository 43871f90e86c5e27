"""The only reader of the environment: settings with the prefix `LLM_`. A mistyped one is an error.

Lambda's own variables (`AWS_LAMBDA_…`) are read here too, once, so that nothing else looks at the environment.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator

from handler.errors import ConfigurationError
from handler.location import Location, NamedLocation, parse_location, parse_named_locations
from handler.secret_place import FORM, SecretPlace, parse_secret_place

PREFIX = "LLM_"
_LAMBDA_PREFIX = "AWS_LAMBDA_"

_Location = Annotated[Location, BeforeValidator(parse_location)]


def _secret_places(value: object) -> object:
    """Raises ValueError for a text without a place: meant to hold keys, it must not mean none."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    return tuple(parse_secret_place(part) for part in parts or [""])


class Settings(BaseModel):
    """What an operator can choose. Every field is `LLM_` + its name in upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: _Location = Field(
        default=Path("/opt/model"), description="directory of an exported model, or `s3://BUCKET/PREFIX@sha256:DIGEST`"
    )
    model_alias: tuple[str, ...] = Field(
        default=(), description="further ids to serve the model under, comma-separated"
    )
    embedding_model: _Location | None = Field(
        default=None, description="directory or `s3://…` of an exported embedding model, served beside the other"
    )
    embedding_model_alias: tuple[str, ...] = Field(
        default=(), description="further ids to serve the embedding model under, comma-separated"
    )
    models: Annotated[tuple[NamedLocation, ...], BeforeValidator(parse_named_locations)] = Field(
        default=(),
        description="further models, loaded on first use: locations or NAME=LOCATION, comma-separated",
    )
    models_mb: int = Field(
        default=0, ge=0, description="memory for loaded models, idle ones are dropped; 0: what there is beside answers"
    )
    memory_mb: int = Field(
        default=0,
        ge=0,
        description="memory of the process; 0: the Lambda function's, else the container's or machine's",
    )
    mode: Literal["stream", "buffered"] = Field(
        default="stream", description="how answers leave Lambda: our Runtime API loop, or Mangum under awslambdaric"
    )
    api_keys: SecretStr | None = Field(
        default=None,
        description="accepted keys, comma-separated, or a list as in a secret; none: open (refused on a public URL)",
    )
    api_keys_from: Annotated[tuple[SecretPlace, ...], BeforeValidator(_secret_places)] = Field(
        default=(), description=f"where such a list is kept, comma-separated where there are several: {FORM}"
    )
    api_keys_ttl: int = Field(
        default=300, ge=1, description="seconds after which the keys kept there are fetched again"
    )
    quota_table: str | None = Field(
        default=None,
        description="DynamoDB table where the limits of keys are counted; none: in the process (refused on Lambda)",
    )
    public: bool = Field(default=False, description="the URL is reachable by anyone: refuse to start without a key")
    host: str = Field(default="127.0.0.1", description="address of the local server")
    port: int = Field(default=8000, ge=1, le=65535, description="port of the local server")
    threads: int = Field(default=0, ge=0, le=64, description="threads of one decode step; 0: one per vCPU")
    prefix_cache_mb: int = Field(
        default=256, ge=0, description="memory for the KV of earlier answers, for prompts that begin alike; 0: none"
    )
    prefix_cache_answers: bool = Field(
        default=False, description="go on from generated tokens too: later turns begin sooner, near-ties may differ"
    )
    max_body_bytes: int = Field(default=6 * 1024 * 1024, gt=0, description="larger request bodies are answered 413")
    max_concurrency: int = Field(default=8, ge=1, le=1024, description="answers in flight; above it 429")
    batching: bool = Field(
        default=True,
        description="answers in flight share decode steps (with a seed: where that changes no bit); false: turns",
    )
    max_prompt_tokens: int = Field(default=0, ge=0, description="longer prompts are answered 400; 0: the window")
    max_output_tokens: int = Field(default=0, ge=0, description="a cap on every answer's length; 0: the window")
    max_seconds: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="an answer ends this long after its request came; 0: when the Lambda's time is nearly up",
    )
    max_choices: int = Field(default=8, ge=1, le=128, description="the largest n that a request may ask for")
    speculation: bool = Field(
        default=True, description="guess ahead what an answer repeats; the answer is the same, and comes sooner"
    )
    unknown_fields: Literal["reject", "drop"] = Field(
        default="reject", description="what to do with request keys that nobody defines; drop lists them in a header"
    )
    deadline_margin_ms: int = Field(
        default=1500, ge=0, description="an answer ends this long before the Lambda's time is up"
    )
    cors_origins: tuple[str, ...] = Field(
        default=("*",), description="origins that browsers may call from, comma-separated; none: no CORS headers"
    )
    price_gb_second: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="USD for a second of 1 GB; absent: on Lambda the price of us-east-1 for this architecture",
    )
    price_request: float | None = Field(
        default=None, ge=0, allow_inf_nan=False, description="USD for one request; absent: on Lambda 0.0000002"
    )
    report_cost: bool = Field(
        default=False, description="tell callers what their requests cost: `usage.cost`, and the header x-cost-usd"
    )
    metrics: Literal["none", "emf"] = Field(
        default="none", description="emf: the log line of a request is one that CloudWatch reads metrics from"
    )
    metrics_namespace: str = Field(default="LambdaLLM", description="the namespace of the metrics")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def has_keys(self) -> bool:
        """Whether a request needs a key."""
        return self.api_keys is not None or bool(self.api_keys_from)

    @field_validator("model_alias", "embedding_model_alias", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


class LambdaEnvironment(BaseModel):
    """What Lambda tells its runtime; absent on a laptop. Every field is `AWS_LAMBDA_` + its name in upper case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime_api: str | None = Field(default=None, description="host:port of the Runtime API")
    initialization_type: str | None = Field(default=None, description="on-demand, provisioned-concurrency, snap-start")
    max_concurrency: int = Field(default=1, ge=1, description="invocations at once in one process (Managed Instances)")
    function_name: str | None = None
    function_memory_size: int | None = Field(default=None, gt=0, description="the function's memory in MB")

    @property
    def side_by_side(self) -> bool:
        """Whether a request can come while another one is answered: everywhere but in an ordinary function."""
        return self.runtime_api is None or self.max_concurrency > 1

    @property
    def waits_for_init(self) -> bool:
        """Whether the first request waits for the initialisation: not where environments are made ahead of it."""
        return self.initialization_type in (None, "on-demand")


def load_lambda_environment() -> LambdaEnvironment:
    """From the environment. Raises ValidationError where Lambda writes them otherwise than it documents."""
    return LambdaEnvironment.model_validate(_variables(_LAMBDA_PREFIX, LambdaEnvironment))


def load_settings() -> Settings:
    """Settings from the environment. Raises ConfigurationError that names the variable and what is allowed."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(sorted(known))
            raise ConfigurationError(f"{name} is not a setting: {hint}", param=name)
    try:
        given = _variables(PREFIX, Settings)
        settings = Settings.model_validate({name: text for name, text in given.items() if text})  # empty: the default
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(f"{name}: {first['msg']}", param=name) from None
    if settings.public and not settings.has_keys:
        raise ConfigurationError(
            "LLM_PUBLIC is true, and LLM_API_KEYS and LLM_API_KEYS_FROM are empty: set at least one key, or keep the"
            " URL private (AWS_IAM)",
            param="LLM_API_KEYS",
        )
    if settings.api_keys is not None and settings.api_keys_from:
        raise ConfigurationError(
            "LLM_API_KEYS and LLM_API_KEYS_FROM are both set: a key in the first would outlive its removal from the"
            " second, so set one of them",
            param="LLM_API_KEYS_FROM",
        )
    if settings.metrics == "emf" and settings.log_level not in ("debug", "info"):
        raise ConfigurationError(
            "LLM_METRICS=emf puts the metrics on the log line of each request, which"
            f" LLM_LOG_LEVEL={settings.log_level} leaves out: set it to info or debug",
            param="LLM_METRICS",
        )
    return settings


def _variables(prefix: str, model: type[BaseModel]) -> dict[str, str]:
    """The texts of the variables that are there, by field. A variable's name may be written in either case.

    pydantic-settings reads them as well, and command lines, files and secrets: importing it was a twentieth of a start.
    """
    variables = {name.lower(): text for name, text in os.environ.items()}
    names = {name: (prefix + name).lower() for name in model.model_fields}
    return {name: variables[variable] for name, variable in names.items() if variable in variables}
