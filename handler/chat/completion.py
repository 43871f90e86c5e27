"""Raw completions: prompts that no template prepares, each continued by the model. Pure.

`prepare_completion` raises everything that can be answered 4xx; what it returns only streams.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from handler.chat.long_text import refuse_far_too_long
from handler.chat.raw import RawText, check_known
from handler.chat.room import fitted, positions_of
from handler.chat.service import ServedModel, check_ends, check_token_ids, most_generated
from handler.engine.decode import generate
from handler.engine.events import Delta, Finished, SampledToken, Stopped, Usage
from handler.engine.grammar import GrammarSpec
from handler.engine.params import GenerationParams
from handler.engine.ports import Grammar
from handler.engine.scoring import score
from handler.engine.step import Step
from handler.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter

# Text, or the token ids themselves.
Prompt = str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoedToken:
    """A token of the prompt. `shown` are its bytes in the echoed text: none for a start token that the server put
    before it. `sampled` is what the model thought of it; None for the first, before which there was nothing."""

    token_id: int
    shown: bytes
    sampled: SampledToken | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """The prompt, given back before its continuation. `tokens` is empty where nobody asked for log-probabilities."""

    choice: int
    text: str
    tokens: tuple[EchoedToken, ...] = ()


CompletionEvent = Step | Echo | Delta | Stopped | Finished


@dataclass(frozen=True, slots=True)
class Constraint:
    """What each completion is limited to; `param`: where the request says so."""

    grammar: GrammarSpec
    param: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPrompt:
    """A prompt as the model gets it; the first `added` tokens are the server's. `text` None: it came as token ids."""

    text: str | None
    token_ids: tuple[int, ...]
    added: int


