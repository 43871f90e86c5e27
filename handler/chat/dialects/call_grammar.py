"""A dialect as a grammar: free text until a call begins, then only valid calls. Pure: Lark text, compiled elsewhere.

The free text cannot contain a trigger, so a trigger in an answer always begins a call and a reader never sees one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from handler.chat.dialects import lark
from handler.chat.dialects.call_format import CallFormat, trigger_of
from handler.engine.grammar import GrammarSpec


@dataclass(frozen=True, kw_only=True)
class CallGrammar:
    """What an answer may be. `schemas`: the arguments', as the grammar engine wants them, by function name;
    `marker_ids`: the dialect's markers that are single tokens; `many`: more than one call."""

    form: CallFormat
    schemas: Mapping[str, Mapping[str, object]]
    marker_ids: Mapping[str, int]
    many: bool

    def forced(self) -> str:
        """Lark text: calls and nothing else."""
        return self._lark("start: calls", self._opening())

    def free(self) -> str:
        """Lark text: any text, or calls, after text where the dialect allows it."""
        anything = "(?s:.*)" if self.form.after_text else r"\s*"
        unlike = (f"~/{anything}{lark.pattern_of(trigger)}(?s:.*)/" for trigger in self.form.triggers)
        text = " & ".join(["TEXT: /(?s:.+)/", *unlike])
        opening = self._opening_after_text() if self.form.after_text else [self._opening()]
        return self._lark("start: TEXT? | calls", text, *opening)

    def instead_of(self, spec: GrammarSpec, *, param: str) -> str:
        """Lark text: calls, or what `spec` allows. Raises InvalidRequest, naming `param`, if the two cannot be had."""
        return self._lark("start: format | calls", f"format: {lark.rule(spec, param=param)}", self._opening())

    def _lark(self, *rules: str) -> str:
        form = self.form
        more = f" ({self._literal(form.next)} call)*" if self.many and form.next is not None else ""
        call = "\n    | ".join(
            f"{lark.string(name)} {self._literal(form.to_arguments)} " + lark.json_schema(schema)
            for name, schema in self.schemas.items()
        )
        calls = f"calls: opening call{more} {self._literal(form.end)}"
        return "\n".join(("%llguidance {}", *rules, calls, f"call: {call}", ""))

    def _opening(self) -> str:
        return "opening: " + " | ".join(map(self._literal, self.form.begin))

    def _opening_after_text(self) -> list[str]:
        openings: list[str] = []
        marked: list[str] = []
        for begin in self.form.begin:
            trigger = trigger_of(begin)
            if trigger in self.marker_ids:
                openings.append(f"TEXT? {self._literal(begin)}")
                continue
            # Where a marker is text, only its end tells that the text before it was not the answer's last.
            name = f"MARKED_{len(marked)}"
            marked.append(f"{name.lower()}[lazy]: /(?s:.*)/ {lark.string(trigger)}")
            openings.append(f"{name.lower()} {self._literal(begin.removeprefix(trigger))}")
        return ["opening: " + " | ".join(openings), *marked]

    def _literal(self, text: str) -> str:
        return lark.literal(text, self.marker_ids)
