"""FastAPI without its models of an OpenAPI document, which this server does not write.

FastAPI builds those forty pydantic models whenever it is imported, a third of what its import costs. It uses them to
write a document (`openapi_url` is None here) and in its security schemes (a middleware authenticates here). There is no
switch for it, so empty classes take their place; who asks for another name than these gets an ImportError.
"""

import sys
from types import ModuleType

_MODULE = "fastapi.openapi.models"
# What FastAPI's other modules import from there.
_NAMES = (
    "APIKey",
    "APIKeyIn",
    "Example",
    "HTTPBase",
    "HTTPBearer",
    "OAuth2",
    "OAuthFlows",
    "OpenAPI",
    "OpenIdConnect",
    "SecurityBase",
)


def leave_out_openapi() -> None:
    """For this process, before its first import of fastapi; after it, this changes nothing."""
    if "fastapi" not in sys.modules:
        empty = ModuleType(_MODULE, __doc__)
        for name in _NAMES:
            setattr(empty, name, type(name, (), {}))
        sys.modules[_MODULE] = empty