@dataclass(frozen=True, kw_only=True)
class PreparedCompletion:
    """A request that will be answered: nothing that is left to do can be the caller's fault."""

    model: ServedModel
    params: GenerationParams
    prompts: tuple[RawPrompt, ...]
    echo: bool
    grammar: Callable[[], Grammar] | None = None
    tenant: bytes = b""

    @property
    def prompt_tokens(self) -> int:
        return sum(len(prompt.token_ids) for prompt in self.prompts)

    @property
    def most_tokens(self) -> int:
        """Prompts and answers together come to no more."""
        window = self.model.decoder.context_window
        return self.prompt_tokens + sum(
            most_generated(self.params, window - len(prompt.token_ids)) for prompt in self.prompts
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes at most, beside the model's own: prompts are run one after the other."""
        window = self.model.decoder.context_window
        positions = positions_of(self.params, prompt_tokens=self._longest_prompt, window=window)
        return self.model.footprint.needed(positions, self.params.n)

    def within(self, room: int) -> "PreparedCompletion":
        """The same in `room` bytes; answers whose length was left open may be shorter. Raises OutOfMemory."""
        params = fitted(
            self.params,
            self.model.footprint,
            prompt_tokens=self._longest_prompt,
            window=self.model.decoder.context_window,
            room=room,
            param="prompt",
        )
        return replace(self, params=params)

    @property
    def _longest_prompt(self) -> int:
        return max(len(prompt.token_ids) for prompt in self.prompts)

    def events(self, should_stop: Callable[[], bool] = lambda: False) -> Generator[CompletionEvent, None, None]:
        """Runs the model, lazily, one prompt after the other; the choices of the i-th begin with i·n.

        Each choice is an `Echo` where asked for, `Delta`s and one `Stopped`. One `Finished` ends them all. Once
        `should_stop()` is true every choice ends as `length` with the text so far. Closing the iterator frees memory.
        """
        counts: list[Usage] = []
        for index, prompt in enumerate(self.prompts):
            first_choice = index * self.params.n
            if self.echo:
                yield from self._echo(prompt, first_choice, should_stop)
            for event in self._continuation(prompt, should_stop):
                if isinstance(event, Finished):
                    counts.append(event.usage)
                elif isinstance(event, Step) or not first_choice:
                    yield event
                else:
                    yield replace(event, choice=first_choice + event.choice)
        yield Finished(
            usage=Usage(
                prompt_tokens=sum(usage.prompt_tokens for usage in counts),
                completion_tokens=sum(usage.completion_tokens for usage in counts),
                cached_tokens=sum(usage.cached_tokens for usage in counts),
            )
        )

    def _continuation(
        self, prompt: RawPrompt, should_stop: Callable[[], bool]
    ) -> Iterator[Step | Delta | Stopped | Finished]:
        if self.params.max_tokens == 0:
            yield from (Stopped(choice=choice, reason="length") for choice in range(self.params.n))
            yield Finished(usage=Usage(prompt_tokens=len(prompt.token_ids), completion_tokens=0))
            return
        yield from generate(
            self.model.decoder,
            self.model.tokenizer,
            prompt.token_ids,
            self.params,
            self.model.end_token_ids,
            should_stop=should_stop,
            grammar=self.grammar,
            prefixes=self.model.prefixes_of(self.tenant),
            speculation=self.model.proposer(prompt.token_ids),
        )

    def _echo(
        self, prompt: RawPrompt, first_choice: int, should_stop: Callable[[], bool]
    ) -> Generator[CompletionEvent, None, None]:
        text = self._raw.decode(prompt.token_ids) if prompt.text is None else prompt.text
        tokens: tuple[EchoedToken, ...] = ()
        if (top := self.params.top_logprobs) is not None:
            model, token_ids = self.model, prompt.token_ids
            scored = yield from score(model.decoder, model.tokenizer, token_ids, top, should_stop=should_stop)
            shown = self._shown(prompt, text)
            tokens = tuple(
                EchoedToken(token_id=token_id, shown=data, sampled=sampled)
                # Shorter than the prompt only where scoring was told to stop.
                for token_id, data, sampled in zip(token_ids, shown, (None, *scored), strict=False)
            )
        for choice in range(first_choice, first_choice + self.params.n):
            yield Echo(choice=choice, text=text, tokens=tokens)

    def _shown(self, prompt: RawPrompt, text: str) -> list[bytes]:
        """Each token's bytes in the prompt's text."""
        shown = [b""] * prompt.added + [self._raw.written(i) for i in prompt.token_ids[prompt.added :]]
        # A space that the vocabulary puts before a text is none of the text's.
        if prompt.added < len(shown) and b"".join(shown) == b" " + text.encode():
            shown[prompt.added] = shown[prompt.added][1:]
        return shown

    @cached_property
    def _raw(self) -> RawText:
        return RawText(self.model)


def prepare_completion(
    model: ServedModel,
    prompts: Sequence[Prompt],
    params: GenerationParams,
    *,
    echo: bool,
    add_start: bool = True,
    constraint: Constraint | None = None,
    tenant: bytes = b"",
) -> PreparedCompletion:
    """Encodes the prompts and compiles the constraint. Raises InvalidRequest, UnsupportedValue or
    ContextLengthExceeded.

    A prompt of text begins as the model's tokenizer begins one, unless `add_start` is false; token ids are taken as
    they are. An empty text is the beginning of a new document. `params.max_tokens` may be 0: only the prompt is run.
    `tenant` is whom it is for.
    """
    check_token_ids(params, model.decoder.vocab_size)
    check_ends(params, formatted=constraint is not None)
    raw = RawText(model)
    prepared = tuple(_raw_prompt(model, raw, prompt, add_start=add_start) for prompt in prompts)
    window = model.decoder.context_window
    room_needed = 0 if params.max_tokens == 0 else 1
    for prompt in prepared:
        if len(prompt.token_ids) + room_needed > window:
            raise ContextLengthExceeded(prompt_tokens=len(prompt.token_ids), context_window=window, param="prompt")
    grammar = None if constraint is None else _compile(model, constraint)
    return PreparedCompletion(model=model, params=params, prompts=prepared, echo=echo, grammar=grammar, tenant=tenant)


def _compile(model: ServedModel, constraint: Constraint) -> Callable[[], Grammar]:
    if model.grammars is None:
        raise UnsupportedParameter("This model is served without grammars.", param=constraint.param)
    return model.grammars.compile(constraint.grammar, param=constraint.param)


def _raw_prompt(model: ServedModel, raw: RawText, prompt: Prompt, *, add_start: bool) -> RawPrompt:
    if not isinstance(prompt, str):
        check_known(prompt, model.decoder.vocab_size, "prompt")
        return RawPrompt(text=None, token_ids=prompt, added=0)
    refuse_far_too_long(
        partial(raw.encode, add_start=False), prompt, window=model.decoder.context_window, param="prompt"
    )
    token_ids = raw.encode(prompt, add_start=add_start)
    if token_ids:
        return RawPrompt(text=prompt, token_ids=token_ids, added=len(model.start_token_ids) if add_start else 0)
    if model.bos_token_id is None:
        raise InvalidRequest(
            "The prompt is empty, and this model has no token that begins a document: send some text.", param="prompt"
        )
    return RawPrompt(text=prompt, token_ids=(model.bos_token_id,), added=1)
