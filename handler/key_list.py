"""What a list of keys may look like, in a setting or in a secret. No I/O; no message quotes what was read.

sk-one,sk-two                                              keys, named key-1, key-2, …
[{"name": "alice", "key": "sk-one"},                       names, with a key
 {"name": "bob", "sha256": "9f86…", "tokens_per_day": 9}]  or only its SHA-256 in hexadecimal digits, and limits
{"keys": […]}                                              the same list
{"name": "alice", "key": "sk-one"}                         a single one
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from handler.errors import ConfigurationError
from handler.keys import Key, KeyRing, digest_of

# On a public URL: shorter ones could be guessed. Sixteen random letters and digits are 95 bits.
PUBLIC_KEY_LENGTH = 16
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f]+")

SHAPES = (
    'keys separated by commas, or JSON: a list of {"name": …, "key": … or "sha256": …} with "requests_per_minute" and'
    ' "tokens_per_day" where they are to be limited'
)


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_OneOrSeveral = BeforeValidator(_several)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$", strict=True)]
    key: Annotated[tuple[Annotated[str, Field(strict=True)], ...], _OneOrSeveral] = ()
    sha256: Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$", strict=True)], ...], _OneOrSeveral] = ()
    requests_per_minute: Annotated[int, Field(gt=0, strict=True)] | None = None
    tokens_per_day: Annotated[int, Field(gt=0, strict=True)] | None = None

    @model_validator(mode="after")
    def _has_a_key(self) -> "_Entry":
        if not self.key and not self.sha256:
            raise ValueError("give its key, or the sha256 of it")
        return self


def read_key_list(text: str, *, where: str, public: bool = False) -> tuple[Key, ...]:
    """The keys in `text`. `where` it was read, for messages; `public`: keys that could be guessed are refused.

    Raises ConfigurationError that says where and what is wrong, and quotes nothing.
    """
    if text.lstrip()[:1] in ("[", "{"):
        return tuple(_key(entry, where, public) for entry in _entries(text, where))
    given = [part.strip() for part in text.split(",") if part.strip()]
    if not given:
        raise ConfigurationError(f"{where} holds no key: it has to hold {SHAPES}")
    return tuple(
        Key(name=f"key-{number}", digests=(_checked(key, f"key {number} in {where}", public),))
        for number, key in enumerate(given, start=1)
    )


def key_ring(keys: Iterable[Key], *, where: str) -> KeyRing:
    """All of them together. Raises ConfigurationError where a name or a key is there twice."""
    ring = KeyRing(keys)
    name, times = Counter(key.name for key in ring.keys).most_common(1)[0]
    if times > 1:
        raise ConfigurationError(f"{where} has the name {name} {times} times: every key needs a name of its own")
    owners: dict[bytes, str] = {}
    for key in ring.keys:
        for digest in key.digests:
            if digest in owners:
                raise ConfigurationError(f"{where} has the same key for {owners[digest]} and {key.name}: give each one")
            owners[digest] = key.name
    return ring


def _entries(text: str, where: str) -> list[_Entry]:
    try:
        given = json.loads(text, object_pairs_hook=_object)
    except _Twice:
        raise ConfigurationError(f"{where} has an object with the same field twice: give it once") from None
    except ValueError:
        # The parser's own message would quote a place, and its position is of no use to who cannot see the text.
        raise ConfigurationError(f"{where} begins like JSON and is not: it has to hold {SHAPES}") from None
    if isinstance(given, dict):
        given = given["keys"] if given.keys() == {"keys"} else [given]
    if not isinstance(given, list) or not given:
        raise ConfigurationError(f"{where} holds no list of keys: it has to hold {SHAPES}")
    return [_entry(value, f"entry {number} in {where}") for number, value in enumerate(given, start=1)]


class _Twice(Exception):
    """A field is there twice: one of them would be ignored."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Twice
    return fields


def _entry(value: object, place: str) -> _Entry:
    try:
        return _Entry.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "it"
        if first["type"] == "extra_forbidden":
            # Not named itself: whoever mistook the form may have put the key there.
            close = difflib.get_close_matches(field, _Entry.model_fields, n=1)
            hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(_Entry.model_fields)
            raise ConfigurationError(f"{place} has a field that is not known; {hint}") from None
        raise ConfigurationError(f"{place}: {field}: {first['msg']}") from None


def _key(entry: _Entry, where: str, public: bool) -> Key:
    place = f"the key of {entry.name} in {where}"
    return Key(
        name=entry.name,
        digests=(*(_checked(key, place, public) for key in entry.key), *(bytes.fromhex(hex_) for hex_ in entry.sha256)),
        requests_per_minute=entry.requests_per_minute,
        tokens_per_day=entry.tokens_per_day,
    )


def _checked(key: str, place: str, public: bool) -> bytes:
    """The key's digest."""
    if not _VISIBLE.fullmatch(key):
        raise ConfigurationError(f"{place} is empty or has spaces or line breaks in it: separate keys by commas")
    if public and len(key) < PUBLIC_KEY_LENGTH:
        raise ConfigurationError(
            f"{place} has fewer than {PUBLIC_KEY_LENGTH} characters, and the URL is public: `make key` makes a long one"
        )
    return digest_of(key.encode())
