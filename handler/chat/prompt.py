"""From a conversation to prompt token ids: fold, disarm, render, encode. Pure."""

import functools
import json
from collections.abc import Collection, Sequence
from functools import partial

from handler.chat.conversation import Conversation, Message, TemplateOptions, ToolCall
from handler.chat.folding import Abilities, fold, probe
from handler.chat.long_text import refuse_far_too_long
from handler.chat.reasoning_effort import effort_variables
from handler.chat.safety import ControlTokens, map_text, unused_characters
from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.chat.thinking import ThinkMarks, find_marks
from handler.chat.tool_abilities import ToolAbilities, probe_tools
from handler.chat.tool_turns import fold_tools, template_tool
from handler.chat.tools import Tool
from handler.engine.ports import Tokenizer
from handler.errors import InvalidRequest
from handler.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's token ids, and whether it ends in a thought that the answer continues."""

    token_ids: list[int]
    opens_thought: bool


class PromptBuilder:
    """Builds prompts for one model. Thread-safe; nothing is compiled before the first prompt."""

    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer, end_token_ids: Collection[int] = ()) -> None:
        self._template = template
        self._tokenizer = tokenizer
        self._end_token_ids = end_token_ids

    @functools.cached_property
    def _abilities(self) -> Abilities:
        return probe(self._template)

    @functools.cached_property
    def _control(self) -> ControlTokens:
        return ControlTokens(self._tokenizer)

    @functools.cached_property
    def tool_abilities(self) -> ToolAbilities:
        """What the template can do with tools, and the dialect of the model's calls."""
        return probe_tools(self._template, self._tokenizer.control_tokens, self._end_token_ids)

    @functools.cached_property
    def think_marks(self) -> ThinkMarks | None:
        """What stands around the model's thoughts; None: it does not think."""
        return find_marks(self._template.source, self._tokenizer)

    def warm(self) -> None:
        """Compiles what is compiled once. Raises ArtifactError if the template is not Jinja."""
        _ = self._abilities, self._control, self.tool_abilities, self.think_marks

    def build(
        self,
        conversation: Conversation,
        options: TemplateOptions,
        tools: Sequence[Tool] = (),
        *,
        window: int | None = None,
    ) -> Prompt:
        """The prompt; `tools` are the functions that the model is told of. `window`: of the model, in tokens, where a
        prompt that is far too long for it need not be encoded.

        Raises InvalidRequest for what the template or the options do not allow, ContextLengthExceeded.
        """
        try:
            return self._build(conversation, options, tools, window)
        except RecursionError:
            raise InvalidRequest("The messages hold JSON that is nested too deeply.", param="messages") from None

    def _build(
        self, conversation: Conversation, options: TemplateOptions, tools: Sequence[Tool], window: int | None
    ) -> Prompt:
        _check(conversation, options)
        abilities = self.tool_abilities
        turns = [
            template_message(turn, text_arguments=abilities.text_arguments, null_content=abilities.null_content)
            for turn in fold(fold_tools(conversation.messages, tools, abilities), self._abilities)
        ]
        told = [template_tool(tool) for tool in tools] if abilities.tools else []
        kwargs = self._variables(options)
        control = self._control
        end_mark, *characters = unused_characters([turns, told, kwargs], 1 + len(control.first_characters))
        stand_ins = dict(zip(control.first_characters, characters, strict=True))

        def disarm(text: str) -> str:
            return control.disarm(text, stand_ins)

        turns = [{**turn, **{key: map_text(turn[key], disarm) for key in turn.keys() - {"role"}}} for turn in turns]
        if options.continue_final_message:
            turns[-1]["content"] = f"{turns[-1]['content'] or ''}{end_mark} "
        try:
            prompt = self._template.render(
                turns,
                add_generation_prompt=options.add_generation_prompt,
                tools=[{key: map_text(value, disarm) for key, value in tool.items()} for tool in told] or None,
                template_kwargs={key: map_text(value, disarm) for key, value in kwargs.items()},
            )
        except TemplateRefusal as refusal:
            raise InvalidRequest(
                f"The model's chat template refuses these messages: {refusal}", param="messages"
            ) from None
        if options.continue_final_message:
            prompt = _cut(prompt, end_mark)
        if window is not None:
            refuse_far_too_long(partial(self._tokenizer.encode, special=True), prompt, window=window)
        marks = self.think_marks
        return Prompt(control.encode(prompt, stand_ins), marks is not None and marks.are_left_open(prompt))

    def _variables(self, options: TemplateOptions) -> dict[str, object]:
        """What the template's variables are set to; what the caller sets by name stands above what follows from it."""
        effort = effort_variables(
            options.reasoning_effort, self._template.variables, thinks=self.think_marks is not None
        )
        return {**effort, **options.template_kwargs}


def template_message(turn: Message, *, text_arguments: bool = False, null_content: bool = False) -> dict[str, object]:
    """A turn as chat templates know it: `content` is always text, a call's arguments an object if they parse.

    `text_arguments`: the template wants them as text instead. `null_content`: it wants None where a turn only calls.
    """
    nothing = None if null_content and turn.tool_calls else ""
    message: dict[str, object] = {"role": turn.role, "content": turn.content or turn.refusal or nothing}
    optional = {"name": turn.name, "tool_call_id": turn.tool_call_id, "reasoning_content": turn.reasoning_content}
    message |= {key: value for key, value in optional.items() if value is not None}
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments if text_arguments else _arguments(call)},
            }
            for call in turn.tool_calls
        ]
    return message


def _arguments(call: ToolCall) -> object:
    try:
        arguments = json.loads(call.arguments)
        json.dumps(arguments, ensure_ascii=False).encode()  # an escape may stand for half a surrogate pair
    except (ValueError, RecursionError):
        return call.arguments
    return arguments if isinstance(arguments, dict) else call.arguments


def _check(conversation: Conversation, options: TemplateOptions) -> None:
    if not options.continue_final_message:
        return
    if options.add_generation_prompt:
        raise InvalidRequest(
            "continue_final_message and add_generation_prompt exclude each other: set add_generation_prompt to false.",
            param="continue_final_message",
        )
    if conversation.messages[-1].role != "assistant":
        raise InvalidRequest(
            "continue_final_message needs an assistant message at the end.", param="continue_final_message"
        )


def _cut(prompt: str, end_mark: str) -> str:
    """The prompt up to the end of the final message's text."""
    text, found, after = prompt.rpartition(end_mark)
    if not found:
        raise InvalidRequest(
            "The model's chat template does not render the end of the final message: it cannot be continued.",
            param="continue_final_message",
        )
    # A template that trims messages has trimmed the space behind the mark; what stood before it is trimmed likewise.
    return text if after.startswith(" ") else text.rstrip()
