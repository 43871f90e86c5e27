"""Key lists and rings: what may be written, what is refused and how, and that nothing of a key is ever told."""

import hashlib
import json

import pytest

from handler.errors import ConfigurationError
from handler.key_list import key_ring, read_key_list
from handler.keys import Key, KeyRing
from handler.new_key import main as new_key

ONE, TWO = "sk-the-first-of-two-keys", "sk-the-second-of-two-keys"


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def entry(**fields: object) -> str:
    return json.dumps([{"name": "alice", "key": ONE, **fields}])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ONE}, {TWO},\n", [("key-1", [ONE], None, None), ("key-2", [TWO], None, None)]),
        (
            json.dumps(
                [
                    {"name": "alice", "key": ONE, "requests_per_minute": 3},
                    {"name": "bob@x.org", "sha256": sha256(TWO).upper(), "tokens_per_day": 9},
                ]
            ),
            [("alice", [ONE], 3, None), ("bob@x.org", [TWO], None, 9)],
        ),
        (f' {{"keys": [{{"name": "alice", "key": "{ONE}"}}]}}', [("alice", [ONE], None, None)]),
        (f'{{"name": "alice", "key": "{ONE}"}}', [("alice", [ONE], None, None)]),
        (
            json.dumps([{"name": "alice", "key": [ONE, "an-older-key"], "sha256": [sha256(TWO)]}]),
            [("alice", [ONE, "an-older-key", TWO], None, None)],
        ),
    ],
    ids=["plain", "list", "object", "single", "while it is rotated"],
)
def test_a_list_of_keys(text: str, expected: list[tuple[str, list[str], int | None, int | None]]) -> None:
    assert read_key_list(text, where="the secret") == tuple(
        Key(
            name=name,
            digests=tuple(bytes.fromhex(sha256(key)) for key in keys),
            requests_per_minute=requests,
            tokens_per_day=tokens,
        )
        for name, keys, requests, tokens in expected
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the secret holds no key: it has to hold keys separated by commas, or JSON"),
        (" ,\n, ", "the secret holds no key"),
        (f"{ONE}\n{TWO}", "key 1 in the secret is empty or has spaces or line breaks in it"),
        ("[]", "the secret holds no list of keys"),
        ('{"keys": {}}', "the secret holds no list of keys"),
        (f'["{ONE}"]', "entry 1 in the secret: it: Input should be a valid dictionary"),
        (f'[{{"name": "alice", "key": "{ONE}"}}', "the secret begins like JSON and is not"),
        (f'[{{"name": "alice", "key": "a", "key": "{ONE}"}}]', "an object with the same field twice"),
        (entry(key=""), "the key of alice in the secret is empty"),
        (entry(key=[]), "entry 1 in the secret: it: Value error, give its key, or the sha256 of it"),
        (entry(key=7), "entry 1 in the secret: key: "),
        (entry(name="a b"), "entry 1 in the secret: name: String should match pattern"),
        (entry(name="x" * 65), "entry 1 in the secret: name: String should match pattern"),
        (entry(sha256=ONE), "entry 1 in the secret: sha256: String should match pattern"),
        (entry(requests_per_minute=0), "requests_per_minute: Input should be greater than 0"),
        (entry(requests_per_minute="5"), "requests_per_minute: Input should be a valid integer"),
        (entry(tokens_per_day=True), "tokens_per_day: Input should be a valid integer"),
        (entry(request_per_minute=5), "a field that is not known; did you mean requests_per_minute?"),
        (f'{{"{ONE}": "alice"}}', "entry 1 in the secret: name: Field required"),
        (
            f'[{{"name": "alice", "sha256": "{sha256(TWO)}", "{ONE}": 1}}]',
            "a field that is not known; known: name, key",
        ),
    ],
)
def test_what_is_no_list_of_keys_is_refused_and_not_quoted(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_key_list(text, where="the secret")
    assert told in caught.value.message
    assert ONE not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_that_could_be_guessed_is_refused_on_a_public_url() -> None:
    for text in ("fifteen-letters", '{"name": "alice", "key": "fifteen-letters"}'):
        assert len(read_key_list(text, where="the secret")) == 1
        with pytest.raises(ConfigurationError, match="fewer than 16 characters, and the URL is public: `make key`"):
            read_key_list(text, where="the secret", public=True)
    assert len(read_key_list("sixteen--letters", where="the secret", public=True)) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{ONE},{ONE}", "the secret has the same key for key-1 and key-2"),
        (json.dumps([{"name": "a", "key": ONE}, {"name": "b", "sha256": sha256(ONE)}]), "the same key for a and b"),
        (json.dumps([{"name": "a", "key": ONE}, {"name": "a", "key": TWO}]), "the secret has the name a 2 times"),
    ],
)
def test_nobody_is_there_twice(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        key_ring(read_key_list(text, where="the secret"), where="the secret")
    assert told in caught.value.message
    assert ONE not in str(caught.value)


def test_a_ring_of_a_thousand_keys_knows_each_and_no_other() -> None:
    listed = read_key_list(",".join(f"sk-{number}" for number in range(1000)), where="the secret")
    ring = key_ring(listed, where="the secret")
    assert [ring.find(f"sk-{number}".encode()) for number in range(1000)] == list(listed)
    assert [ring.find(given) for given in (b"", b"sk-", b"sk-1000", b"SK-1", b"sk-1 ", b"\xff")] == [None] * 6


def test_the_ring_keeps_no_key_in_the_clear() -> None:
    ring = KeyRing(read_key_list(f"{ONE},{TWO}", where="the secret"))
    assert ONE.encode() not in repr(vars(ring)).encode()


def test_a_new_key_opens_by_its_entry_and_its_entry_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert new_key(["alice", "--requests-per-minute", "5", "--tokens-per-day", "9"]) == 0
    _, key, _, listed = capsys.readouterr().out.splitlines()
    (alice,) = read_key_list(listed, where="the secret", public=True)
    assert KeyRing([alice]).find(key.encode()) == alice
    assert (alice.name, alice.requests_per_minute, alice.tokens_per_day) == ("alice", 5, 9)
    assert key not in listed
    assert len(key) == 46


@pytest.mark.parametrize("arguments", [["a b"], ["alice", "--tokens-per-day", "0"]], ids=["name", "limit"])
def test_no_key_is_made_that_no_list_may_hold(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert new_key(arguments) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.startswith("new_key: entry 1 in the list of keys: ")) == ("", True)
