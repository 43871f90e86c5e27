"""Numbers in a DynamoDB table, which all copies of the function share and which outlive them.

The table's key is the string `counter`; `used` is the number, `expires` its time to live in Unix seconds. Needs
dynamodb:UpdateItem on it and nothing else.
"""

import logging
from collections.abc import Mapping
from typing import Any

from handler.aws.clients import Clients
from handler.counter import Count
from handler.errors import Unavailable

LOGGER = logging.getLogger(__name__)

_NAMES = {"#used": "used", "#expires": "expires"}  # some words are DynamoDB's own
_REFUSED = "ConditionalCheckFailedException"


class DynamoCounter:
    """Each addition is one conditional write: DynamoDB itself compares and adds, in one step."""

    def __init__(self, table: str) -> None:
        self._table = table
        # The library's own attempts would add twice where only the answer was lost. Here is known where that may be.
        self._clients = Clients(attempts=1)

    def connect(self) -> None:
        """Makes the client, so that no request has to."""
        self._clients.get("dynamodb")

    def drop(self) -> None:
        """Forgets connections and credentials: those in a restored snapshot are dead or old."""
        self._clients.drop()

    def add(self, name: str, amount: int, *, limit: int | None, expires: int) -> Count:
        """See Counter. Beneath a limit a write whose answer is lost is repeated, and may then count twice: the limit
        holds all the same. What is given back is given back once or not at all."""
        attempts = 1 if limit is None else 2
        for left in reversed(range(attempts)):
            try:
                return self._write(name, amount, limit, expires)
            except _Failed as failed:
                if not left:
                    LOGGER.warning("The table %s cannot be counted in: %s", self._table, failed)
        raise Unavailable("The server cannot count requests at the moment. Please try again.", retry_after_seconds=1)

    def _write(self, name: str, amount: int, limit: int | None, expires: int) -> Count:
        from botocore.exceptions import BotoCoreError, ClientError

        values: dict[str, Mapping[str, str]] = {":amount": {"N": str(amount)}, ":expires": {"N": str(expires)}}
        condition: dict[str, Any] = {}
        if limit is not None:
            # Below 0 not even a number that does not exist yet has room.
            values[":room"] = {"N": str(limit - amount)}
            exists = "attribute_exists(#used) AND " if limit < amount else "attribute_not_exists(#used) OR "
            condition = {
                "ConditionExpression": f"{exists}#used <= :room",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        try:
            answer = self._clients.get("dynamodb").update_item(
                TableName=self._table,
                Key={"counter": {"S": name}},
                UpdateExpression="ADD #used :amount SET #expires = :expires",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=values,
                ReturnValues="UPDATED_NEW",
                **condition,
            )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code != _REFUSED:
                raise _Failed(code) from None
            return Count(value=_used(error.response.get("Item", {})), added=False)
        except BotoCoreError as error:
            raise _Failed(type(error).__name__) from None
        return Count(value=_used(answer["Attributes"]), added=True)


class _Failed(Exception):
    """AWS's word for what went wrong; no part of a request."""


def _used(item: Mapping[str, Any]) -> int:
    return int(item.get("used", {}).get("N", "0"))
