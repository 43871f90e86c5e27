"""Rounds: which of the Steps that answers wait for run next, and which of them together. Pure.

A round takes every answer that decodes one token further, all in one forward call but for those that must be
repeatable, which have a call each. And it runs a piece of what is longer (prompts, forced tokens): at most `PIECE`
tokens while anybody decodes, so that no stream waits long for another's prompt; those that have longer work take turns.
Where nobody decodes there is nobody to wait, and a whole chunk is run.
"""

from collections.abc import Sequence

from handler.engine.ports import Decoder
from handler.engine.step import Feed, Step, advance_together

# Tokens. On an AVX2 processor 32 take as long as seven steps of one token, and no longer for each than 256 do. Whole
# blocks of the kernels, so that they round as in one piece: see `widths`.
PIECE = 32


class Rounds:
    """Runs rounds; knows whose turn it is."""

    def __init__(self) -> None:
        self._turn = 0

    def run(self, steps: Sequence[Step]) -> None:
        """Runs as much of `steps` as is due; those that are over then can go on. One alone is run to its end.

        Drafts are for those who are alone: in company, the rows that they take would be taken from others.
        """
        if len(steps) == 1:
            steps[0].run()
            return
        for decoder in {id(step.decoder): step.decoder for step in steps}.values():
            self._run(decoder, [step for step in steps if step.decoder is decoder])

    def _run(self, decoder: Decoder, steps: Sequence[Step]) -> None:
        decoding: list[list[Feed]] = [[]]  # by call: the first is shared
        longer: list[Feed] = []
        for step in steps:
            if step.repeatable:
                decoding.append([])
            for feed in step.feeds:
                feed.drop_drafts()
                if feed.is_one_token and not feed.is_over:
                    decoding[-1 if step.repeatable else 0].append(feed)
                elif not feed.is_over:
                    longer.append(feed)
        piece = PIECE if any(decoding) else decoder.prefill_chunk
        room = piece
        if longer:
            self._turn = (self._turn + 1) % len(longer)
        # Before the tokens, which then reach their readers at once.
        for feed in longer[self._turn :] + longer[: self._turn]:
            if feed.left <= room or room == piece:
                room -= feed.run(piece)
        for feeds in decoding:
            advance_together(decoder, feeds)


def run_first(steps: Sequence[Step]) -> None:
    """Runs the first of `steps`: each answer computes alone, in turns."""
    steps[0].run()
