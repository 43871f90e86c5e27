"""Facts about sums and patience: whatever the order of the parts, and however often it fails."""

import hashlib
from itertools import permutations

import pytest

from handler.aws.store.patience import Patience
from handler.aws.store.sums import Part, WholeSum, parts_of
from handler.manifest import PART_BYTES, FileEntry

PIECES = (b"one", b"two", b"three")
WHOLE = hashlib.sha256(b"onetwothree").hexdigest()


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_last_of_the_parts_brings_the_sum_whatever_their_order(order: tuple[int, ...]) -> None:
    whole = WholeSum(3, lambda index, digest: digest.update(PIECES[index]))
    assert [whole.arrived(index) for index in order] == [None, None, WHOLE]


def test_a_part_that_comes_while_another_is_hashed_is_hashed_by_that_thread() -> None:
    said: list[str | None] = []

    def hash_into(index: int, digest: "hashlib._Hash") -> None:
        if index == 0:
            said.append(whole.arrived(1))
        digest.update(PIECES[index])

    whole = WholeSum(2, hash_into)
    assert whole.arrived(0) == hashlib.sha256(b"onetwo").hexdigest()
    assert said == [None]


def test_a_file_has_parts_of_16_mib_and_the_rest() -> None:
    sums = tuple(letter * 64 for letter in "ab")
    entry = FileEntry(sha256="0" * 64, size=PART_BYTES + 1, parts=sums)
    assert list(parts_of(entry)) == [
        Part(index=0, start=0, end=PART_BYTES, sha256=sums[0]),
        Part(index=1, start=PART_BYTES, end=PART_BYTES + 1, sha256=sums[1]),
    ]
    assert list(parts_of(FileEntry(sha256="0" * 64, size=0))) == []


def test_pauses_double_to_a_bound_and_a_die_cuts_up_to_half_of_them_off() -> None:
    patience = Patience(attempts=8, first_pause=1.0, longest_pause=4.0)
    for failures, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0), (100, 4.0)):
        assert all(most / 2 <= patience.pause(failures) <= most for _ in range(50))
