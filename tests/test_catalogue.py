"""Names and memory of what a deployment serves."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from handler.api.ledger import Ledger
from handler.api.shelf import Slot
from handler.catalogue import Catalogue, loaded_bytes, make_shelf
from handler.chat.card import ModelCard
from handler.errors import ConfigurationError
from handler.location import NamedLocation, S3Location, parse_named_locations
from handler.manifest import FileEntry, ModelManifest
from handler.process_memory import memory_limit, resident_bytes
from tests.fakes import chat_service
from tests.test_manifest import manifest

MB = 2**20


def slot(name: str, nbytes: int = 0, *, loaded: bool = False) -> Slot[object]:
    card = ModelCard(name=name, created=0, context_window=8)
    return Slot(card, nbytes=nbytes, load=chat_service, service=chat_service() if loaded else None)


@dataclass(frozen=True)
class Source:
    """A `ModelSource` of which nothing is fetched."""

    manifest: ModelManifest
    in_memory: bool

    def fetch(self) -> NoReturn:
        raise AssertionError("nobody asked for the files")


def test_a_model_whose_files_lie_in_memory_takes_them_besides() -> None:
    weights = manifest().model_copy(update={"files": {"model.onnx": FileEntry(sha256="0" * 64, size=100 * MB)}})
    assert (loaded_bytes(Source(weights, False)), loaded_bytes(Source(weights, True))) == (120 * MB, 220 * MB)


def test_two_models_of_one_name_are_refused_whatever_they_are() -> None:
    catalogue = Catalogue()
    catalogue.add_chat(slot("one"), ["gpt-4o", "gpt-4o"])
    for add in (catalogue.add_chat, catalogue.add_embedding):
        with pytest.raises(ConfigurationError, match="Two models are both named gpt-4o"):
            add(slot("gpt-4o"))
        with pytest.raises(ConfigurationError, match="Two models are both named one"):
            add(slot("two"), ["one"])


def test_a_slot_of_many_names_is_one_slot() -> None:
    catalogue = Catalogue()
    catalogue.add_chat(one := slot("one"), ["alias"])
    catalogue.add_embedding(two := slot("two"))
    assert (catalogue.slots, list(catalogue.chats), list(catalogue.embeddings)) == (
        [one, two],
        ["one", "alias"],
        ["two"],
    )


def test_a_shelf_has_what_the_process_leaves() -> None:
    first = slot("one", 164 * MB, loaded=True)  # 100 and 64 to work with
    shelf = make_shelf([first], Ledger(), memory=512 * MB, resident=180 * MB, budget=0, after_dropping=lambda: None)
    assert shelf.ledger.capacity == (512 - 64 - 80) * MB
    assert shelf.ledger.free == (512 - 64 - 80 - 164) * MB


def test_pages_of_files_that_are_used_where_they_are_count_once() -> None:
    first = slot("one", 164 * MB, loaded=True)
    first.mapped = 90 * MB  # so 10 of its 100 are among the resident
    shelf = make_shelf([first], Ledger(), memory=512 * MB, resident=90 * MB, budget=0, after_dropping=lambda: None)
    assert shelf.ledger.capacity == (512 - 64 - 80) * MB


def test_further_models_may_have_names_of_their_own() -> None:
    digest = "0" * 64
    assert parse_named_locations(f"fast=/m/a, /m/b=c,,org/name=s3://bucket/a=b@sha256:{digest},../x=y") == (
        NamedLocation(name="fast", location=Path("/m/a")),
        NamedLocation(name=None, location=Path("/m/b=c")),
        NamedLocation(name="org/name", location=S3Location(bucket="bucket", prefix="a=b", sha256=digest)),
        NamedLocation(name=None, location=Path("../x=y")),
    )


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no location of a model"):
        parse_named_locations("fast=ftp://host/x")


def test_memory_is_what_is_given_then_the_functions_then_the_smallest_limit(tmp_path: Path) -> None:
    assert memory_limit(given_mb=300, lambda_mb=512) == 300 * MB
    assert memory_limit(given_mb=0, lambda_mb=512) == 512 * MB
    machine = memory_limit(given_mb=0, lambda_mb=None, root=tmp_path)
    cgroup = tmp_path / "sys/fs/cgroup"
    cgroup.mkdir(parents=True)
    (cgroup / "memory.max").write_text("max\n")
    assert memory_limit(given_mb=0, lambda_mb=None, root=tmp_path) == machine
    (cgroup / "memory.max").write_text(f"{64 * MB}\n")
    assert memory_limit(given_mb=0, lambda_mb=None, root=tmp_path) == 64 * MB
    (cgroup / "memory").mkdir()
    (cgroup / "memory" / "memory.limit_in_bytes").write_text(f"{32 * MB}\n")
    assert memory_limit(given_mb=0, lambda_mb=None, root=tmp_path) == 32 * MB


def test_resident_memory_is_what_no_file_backs(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmRSS:\t  900 kB\nRssAnon:\t  200 kB\nRssFile:\t  700 kB\n")
    assert resident_bytes(tmp_path / "status") == 200 * 1024
    assert resident_bytes(tmp_path / "none") == 0
