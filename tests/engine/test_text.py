from hypothesis import given
from hypothesis import strategies as st

from handler.engine.text import TextDecoder


def decode_all(pieces: list[bytes]) -> list[str]:
    decoder = TextDecoder()
    return [*map(decoder.decode, pieces), decoder.flush()]


def test_a_split_character_is_held_until_it_is_whole() -> None:
    assert decode_all([b"a\xf0\x9f", b"\x8e", b"\x89b"]) == ["a", "", "🎉b", ""]


def test_an_incomplete_character_at_the_end_becomes_one_replacement_character() -> None:
    assert decode_all([b"a\xf0\x9f"]) == ["a", "\ufffd"]


def test_a_byte_that_cannot_continue_is_replaced_at_once() -> None:
    assert decode_all([b"\xf0\x9f", b"a"]) == ["", "\ufffda", ""]


@given(st.lists(st.binary(max_size=5) | st.sampled_from(["é".encode()[:1], "🎉".encode()[1:3], "日本".encode()])))
def test_any_split_of_any_bytes_decodes_like_the_whole(pieces: list[bytes]) -> None:
    assert "".join(decode_all(pieces)) == b"".join(pieces).decode(errors="replace")
