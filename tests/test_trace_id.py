"""A trace's id is taken where it has the form of one. Whatever else stands in the header stays out of the log."""

import pytest

from handler.trace_id import w3c_trace_id, xray_trace_id

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
W3C = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    "header",
    [
        f"Root={ROOT}",
        f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1",
        f"Self=1-67891234-12456789abcdef012345678; Root={ROOT}",
    ],
)
def test_the_root_of_x_rays_header(header: str) -> None:
    assert xray_trace_id(header) == ROOT


@pytest.mark.parametrize("header", [None, "", "Root=secret", f"Root={ROOT}secret", f"Groot={ROOT}", "Root=1-2-3", ROOT])
def test_what_is_no_root_is_not_taken(header: str | None) -> None:
    assert xray_trace_id(header) is None


@pytest.mark.parametrize("header", [f"00-{W3C}-b7ad6b7169203331-01", f"cc-{W3C}-b7ad6b7169203331-01-what-will-be-next"])
def test_the_trace_id_of_a_traceparent(header: str) -> None:
    assert w3c_trace_id(header) == W3C


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "secret",
        f"00-{W3C}",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{W3C[:-1]}x-b7ad6b7169203331-01",
        f"00-{W3C.upper()}-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_not_taken(header: str | None) -> None:
    assert w3c_trace_id(header) is None
