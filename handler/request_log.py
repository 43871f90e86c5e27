"""The log of requests that the settings ask for, put together where Lambda has told what it knows."""

import os

from handler.bill import bill_for
from handler.errors import ConfigurationError
from handler.metrics import EmbeddedMetrics
from handler.record import RequestLog
from handler.settings import LambdaEnvironment, Settings


def request_log_of(settings: Settings, surroundings: LambdaEnvironment) -> RequestLog:
    """Raises ConfigurationError for a price of nothing, and where callers are to be told what nobody knows."""
    bill = bill_for(
        gb_second=settings.price_gb_second,
        request=settings.price_request,
        memory_mb=surroundings.function_memory_size,
        machine=os.uname().machine,
        at_once=surroundings.max_concurrency,
    )
    if settings.report_cost and bill is None:
        raise ConfigurationError(
            "LLM_REPORT_COST is true, and what a request costs here is not known: set LLM_PRICE_GB_SECOND, and off"
            " Lambda AWS_LAMBDA_FUNCTION_MEMORY_SIZE too",
            param="LLM_REPORT_COST",
        )
    metrics = None
    if settings.metrics == "emf":
        metrics = EmbeddedMetrics(namespace=settings.metrics_namespace, function=surroundings.function_name)
    return RequestLog(
        bill=bill, tells_cost=settings.report_cost, metrics=metrics, waits_for_init=surroundings.waits_for_init
    )
