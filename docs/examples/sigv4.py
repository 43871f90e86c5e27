"""The OpenAI SDK against an endpoint with AuthType AWS_IAM: each request is signed. Needs botocore.

    sign = SigV4("eu-central-1")
    client = OpenAI(base_url=BASE_URL, api_key="unused", http_client=DefaultHttpxClient(auth=sign))
    client = AsyncOpenAI(base_url=BASE_URL, api_key="unused", http_client=DefaultAsyncHttpxClient(auth=sign))

Where keys are asked for beside the signature: `default_headers={"x-api-key": KEY}`, since the signature takes the place
of `Authorization`. A retry is signed anew.
"""

from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session


class SigV4:
    """Signature Version 4 for `service`: lambda (a Function URL) or execute-api (API Gateway).

    A callable, and no `httpx.Auth`: newer SDKs bring an httpx of another name. `credentials`: those that boto3 would
    use, unless others are given; they are renewed when they expire.
    """

    def __init__(self, region: str, *, service: str = "lambda", credentials: Credentials | None = None) -> None:
        found = credentials or Session().get_credentials()
        if found is None:
            raise LookupError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
        self._credentials = found
        self._region = region
        self._service = service

    def __call__(self, request: Any) -> Any:
        """Only what has to be is signed: host, date, token and body. A proxy may add headers of its own."""
        signed = AWSRequest(method=request.method, url=str(request.url), data=request.content)
        SigV4Auth(self._credentials.get_frozen_credentials(), self._service, self._region).add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request
