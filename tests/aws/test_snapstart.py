"""What a restored process renews."""

import random

from handler.aws.snapstart import reseed


def test_copies_of_one_snapshot_do_not_share_a_random_sequence() -> None:
    kept = random.getstate()
    try:
        random.seed(1)
        snapshot = random.getstate()
        drawn = []
        for _ in range(2):
            random.setstate(snapshot)
            reseed()
            drawn.append(random.random())
        assert drawn[0] != drawn[1]
    finally:
        random.setstate(kept)
