"""Signatures: AWS's own published example, what botocore signs, and everything that must not pass."""

import time
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Botocore

from lambda_local.__main__ import main, parser
from lambda_local.event import HttpRequest
from lambda_local.sigv4 import MISMATCH, UNKNOWN, Credentials, SignatureRefused, check_signature, signature
from tests.lambda_local.conftest import Open

REGION = "us-east-1"
ALICE = Credentials(access_key="AKIDALICE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ROLE = Credentials(access_key="ASIAROLE", secret_key="of-the-role", session_token="token+/=")
URL = "http://abc.lambda-url.us-east-1.on.aws/v1/models/org%2Fname?b=2&a=%20x&a=1&empty="


def signed(
    who: Credentials = ALICE, *, url: str = URL, body: bytes = b"{}", service: str = "lambda", region: str = REGION
) -> HttpRequest:
    """What botocore makes of a POST, as it would arrive."""
    request = AWSRequest(method="POST", url=url, data=body, headers={"content-type": "application/json"})
    credentials = Botocore(who.access_key, who.secret_key, who.session_token)
    SigV4Auth(credentials, service, region).add_auth(request)
    sent = httpx.Request("POST", url, headers=dict(request.headers), content=body)
    headers = [(name.lower(), value) for name, value in sent.headers.items()]
    return HttpRequest(method="POST", target=sent.url.raw_path.decode(), headers=headers, body=body)


def check(request: HttpRequest, *, now: float | None = None) -> str:
    return check_signature(request, (ALICE, ROLE), region=REGION, now=time.time() if now is None else now)


def changed(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    kept = [(key, old) for key, old in request.headers if key != name]
    return replace(request, headers=kept if value is None else [*kept, (name, value)])


def test_awss_published_example_get_vanilla() -> None:
    request = HttpRequest(
        method="GET",
        target="/",
        headers=(("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")),
    )
    assert (
        signature(
            request,
            "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            headers=("host", "x-amz-date"),
            scope="20150830/us-east-1/service/aws4_request",
            date="20150830T123600Z",
        )
        == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@pytest.mark.parametrize("who", [ALICE, ROLE], ids=["user", "role"])
def test_what_botocore_signs_is_right(who: Credentials) -> None:
    assert check(signed(who)) == who.access_key


@pytest.mark.parametrize(
    ("sent", "message", "error_type"),
    [
        (lambda: signed(replace(ALICE, secret_key="wrong")), MISMATCH, "InvalidSignatureException"),
        (lambda: signed(replace(ALICE, access_key="AKIDMALLORY")), UNKNOWN, "UnrecognizedClientException"),
        (lambda: signed(replace(ROLE, session_token=None)), UNKNOWN, "UnrecognizedClientException"),
        (lambda: signed(replace(ALICE, session_token="stolen")), UNKNOWN, "UnrecognizedClientException"),
        (lambda: replace(signed(), body=b'{"n": 9}'), MISMATCH, "InvalidSignatureException"),
        (lambda: replace(signed(), method="GET"), MISMATCH, "InvalidSignatureException"),
        (
            lambda: replace(signed(), target="/v1/models/org/name?b=2&a=%20x&a=1&empty="),
            MISMATCH,
            "InvalidSignatureException",
        ),
        (lambda: replace(signed(), target="/v1/models/org%2Fname?b=2"), MISMATCH, "InvalidSignatureException"),
        (lambda: changed(signed(), "host", "other.example"), MISMATCH, "InvalidSignatureException"),
        (lambda: changed(signed(), "content-type", "text/plain"), MISMATCH, "InvalidSignatureException"),
        (lambda: changed(signed(), "authorization", None), "Forbidden", "AccessDeniedException"),
        (lambda: changed(signed(), "authorization", "Bearer key"), "Forbidden", "AccessDeniedException"),
        (lambda: changed(signed(), "x-amz-date", None), "Forbidden", "AccessDeniedException"),
        (lambda: changed(signed(), "x-amz-date", "yesterday"), "Forbidden", "AccessDeniedException"),
    ],
    ids=[
        "another secret",
        "unknown key",
        "role without its token",
        "user with a token",
        "body",
        "method",
        "path",
        "query",
        "host",
        "signed header",
        "no signature",
        "bearer",
        "no date",
        "no real date",
    ],
)
def test_what_is_not_right_is_refused(sent: Callable[[], HttpRequest], message: str, error_type: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        check(sent())
    assert (caught.value.message, caught.value.error_type) == (message, error_type)


@pytest.mark.parametrize("scope", [{"service": "s3"}, {"region": "eu-west-1"}], ids=["service", "region"])
def test_a_signature_for_something_else_is_refused(scope: dict[str, str]) -> None:
    with pytest.raises(SignatureRefused, match=r"Credential should be scoped to \d+/us-east-1/lambda/aws4_request"):
        check(signed(**scope))


def test_clocks_may_differ_by_five_minutes() -> None:
    now = time.time()
    for differs in (-290, 290):
        assert check(signed(), now=now + differs) == "AKIDALICE"
    with pytest.raises(SignatureRefused, match=r"Signature expired: .* is now earlier than .* - 5 min\.\)"):
        check(signed(), now=now + 310)
    with pytest.raises(SignatureRefused, match=r"Signature not yet current: .* is still later than .* \+ 5 min\.\)"):
        check(signed(), now=now - 310)


async def test_a_url_that_knows_who_may_call_answers_as_aws_does(open_url: Open) -> None:
    async with open_url(auth="AWS_IAM", credentials=(ALICE,)) as (url, client):
        target = f"{url.base_url}/v1/models/org%2Fname"
        right = dict(signed(url=target, body=b"").headers)
        event = (await client.post(target, headers=right)).json()["event"]
        assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "AKIDALICE"
        wrong = dict(signed(replace(ALICE, secret_key="wrong"), url=target, body=b"").headers)
        refused = await client.post(target, headers=wrong)
        assert (refused.status_code, refused.json()) == (403, {"message": MISMATCH})
        assert refused.headers["x-amzn-errortype"] == "InvalidSignatureException"
        assert (await client.post(target)).json() == {"Message": "Forbidden"}


def test_credentials_on_the_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--credentials", "AKIDALICE:secret", "--credentials", "ASIAROLE:secret:token:of"]
    assert parser().parse_args(words).credentials == [
        Credentials(access_key="AKIDALICE", secret_key="secret"),
        Credentials(access_key="ASIAROLE", secret_key="secret", session_token="token:of"),
    ]
    for wrong in (["--credentials", "AKIDALICE"], words):
        monkeypatch.setattr("sys.argv", ["lambda_local", *wrong])
        with pytest.raises(SystemExit):
            main()
    told = capsys.readouterr().err
    assert "expected ID:SECRET or ID:SECRET:TOKEN" in told
    assert "add --auth AWS_IAM" in told
