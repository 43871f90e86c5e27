"""From a conversation to prompt token ids: fold, disarm, render, encode. Pure."""

import functools
import json

from handler.chat.conversation import Conversation, Message, TemplateOptions, ToolCall
from handler.chat.folding import Abilities, fold, probe
from handler.chat.safety import ControlTokens, map_text, unused_characters
from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.engine.ports import Tokenizer
from handler.errors import InvalidRequest


class PromptBuilder:
    """Builds prompts for one model. Thread-safe; nothing is compiled before the first prompt."""

    def __init__(self, template: ChatTemplate, tokenizer: Tokenizer) -> None:
        self._template = template
        self._tokenizer = tokenizer

    @functools.cached_property
    def _abilities(self) -> Abilities:
        return probe(self._template)

    @functools.cached_property
    def _control(self) -> ControlTokens:
        return ControlTokens(self._tokenizer)

    def warm(self) -> None:
        """Compiles what is compiled once. Raises ArtifactError if the template is not Jinja."""
        _ = self._abilities, self._control

    def build(self, conversation: Conversation, options: TemplateOptions) -> list[int]:
        """Token ids of the prompt. Raises InvalidRequest for what the template or the options do not allow."""
        try:
            return self._build(conversation, options)
        except RecursionError:
            raise InvalidRequest("The messages hold JSON that is nested too deeply.", param="messages") from None

    def _build(self, conversation: Conversation, options: TemplateOptions) -> list[int]:
        _check(conversation, options)
        turns = [template_message(turn) for turn in fold(conversation.messages, self._abilities)]
        kwargs = dict(options.template_kwargs)
        control = self._control
        end_mark, *characters = unused_characters([turns, kwargs], 1 + len(control.first_characters))
        stand_ins = dict(zip(control.first_characters, characters, strict=True))

        def disarm(text: str) -> str:
            return control.disarm(text, stand_ins)

        turns = [{**turn, **{key: map_text(turn[key], disarm) for key in turn.keys() - {"role"}}} for turn in turns]
        if options.continue_final_message:
            turns[-1]["content"] = f"{turns[-1]['content']}{end_mark} "
        try:
            prompt = self._template.render(
                turns,
                add_generation_prompt=options.add_generation_prompt,
                template_kwargs={key: map_text(value, disarm) for key, value in kwargs.items()},
            )
        except TemplateRefusal as refusal:
            raise InvalidRequest(
                f"The model's chat template refuses these messages: {refusal}", param="messages"
            ) from None
        if options.continue_final_message:
            prompt = _cut(prompt, end_mark)
        return control.encode(prompt, stand_ins)


def template_message(turn: Message) -> dict[str, object]:
    """A turn as chat templates know it: `content` is always text, a call's arguments an object if they parse."""
    message: dict[str, object] = {"role": turn.role, "content": turn.content or turn.refusal or ""}
    optional = {"name": turn.name, "tool_call_id": turn.tool_call_id, "reasoning_content": turn.reasoning_content}
    message |= {key: value for key, value in optional.items() if value is not None}
    if turn.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
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
