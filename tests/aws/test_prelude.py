from handler.aws.prelude import prelude


def test_the_prelude_is_status_headers_and_cookies_as_json_and_eight_nuls() -> None:
    headers = [(b"Content-Type", b"text/event-stream"), (b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2; Path=/")]
    assert prelude(201, headers) == (
        b'{"statusCode": 201, "headers": {"content-type": "text/event-stream"}, "cookies": ["a=1", "b=2; Path=/"]}'
        b"\0\0\0\0\0\0\0\0"
    )


def test_hop_by_hop_headers_do_not_leave() -> None:
    hop = [b"Connection", b"Keep-Alive", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade", b"Proxy-Connection"]
    assert (
        prelude(204, [(name, b"x") for name in hop]) == b'{"statusCode": 204, "headers": {}, "cookies": []}' + b"\0" * 8
    )


def test_a_repeated_header_becomes_one() -> None:
    assert prelude(200, [(b"vary", b"Origin"), (b"Vary", b"Accept")]) == (
        b'{"statusCode": 200, "headers": {"vary": "Origin, Accept"}, "cookies": []}' + b"\0" * 8
    )
