"""Texts from Secrets Manager and Systems Manager's parameters. What is read is never told, only why it cannot be."""

from collections.abc import Callable, Mapping
from typing import Any

from handler.aws.clients import Clients
from handler.errors import ConfigurationError
from handler.secret_place import SecretPlace, Store

# What the API says: what there is to do.
_REASONS = {
    "ResourceNotFoundException": "there is none of that name in this account and region",
    "ParameterNotFound": "there is none of that name in this account and region",
    "AccessDeniedException": "the function's role may not: allow {action} on it, and kms:Decrypt with its KMS key",
    "InvalidRequestException": "it is being deleted, or has no value yet",
    "DecryptionFailure": "its KMS key cannot be used",
    "InvalidKeyId": "its KMS key cannot be used",
    "ThrottlingException": "AWS asks for fewer questions",
}


def _from_secrets_manager(clients: Clients, place: SecretPlace) -> str | None:
    answer: Mapping[str, Any] = clients.get("secretsmanager", place.region).get_secret_value(SecretId=place.name)
    return answer.get("SecretString")


def _from_parameter(clients: Clients, place: SecretPlace) -> str | None:
    answer: Mapping[str, Any] = clients.get("ssm", place.region).get_parameter(Name=place.name, WithDecryption=True)
    value: str | None = answer["Parameter"].get("Value")
    return value


_READERS: Mapping[Store, tuple[str, Callable[[Clients, SecretPlace], str | None]]] = {
    "secretsmanager": ("secretsmanager:GetSecretValue", _from_secrets_manager),
    "ssm": ("ssm:GetParameter", _from_parameter),
}


def read_secret(clients: Clients, place: SecretPlace) -> str:
    """The current text. Raises ConfigurationError that says why there is none."""
    from botocore.exceptions import BotoCoreError, ClientError

    action, read = _READERS[place.store]
    try:
        text = read(clients, place)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        reason = _REASONS.get(code, "").format(action=action)
        raise ConfigurationError(_unread(place, f"{code}: {reason}" if reason else code)) from None
    except BotoCoreError as error:
        raise ConfigurationError(_unread(place, _out_of_reach(type(error).__name__))) from None
    if text is None:
        raise ConfigurationError(_unread(place, "its value is binary: store text"))
    return text


def _unread(place: SecretPlace, reason: str) -> str:
    return f"The keys in {place} cannot be read: {reason}"


def _out_of_reach(error_type: str) -> str:
    hints = {
        "NoCredentialsError": "there are no AWS credentials",
        "NoRegionError": "no region is set: set AWS_REGION, or name it by its ARN",
        "EndpointConnectionError": "AWS is out of reach: from a VPC it needs an endpoint of the service, or a NAT",
        "ConnectTimeoutError": "AWS is out of reach: from a VPC it needs an endpoint of the service, or a NAT",
    }
    return f"{error_type}: {hints[error_type]}" if error_type in hints else error_type
