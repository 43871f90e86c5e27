"""CloudWatch metrics in the embedded metric format: members of a log line, and one that says which of them are metrics.
Pure: CloudWatch reads them from the log, no request calls anything.

The names here are what dashboards and alarms are made of. CloudWatch bills each name of each combination of dimensions
for each hour in which it comes: so all are there for the function, few for each model, and none for each key.

Source: AWS, "Specification: Embedded metric format".
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from handler.errors import ConfigurationError
from handler.frozen import dataclass

NAMESPACE = "LambdaLLM"
FUNCTION_NAME, MODEL = "FunctionName", "Model"  # dimensions
MAX_NAMESPACE = 255  # characters

Unit = Literal["Count", "Count/Second", "Milliseconds", "None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`fact`: the member of the log line that it repeats; where that is missing, there is no value."""

    name: str
    unit: Unit
    fact: str
    per_model: bool = False


# Each request gives one value: the sum of a 0 or 1 counts, and its average is a share.
METRICS = (
    Metric(name="Requests", unit="Count", fact="requests"),
    Metric(name="Errors", unit="Count", fact="failed"),
    Metric(name="Throttles", unit="Count", fact="throttled"),
    Metric(name="Disconnects", unit="Count", fact="disconnects"),
    Metric(name="ColdStarts", unit="Count", fact="cold_starts"),
    Metric(name="InitDuration", unit="Milliseconds", fact="init_ms"),
    Metric(name="Duration", unit="Milliseconds", fact="ms"),
    Metric(name="TimeToFirstToken", unit="Milliseconds", fact="ttft_ms", per_model=True),
    Metric(name="TokensPerSecond", unit="Count/Second", fact="tokens_per_second", per_model=True),
    Metric(name="PromptTokens", unit="Count", fact="prompt_tokens"),
    Metric(name="CachedTokens", unit="Count", fact="cached_tokens"),
    Metric(name="CompletionTokens", unit="Count", fact="completion_tokens"),
    Metric(name="Cost", unit="None", fact="spent"),  # USD, an initialisation included
)

TOO_BUSY = 429
FAULT = 500  # and above


class EmbeddedMetrics:
    """What makes a log line one that CloudWatch reads metrics from. `function`: the Lambda function's name, if any."""

    def __init__(self, *, namespace: str = NAMESPACE, function: str | None = None) -> None:
        """Raises ConfigurationError for a namespace that CloudWatch refuses."""
        if not 0 < len(namespace) <= MAX_NAMESPACE or namespace.startswith("AWS/"):
            raise ConfigurationError(
                f"LLM_METRICS_NAMESPACE takes 1 to {MAX_NAMESPACE} characters that do not begin with AWS/",
                param="LLM_METRICS_NAMESPACE",
            )
        self._namespace = namespace
        self._function = {FUNCTION_NAME: function} if function else {}

    def members(self, facts: Mapping[str, object], *, epoch_ms: int) -> dict[str, object]:
        """What to add to a line of `facts`: the values under their names, the dimensions, and `_aws`."""
        known = {**facts, **_counted(facts)}
        given = [metric for metric in METRICS if known.get(metric.fact) is not None]
        model = facts.get("model")
        dimensions = {**self._function, **({MODEL: model} if model else {})}
        directives = [self._directive(given, list(self._function))]
        if model and (of_model := [metric for metric in given if metric.per_model]):
            directives.append(self._directive(of_model, list(dimensions)))
        return {
            **dimensions,
            **{metric.name: known[metric.fact] for metric in given},
            "_aws": {"Timestamp": epoch_ms, "CloudWatchMetrics": directives},
        }

    def _directive(self, metrics: Sequence[Metric], dimensions: list[str]) -> dict[str, object]:
        return {
            "Namespace": self._namespace,
            "Dimensions": [dimensions],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in metrics],
        }


def _counted(facts: Mapping[str, object]) -> dict[str, object]:
    """What the line does not say in so many words."""
    status, cost, init_cost = facts.get("status"), facts.get("cost_usd"), facts.get("init_cost_usd")
    failed = facts.get("level") == "ERROR"
    return {
        "requests": 1,
        "failed": int(failed),
        "throttled": int(status == TOO_BUSY),
        "disconnects": int(bool(facts.get("disconnected"))),
        "cold_starts": int(bool(facts.get("cold"))),
        "spent": None if not isinstance(cost, float) else cost + (init_cost if isinstance(init_cost, float) else 0.0),
    }
