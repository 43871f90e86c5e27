"""Secrets as boto3 reads them from moto, and what is told where it cannot."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from handler.aws.clients import Clients
from handler.aws.secrets import read_secret
from handler.errors import ConfigurationError
from handler.secret_place import SecretPlace, parse_secret_place
from tests.aws.cloud import Cloud, cloud

TEXT = '[{"name": "alice", "key": "sk-of-alice"}]'


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    with cloud() as made:
        yield made


@pytest.fixture
def clients(account: Cloud, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    return Clients()


def test_a_secret_by_name_by_arn_and_in_its_own_region(account: Cloud, clients: Clients) -> None:
    arn = account.client("secretsmanager", "us-west-2").create_secret(Name="keys", SecretString=TEXT)["ARN"]
    account.client("secretsmanager").create_secret(Name="keys", SecretString="sk-of-here")
    assert read_secret(clients, parse_secret_place(f"secretsmanager:{arn}")) == TEXT
    assert read_secret(clients, parse_secret_place("secretsmanager:keys")) == "sk-of-here"


def test_a_new_version_of_a_secret_is_read(account: Cloud, clients: Clients) -> None:
    operator = account.client("secretsmanager")
    operator.create_secret(Name="rotated", SecretString="sk-old")
    place = parse_secret_place("secretsmanager:rotated")
    assert read_secret(clients, place) == "sk-old"
    operator.put_secret_value(SecretId="rotated", SecretString="sk-new")
    assert read_secret(clients, place) == "sk-new"
    clients.drop()
    assert read_secret(clients, place) == "sk-new"


@pytest.mark.parametrize("kind", ["SecureString", "String", "StringList"])
def test_a_parameter_is_read_decrypted(account: Cloud, clients: Clients, kind: str) -> None:
    account.client("ssm").put_parameter(Name=f"/llm/{kind}", Value="sk-one,sk-two", Type=kind)
    assert read_secret(clients, parse_secret_place(f"ssm:/llm/{kind}")) == "sk-one,sk-two"


def test_a_secret_that_is_not_there_says_so(clients: Clients) -> None:
    for text, code in (("secretsmanager:nowhere", "ResourceNotFoundException"), ("ssm:/nowhere", "ParameterNotFound")):
        with pytest.raises(ConfigurationError) as caught:
            read_secret(clients, parse_secret_place(text))
        assert caught.value.message == (
            f"The keys in {text} cannot be read: {code}: there is none of that name in this account and region"
        )


def test_a_secret_that_is_deleted_or_binary_says_so(account: Cloud, clients: Clients) -> None:
    operator = account.client("secretsmanager")
    operator.create_secret(Name="binary", SecretBinary=b"sk-one")
    operator.create_secret(Name="deleted", SecretString="sk-one")
    operator.delete_secret(SecretId="deleted")
    for name, reason in (
        ("binary", "its value is binary: store text"),
        ("deleted", "InvalidRequestException: it is being deleted, or has no value yet"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            read_secret(clients, parse_secret_place(f"secretsmanager:{name}"))
        assert caught.value.message == f"The keys in secretsmanager:{name} cannot be read: {reason}"


def test_where_aws_is_out_of_reach_that_is_told_and_soon(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address[0]}:{address[1]}")
    with pytest.raises(ConfigurationError, match="EndpointConnectionError: AWS is out of reach: from a VPC it needs"):
        read_secret(clients, parse_secret_place("ssm:/llm/keys"))


def test_a_region_has_to_be_known(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match="NoRegionError: no region is set: set AWS_REGION"):
        read_secret(clients, parse_secret_place("ssm:/llm/keys"))


def test_a_role_that_may_not_is_told_what_it_lacks(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    class Denying(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"__type": "AccessDeniedException", "message": "User: … is not authorized"}).encode()
            self.send_response(400)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ConfigurationError) as caught:
            read_secret(clients, parse_secret_place("secretsmanager:keys"))
        server.shutdown()
    assert caught.value.message == (
        "The keys in secretsmanager:keys cannot be read: AccessDeniedException: the function's role may not: allow"
        " secretsmanager:GetSecretValue on it, and kms:Decrypt with its KMS key"
    )


@pytest.mark.parametrize(
    ("text", "place", "region"),
    [
        ("ssm:/llm/keys", SecretPlace(store="ssm", name="/llm/keys"), None),
        (
            "secretsmanager:arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys-AbCdEf",
            SecretPlace(
                store="secretsmanager", name="arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys-AbCdEf"
            ),
            "eu-west-1",
        ),
    ],
)
def test_a_place_is_a_store_and_a_name(text: str, place: SecretPlace, region: str | None) -> None:
    assert parse_secret_place(text) == place
    assert (str(place), place.region) == (text, region)


@pytest.mark.parametrize("text", ["", "sk-a-key", "ssm:", "ssm: ", "vault:keys", "arn:aws:ssm:us-east-1:1:parameter/x"])
def test_what_is_no_place_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="name the place") as caught:
        parse_secret_place(text)
    assert str(caught.value) == (
        "name the place where the keys are kept: secretsmanager:NAME_OR_ARN or ssm:NAME_OR_ARN"
    )
