"""A prefix in the artefact: exported and served, a first request finds it run, and answers as without it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from handler.artifact import verify_files
from handler.chat.conversation import Conversation, Message
from handler.chat.tools import ChatTools, Tool
from handler.engine.events import Event, Finished
from handler.engine.params import GenerationParams
from handler.errors import ArtifactError
from handler.loading import load_chat_service
from handler.manifest import ModelManifest
from handler.settings import Settings
from model_export.cli import main
from tests.fakes import told
from tests.model_export import tiny

SYSTEM = "You answer in one word."
LOOK_UP = {"name": "f", "parameters": {"type": "object"}}
PARAMS = GenerationParams(temperature=1, seed=3, max_tokens=8, top_logprobs=2)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {**tiny.CONFIG, "max_position_embeddings": 1024}
    directory = tmp_path_factory.mktemp("checkpoint") / "tiny"
    return tiny.write_directory(directory, tiny.weights(), config=config)


@pytest.fixture(scope="module")
def plain(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("plain") / "model"
    assert main([str(source), "--recipe", "fp32", "-o", str(output)]) == 0
    return output


def export(source: Path, directory: Path, name: str, content: str) -> Path:
    """The artefact with the prefix that a file of this name and content asks for."""
    (directory / name).write_text(content)
    output = directory / "model"
    assert main([str(source), "--recipe", "fp32", "-o", str(output), "--prefix", str(directory / name)]) == 0
    return output


def answer(model: Path, messages: Sequence[Message], tools: ChatTools | None = None) -> tuple[list[Event], int]:
    """What a fresh process says, as if nothing were cached, and how much was."""
    service = load_chat_service(Settings(model=model))
    prepared = service.prepare(Conversation(messages=tuple(messages)), PARAMS, tools=tools)
    *events, last = told(prepared.events())
    assert isinstance(last, Finished)
    return [*events, Finished(usage=replace(last.usage, cached_tokens=0))], last.usage.cached_tokens


def chat(system: str = SYSTEM) -> list[Message]:
    return [Message(role="system", content=system), Message(role="user", content="What is the capital of France?")]


def test_the_first_request_goes_on_from_the_prefix(
    source: Path, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = export(source, tmp_path, "system.txt", SYSTEM + "\n")
    manifest = ModelManifest.read(model)
    verify_files(model, manifest, full=True)
    assert manifest.prefix is not None
    assert f"prefix  {manifest.prefix.tokens} tokens" in capsys.readouterr().out
    # Two layers, keys and values, two heads of 16, float32; and the token's id.
    assert manifest.files[manifest.prefix.file].size == manifest.prefix.tokens * (2 * 2 * 2 * 16 * 4 + 4)
    found, cached = answer(model, chat())
    assert cached == manifest.prefix.tokens == 21  # a letter each, but for " wo"
    assert found == answer(plain, chat())[0]


def test_a_request_that_begins_otherwise_shares_what_it_can(source: Path, plain: Path, tmp_path: Path) -> None:
    model = export(source, tmp_path, "system.txt", SYSTEM)
    for system, shared in (("You answer in one sentence.", len("You answer in one")), ("Answer in one word.", 0)):
        found, cached = answer(model, chat(system))
        assert (found, cached) == (answer(plain, chat(system))[0], shared)


def test_messages_and_tools_can_begin_every_conversation(source: Path, plain: Path, tmp_path: Path) -> None:
    opening = {
        "messages": [{"role": "system", "content": SYSTEM}],
        "tools": [{"type": "function", "function": LOOK_UP}],
    }
    model = export(source, tmp_path, "opening.json", json.dumps(opening))
    tools = ChatTools(tools=(Tool(name="f", parameters={"type": "object"}),), choice="auto")
    found, cached = answer(model, chat(), tools)
    prefix = ModelManifest.read(model).prefix
    assert prefix is not None
    assert cached == prefix.tokens > 100
    assert found == answer(plain, chat(), tools)[0]


def test_a_conversation_that_begins_with_a_question(source: Path, tmp_path: Path) -> None:
    opening = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    model = export(source, tmp_path, "opening.json", json.dumps(opening))
    prefix = ModelManifest.read(model).prefix
    assert prefix is not None
    assert answer(model, chat()[1:])[1] == prefix.tokens - 2  # which are run in any case


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "too short", "the prefix has 9 tokens, fewer than 16 are never reused: leave it out"),
        ("a.txt", "x" * 1024, "the prefix has 1024 tokens and the window 1024: shorten the prefix"),
        ("a.json", "{", "Expecting property name"),
        ("a.json", '{"messages": []}', "messages: List should have at least 1 item"),
        ("a.json", '{"messages": [{"role": "tool", "content": ""}]}', "messages.0.role: Input should be 'system'"),
        ("a.json", '{"messages": [{"role": "user", "content": ["x"]}]}', "messages.0.content: Input should be a valid"),
        ("a.json", '{"messages": [{"role": "user", "content": "x"}], "model": "x"}', "model: Extra inputs are not"),
        (
            "a.json",
            json.dumps(
                {
                    "messages": [{"role": "user", "content": "x"}],
                    "tools": [{"type": "function", "function": LOOK_UP}] * 2,
                }
            ),
            "Two functions have the name 'f'.",
        ),
    ],
)
def test_a_prefix_that_cannot_be_baked_is_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, says: str
) -> None:
    (tmp_path / name).write_text(content)
    arguments = [str(source), "--recipe", "fp32", "-o", str(tmp_path / "out"), "--prefix", str(tmp_path / name)]
    assert main(arguments) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: the prefix ")
    assert says in line
    assert not (tmp_path / "out").exists()


def test_a_prefix_that_is_not_there_is_one_line(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(source), "-o", str(tmp_path / "out"), "--prefix", str(tmp_path / "none.txt")]) == 1
    assert capsys.readouterr().err == (
        f"error: there is no prefix {tmp_path / 'none.txt'}: give a text, or a .json with messages and tools\n"
    )


def test_a_model_without_chats_takes_no_prefix(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for file in source.iterdir():
        (base / file.name).symlink_to(file)
    (base / "tokenizer_config.json").unlink()
    (base / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}')
    (tmp_path / "system.txt").write_text(SYSTEM)
    arguments = [str(base), "--recipe", "fp32", "-o", str(tmp_path / "out"), "--prefix", str(tmp_path / "system.txt")]
    assert main(arguments) == 1
    assert "the model has no chat template, so no chats that a prefix could begin" in capsys.readouterr().err


def test_a_prefix_cut_short_is_refused_at_the_start(source: Path, tmp_path: Path) -> None:
    """With the hash of what is there, so that only its length tells."""
    model = export(source, tmp_path, "system.txt", SYSTEM)
    manifest = json.loads((model / "manifest.json").read_text())
    manifest["prefix"]["tokens"] += 1
    (model / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="bytes instead of"):
        load_chat_service(Settings(model=model))
