"""The prefix of an artefact: how its conversations begin, run once at export so that no start has to.

A file says how: a `.json` with `messages` and perhaps `tools` in OpenAI's shape, any other is the text of a system
prompt. It is run in the chunks and by the decoder that will serve it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handler.artifact import describe_file
from handler.chat.conversation import Conversation, Message, TemplateOptions
from handler.chat.prompt import PromptBuilder
from handler.chat.template import ChatTemplate
from handler.chat.tools import ChatTools, Tool
from handler.engine.decode import chunk_at
from handler.engine.prefix_cache import MIN_TOKENS
from handler.engine.widths import chunk_end
from handler.errors import EndpointError
from handler.manifest import PREFIX_FILE, ModelManifest, Prefix
from handler.ort.baked import write_prefix
from handler.ort.decoder import load_decoder
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress

# Two users' messages that share no character: what a template puts before both, it puts before any.
_USERS = ("Hello", "7 × 6?")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Message(_Strict):
    role: Literal["system", "developer", "user", "assistant"]
    content: str


class _Function(_Strict):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(_Strict):
    type: Literal["function"]
    function: _Function


class _File(_Strict):
    messages: list[_Message] = Field(min_length=1)
    tools: list[_Tool] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How every conversation begins: the first turns, at least one, and the functions that the model is told of."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()


def read_opening(path: Path) -> Opening:
    """Reads the file. Of a text, a line break at the end belongs to the file and not to the prompt.

    Raises ExportError naming what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ExportError(f"there is no prefix {path}: give a text, or a .json with messages and tools") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"the prefix {path} cannot be read ({error}): give a text, or a .json") from None
    if path.suffix != ".json":
        return Opening(messages=(Message(role="system", content=text.removesuffix("\n")),))
    try:
        file = _File.model_validate(json.loads(text))
        tools = tuple(_tool(tool.function) for tool in file.tools)
        ChatTools(tools=tools).check()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ExportError(f"the prefix {path}: {where}: {first['msg']}") from None
    except (ValueError, EndpointError) as error:
        raise ExportError(f"the prefix {path}: {error}") from None
    return Opening(messages=tuple(Message(role=m.role, content=m.content) for m in file.messages), tools=tools)


def bake(
    opening: Opening, checkpoint: Checkpoint, manifest: ModelManifest, directory: Path, progress: Progress
) -> ModelManifest:
    """Runs the opening through the artefact in `directory` and stores its KV there. Returns the manifest with it.

    Raises ExportError if the model has no chats, and if the opening does not fit its template or its window.
    """
    token_ids = opening_ids(opening, checkpoint, HFTokenizer.from_file(directory / manifest.tokenizer_file))
    if len(token_ids) < MIN_TOKENS:
        raise ExportError(
            f"the prefix has {len(token_ids)} tokens, fewer than {MIN_TOKENS} are never reused: leave it out"
        )
    if len(token_ids) >= manifest.context_window:
        raise ExportError(
            f"the prefix has {len(token_ids)} tokens and the window {manifest.context_window}: shorten the prefix"
        )
    decoder = load_decoder(directory, manifest, threads=0)
    session = decoder.open()
    with progress.phase("prefix", total=len(token_ids), unit="token") as step:
        while session.length < len(token_ids):
            start = session.length
            session.forward(token_ids[start : chunk_end(start, len(token_ids), chunk_at(start, decoder.prefill_chunk))])
            step(session.length - start)
    write_prefix(directory / PREFIX_FILE, session)
    files = {**manifest.files, PREFIX_FILE: describe_file(directory / PREFIX_FILE)}
    return manifest.model_copy(update={"prefix": Prefix(tokens=len(token_ids)), "files": dict(sorted(files.items()))})


def opening_ids(opening: Opening, checkpoint: Checkpoint, tokenizer: HFTokenizer) -> Sequence[int]:
    """The tokens that each conversation with this opening begins with, whatever the user says then.

    Found by asking: some templates refuse a conversation without a user, or put the system's words into his turn.
    """
    if checkpoint.chat_template is None:
        raise ExportError("the model has no chat template, so no chats that a prefix could begin: leave it out")
    template = ChatTemplate(checkpoint.chat_template, checkpoint.special_tokens)
    prompts = PromptBuilder(template, tokenizer, checkpoint.end_token_ids)

    def build(messages: tuple[Message, ...]) -> list[int]:
        try:
            return prompts.build(Conversation(messages=messages), TemplateOptions(), opening.tools).token_ids
        except EndpointError as error:
            raise ExportError(f"the prefix does not fit the model: {error}") from None

    if opening.messages[-1].role == "user":
        return build(opening.messages)
    one, other = (build((*opening.messages, Message(role="user", content=said))) for said in _USERS)
    shared = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return one[:shared]


def _tool(function: _Function) -> Tool:
    return Tool(
        name=function.name,
        description=function.description,
        parameters=function.parameters,
        strict=function.strict or False,
    )
