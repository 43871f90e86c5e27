"""The chat service: a conversation becomes a prompt, a prompt becomes events. Pure.

`prepare` raises everything that can be answered 4xx; what it returns only streams.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from handler.chat.answer_reader import AnswerReader
from handler.chat.conversation import Conversation, TemplateOptions
from handler.chat.deltas import ChatEvent
from handler.chat.limits import Limits, Speaker
from handler.chat.prompt import PromptBuilder
from handler.chat.reasoning_effort import has_switch
from handler.chat.room import fitted, positions_of
from handler.chat.stop_scope import OutsideCalls
from handler.chat.template import ChatTemplate
from handler.chat.tools import ChatTools, Tool
from handler.engine.decode import generate
from handler.engine.events import Delta, Finished, Stopped
from handler.engine.footprint import NOTHING, Footprint
from handler.engine.grammar import GrammarSpec
from handler.engine.params import GenerationParams
from handler.engine.ports import Decoder, GrammarCompiler, StopScope, Tokenizer
from handler.engine.prefix_cache import PrefixCache, Prefixes
from handler.engine.speculation import Proposer, Speculation
from handler.errors import ContextLengthExceeded, InvalidRequest, UnsupportedValue
from handler.frozen import dataclass

_TOKEN_CHARACTERS = 32  # more than a token has on average, whatever the language


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A loaded model. `chat_template` is None for a base model; `created` is in Unix seconds.

    `start_token_ids` are what the tokenizer puts before a raw prompt; `bos_token_id` begins a document, for a model
    that has such a token. `grammars` None: tools and formats are refused. `recommended` are the model's own values for
    request fields (`temperature`, `top_p`, …) that a request leaves open. `prefixes` None: each prompt is run whole.
    `step_costs`: the time of a step of 1, 2, … tokens, in steps of one: what guessing ahead is weighed against; empty:
    nothing is guessed. `footprint`: what its answers take of memory.
    """

    name: str
    created: int
    decoder: Decoder
    tokenizer: Tokenizer
    chat_template: ChatTemplate | None
    end_token_ids: tuple[int, ...]
    fingerprint: str
    start_token_ids: tuple[int, ...] = ()
    bos_token_id: int | None = None
    grammars: GrammarCompiler | None = None
    recommended: Mapping[str, float] = field(default_factory=dict)
    prefixes: PrefixCache | None = None
    step_costs: tuple[float, ...] = ()
    footprint: Footprint = NOTHING

    def prefixes_of(self, tenant: bytes) -> Prefixes | None:
        """What one tenant's prompts may go on from."""
        return None if self.prefixes is None else self.prefixes.of(tenant)

    def proposer(self, prompt_ids: Sequence[int], prediction_ids: Sequence[int] = ()) -> Callable[[], Proposer] | None:
        """What makes the guesses of an answer to `prompt_ids`; None where there are to be none."""
        if not self.step_costs:
            return None
        return partial(Speculation, prompt_ids, prediction_ids, step_costs=self.step_costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedChat:
    """A request that will be answered: nothing that is left to do can be the caller's fault."""

    model: ServedModel
    params: GenerationParams
    prompt_ids: tuple[int, ...]
    limits: Limits
    tenant: bytes = b""
    prediction_ids: tuple[int, ...] = ()

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt_ids)

    @property
    def most_tokens(self) -> int:
        """Prompt and answer together come to no more."""
        return self.prompt_tokens + most_generated(self.params, self.model.decoder.context_window - self.prompt_tokens)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes at most, beside the model's own."""
        window = self.model.decoder.context_window
        positions = positions_of(self.params, prompt_tokens=self.prompt_tokens, window=window)
        return self.model.footprint.needed(positions, self.params.n)

    def within(self, room: int) -> "PreparedChat":
        """The same in `room` bytes; an answer whose length was left open may be shorter. Raises OutOfMemory."""
        params = fitted(
            self.params,
            self.model.footprint,
            prompt_tokens=self.prompt_tokens,
            window=self.model.decoder.context_window,
            room=room,
            param="messages",
        )
        return replace(self, params=params)

    def events(self, should_stop: Callable[[], bool] = lambda: False) -> Generator[ChatEvent, None, None]:
        """Runs the model, lazily: `Step`s; text, thoughts and calls, at least one event for each token; one
        `Stopped` for each choice, one `Finished`.

        Each call is an answer of its own. Once `should_stop()` is true it ends as `length` with the text so far.
        Closing the iterator frees the sequence's memory.
        """
        readers = [AnswerReader(choice, self.limits.reading) for choice in range(self.params.n)]
        for event in generate(
            self.model.decoder,
            self.limits.tokenizer,
            self.prompt_ids,
            self.params,
            self.model.end_token_ids,
            should_stop=should_stop,
            grammar=self.limits.grammar,
            stop_scope=self._stop_scope() if self.params.stop else None,
            prefixes=self.model.prefixes_of(self.tenant),
            speculation=self.model.proposer(self.prompt_ids, self.prediction_ids),
        ):
            match event:
                case Delta():
                    yield from readers[event.choice].delta(event)
                case Stopped():
                    yield from readers[event.choice].stopped(event)
                case Finished(usage=usage):
                    thought = sum(reader.reasoning_tokens for reader in readers)
                    yield Finished(usage=replace(usage, reasoning_tokens=min(thought, usage.completion_tokens)))
                case _:
                    yield event

    def _stop_scope(self) -> Callable[[], StopScope] | None:
        reading = self.limits.reading
        return None if reading.form is None else partial(OutsideCalls, reading, reading.form)


