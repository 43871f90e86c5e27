"""What a deployment serves, name by name, and what is known of each model before it is loaded."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from handler.api.ledger import UNLIMITED, Ledger
from handler.api.shelf import Shelf, Slot
from handler.chat.card import ModelCard
from handler.chat.service import ChatService
from handler.errors import ConfigurationError
from handler.manifest import ModelManifest
from handler.model_files import ModelSource
from handler.ort.graph_choice import choose_graph
from handler.ort.kernels import library

if TYPE_CHECKING:
    from handler.chat.embedding import EmbeddingService

S = TypeVar("S")

# Measured with SmolLM2-135M in int8: 147 MB of files are 172 MB of memory once its weights are packed and its tokenizer
# is read. The rest is what steps need: the runtime's buffers after prompts of 2,000 tokens took 40 MB.
_OF_A_FILE = 1.2
_LIBRARIES_BYTES = 64 * 2**20  # pages of code, which are files' and still have to be there
_WORKING_BYTES = 64 * 2**20


class Catalogue:
    """Slots by every name that they answer to, in the order in which they were added."""

    def __init__(self) -> None:
        self.chats: dict[str, Slot[ChatService]] = {}
        self.embeddings: dict[str, Slot[EmbeddingService]] = {}

    def add_chat(self, slot: Slot[ChatService], aliases: Iterable[str] = ()) -> None:
        """Raises ConfigurationError if one of its names is taken."""
        self._add(self.chats, slot, aliases)

    def add_embedding(self, slot: "Slot[EmbeddingService]", aliases: Iterable[str] = ()) -> None:
        """Raises ConfigurationError if one of its names is taken."""
        self._add(self.embeddings, slot, aliases)

    @property
    def slots(self) -> list[Slot[Any]]:
        """Each once."""
        return list(dict.fromkeys([*self.chats.values(), *self.embeddings.values()]))

    def _add(self, kind: dict[str, Slot[S]], slot: Slot[S], aliases: Iterable[str]) -> None:
        names = dict.fromkeys((slot.card.name, *aliases), slot)
        if taken := [name for name in names if name in self.chats or name in self.embeddings]:
            raise ConfigurationError(
                f"Two models are both named {taken[0]}: change an alias, serve one as NAME=LOCATION in LLM_MODELS, or"
                " export one of them with another --name"
            )
        kind.update(names)


def slot_of(
    source: ModelSource, load: Callable[[], S], *, name: str | None = None, service: S | None = None
) -> Slot[S]:
    """The slot of a model. `name`: instead of its own. `service`: it is loaded already."""
    manifest = source.manifest
    card = ModelCard(
        name=name or manifest.name,
        created=manifest.created,
        context_window=manifest.context_window,
        recommended=manifest.generation_defaults.model_dump(exclude_none=True),
    )
    nbytes = loaded_bytes(source) + _WORKING_BYTES
    return Slot(card, nbytes=nbytes, mapped=_mapped_bytes(source), load=load, service=service)


def _mapped_bytes(source: ModelSource) -> int:
    """Bytes of files that are used where they are mapped. Where ONNX Runtime packs the weights there are none."""
    in_place = source.in_memory or _used_in_place(source.manifest)
    return _file_bytes(source.manifest) if in_place else 0


def _used_in_place(manifest: ModelManifest) -> bool:
    return choose_graph(manifest.graph, library()).library is not None


def _file_bytes(manifest: ModelManifest) -> int:
    return sum(entry.size for entry in manifest.files.values())


def loaded_bytes(source: ModelSource) -> int:
    """About what the model itself takes of memory once it is loaded. A prefix that was run at export is only mapped.

    Files that lie in memory stay there: their pages cannot be read again from anywhere, as those of a disk can.
    """
    manifest = source.manifest
    mapped = manifest.prefix.file if manifest.prefix is not None else None
    held = _file_bytes(manifest) if source.in_memory and not _used_in_place(manifest) else 0
    return held + round(_OF_A_FILE * sum(entry.size for name, entry in manifest.files.items() if name != mapped))


def make_shelf(
    slots: Sequence[Slot[Any]],
    ledger: Ledger,
    *,
    memory: int,
    resident: int,
    budget: int,
    after_dropping: Callable[[], None],
) -> Shelf:
    """A shelf in a process that may have `memory` bytes and has `resident` of them that no file backs, those of the
    loaded models among them: what is left is the ledger's. `budget`: bytes for models; 0: all that there is.

    Raises ConfigurationError where models do not fit.
    """
    loaded = sum(slot.nbytes - slot.mapped - _WORKING_BYTES for slot in slots if slot.service is not None)
    ledger.capacity = memory - _LIBRARIES_BYTES - max(0, resident - loaded)
    return Shelf(slots, ledger=ledger, budget=budget or UNLIMITED, after_dropping=after_dropping)
