"""Requests to /tokenize and /detokenize: a JSON object in, typed values out. Pure."""

from collections.abc import Sequence

from handler.api import fields, tokenize_fields
from handler.api.chat_request import template_options
from handler.api.field import Field
from handler.api.unknown_keys import UnknownFields, find_unknown, settle_unknown
from handler.api.values import JsonObject
from handler.chat.conversation import Conversation, TemplateOptions
from handler.chat.tools import ChatTools
from handler.errors import InvalidRequest
from handler.frozen import dataclass

_BOTH_FORMS = frozenset(row.name for row in (*tokenize_fields.TEXT_FIELDS, *tokenize_fields.CHAT_FIELDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatText:
    """A chat whose prompt is wanted."""

    conversation: Conversation
    template: TemplateOptions
    tools: ChatTools | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """What is to be encoded. `model` None: the first one. `dropped` lists unknown keys that a setting let pass."""

    model: str | None = None
    text: str | ChatText
    add_start: bool
    token_strs: bool = False
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetokenizeRequest:
    """What is to be decoded."""

    model: str | None = None
    tokens: tuple[int, ...]
    dropped: tuple[str, ...] = ()


def read_tokenize_request(body: JsonObject, *, unknown_fields: UnknownFields = "reject") -> TokenizeRequest:
    """The typed request, of the form that its fields tell. Raises InvalidRequest."""
    is_chat = body.get("messages") is not None
    if is_chat and body.get("prompt") is not None:
        raise InvalidRequest("'prompt' and 'messages' exclude each other.", param="messages")
    rows = tokenize_fields.CHAT_FIELDS if is_chat else tokenize_fields.TEXT_FIELDS
    dropped = _settle(body, rows, unknown_fields)
    added = tokenize_fields.ADD_TO_CHAT if is_chat else tokenize_fields.ADD_TO_TEXT
    return TokenizeRequest(
        model=tokenize_fields.MODEL.of(body),
        text=_chat(body) if is_chat else tokenize_fields.PROMPT.of(body),
        add_start=added.of(body),
        token_strs=tokenize_fields.RETURN_TOKEN_STRS.of(body),
        dropped=dropped,
    )


def read_detokenize_request(body: JsonObject, *, unknown_fields: UnknownFields = "reject") -> DetokenizeRequest:
    """The typed request. Raises InvalidRequest."""
    names = frozenset(row.name for row in tokenize_fields.DETOKENIZE_FIELDS)
    dropped = settle_unknown(find_unknown(body, names), unknown_fields)
    return DetokenizeRequest(
        model=tokenize_fields.MODEL.of(body), tokens=tokenize_fields.TOKENS.of(body), dropped=dropped
    )


def _chat(body: JsonObject) -> ChatText:
    tools = fields.TOOLS.of(body)
    return ChatText(
        conversation=Conversation(messages=fields.MESSAGES.of(body)),
        template=template_options(body),
        tools=ChatTools(tools=tools) if tools else None,
    )


def _settle(body: JsonObject, rows: Sequence[Field[object]], unknown_fields: UnknownFields) -> tuple[str, ...]:
    """Settles unknown keys and checks the rows that change nothing; the paths of the keys that were dropped."""
    # A null of the other form is absent, as every null.
    absent = {name for name in _BOTH_FORMS if body.get(name) is None}
    dropped = settle_unknown(find_unknown(body, absent | {row.name for row in rows}), unknown_fields)
    for row in rows:
        if row.standing != "effective":
            row.of(body)
    return dropped