class ChatService:
    """Answers chats with one model. Thread-safe."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self._prompts: PromptBuilder | None = None
        if model.chat_template is not None:
            self._prompts = PromptBuilder(model.chat_template, model.tokenizer, model.end_token_ids)

    @property
    def has_reasoning_switch(self) -> bool:
        """Whether `reasoning_effort` reaches the model."""
        template = self.model.chat_template
        return template is not None and has_switch(template.variables)

    def warm(self) -> None:
        """Compiles the template now, so that the first chat need not. Raises ArtifactError if it is not Jinja."""
        if self._prompts is not None:
            self._prompts.warm()

    def prepare(
        self,
        conversation: Conversation,
        params: GenerationParams,
        options: TemplateOptions | None = None,
        *,
        tools: ChatTools | None = None,
        response_format: GrammarSpec | None = None,
        tenant: bytes = b"",
        prediction: str | None = None,
    ) -> PreparedChat:
        """Renders and encodes the prompt, and compiles what the answer is limited to. `tenant` is whom it is for;
        `prediction` text that it may repeat, of which no more is used than the window could hold.

        Raises InvalidRequest, UnsupportedValue or ContextLengthExceeded.
        """
        model = self.model
        check_token_ids(params, model.decoder.vocab_size)
        check_ends(params, calls=tools is not None and bool(tools.callable), formatted=response_format is not None)
        prompts = self._prompt_builder()
        window = model.decoder.context_window
        prompt = prompts.build(conversation, options or TemplateOptions(), _shown(tools), window=window)
        if len(prompt.token_ids) >= window:
            raise ContextLengthExceeded(prompt_tokens=len(prompt.token_ids), context_window=window)
        speaker = Speaker(
            tokenizer=model.tokenizer,
            end_token_ids=model.end_token_ids,
            grammars=model.grammars,
            marks=prompts.think_marks,
            form=prompts.tool_abilities.form,
        )
        limits = speaker.limits(tools, response_format, opens_thought=prompt.opens_thought)
        if tools is not None and tools.forced:
            params = replace(params, stop=())  # stop strings are matched in text, and such an answer has none
            limits = replace(limits, reading=replace(limits.reading, forced=True))
        hoped = (prediction or "")[: window * _TOKEN_CHARACTERS]
        predicted = model.tokenizer.encode(hoped, special=False)[:window] if hoped else ()
        return PreparedChat(
            model=model,
            params=params,
            prompt_ids=tuple(prompt.token_ids),
            limits=limits,
            tenant=tenant,
            prediction_ids=tuple(predicted),
        )

    def prompt_ids(
        self, conversation: Conversation, options: TemplateOptions, tools: ChatTools | None = None
    ) -> tuple[int, ...]:
        """The prompt's token ids, however many. Raises InvalidRequest or UnsupportedValue."""
        return tuple(self._prompt_builder().build(conversation, options, _shown(tools)).token_ids)

    def _prompt_builder(self) -> PromptBuilder:
        if self._prompts is None:
            raise UnsupportedValue(
                f"The model {self.model.name!r} has no chat template: use /v1/completions, or export it with a"
                " template.",
                param="messages",
            )
        return self._prompts


def _shown(tools: ChatTools | None) -> tuple[Tool, ...]:
    """The functions that the model is told of."""
    if tools is None:
        return ()
    tools.check()
    return () if tools.choice == "none" else tools.tools


def most_generated(params: GenerationParams, room: int) -> int:
    """How many tokens all choices together can have, where the window has `room` for each."""
    return params.n * (room if params.max_tokens is None else min(params.max_tokens, room))


def check_token_ids(params: GenerationParams, vocab_size: int) -> None:
    """Raises InvalidRequest if `params` names a token that the model does not have."""
    for name, token_ids in (("logit_bias", params.logit_bias), ("stop_token_ids", params.stop_token_ids)):
        for token_id in token_ids:
            if not 0 <= token_id < vocab_size:
                raise InvalidRequest(
                    f"{name} names the token id {token_id}; this model's ids run from 0 to {vocab_size - 1}.",
                    param=name,
                )


def check_ends(params: GenerationParams, *, calls: bool = False, formatted: bool = False) -> None:
    """Raises UnsupportedValue where `params` would end what has to be whole, a call or a format, too early or never."""
    if params.stop_token_ids and (calls or formatted):
        raise UnsupportedValue(
            "stop_token_ids would cut a call or a format short: leave them out, or send neither functions to call nor"
            " a format other than text.",
            param="stop_token_ids",
        )
    if params.ignore_eos and formatted:
        raise UnsupportedValue(
            "An answer in a format has to end: ignore_eos goes only with a format of text.", param="ignore_eos"
        )
