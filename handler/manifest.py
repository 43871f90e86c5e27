"""`manifest.json`: the contract between export and serving. Pure: no I/O but `read` and `write`.

The manifest is the only thing that serving knows about a model: every file with its hash, every tensor with its
name, dtype and shape, the end tokens, the window, and the quality that the export measured.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from handler.errors import ArtifactError

# Goes up when a server would misread a manifest of another version. A new key is no reason: an older server refuses it
# by name, and this one reads manifests that lack it.
FORMAT_VERSION: Literal[1] = 1
FILE_NAME = "manifest.json"
PREFIX_FILE = "prefix.kv"
PART_BYTES = 16 * 1024 * 1024  # what of a file is read, checked and, if it is damaged, read again by itself

# The names that a decoder graph uses. Both KV layouts share the first block.
INPUT_IDS = "input_ids"  # int64 [batch, step]
LOGITS = "logits"  # float32 [batch, rows, vocab] ("shared") or [batch, step, vocab] ("growing")
PAST_KEY = "past_key_values.{layer}.key"  # [batch, kv_heads, past or capacity, head_dim]
PAST_VALUE = "past_key_values.{layer}.value"
PRESENT_KEY = "present.{layer}.key"  # the same shape as the past ("shared") or longer by the step ("growing")
PRESENT_VALUE = "present.{layer}.value"
# "shared" only: past and present are bound to the same buffer, which has room for `capacity` positions.
SEQLENS_K = "seqlens_k"  # int32 [batch]: past + step - 1
TOTAL_SEQUENCE_LENGTH = "total_sequence_length"  # int32 scalar: past + step
LOGITS_ROWS = "logits_rows"  # int64 [rows]: the positions of this step whose logits are wanted
# "growing" only: what optimum's graphs take.
ATTENTION_MASK = "attention_mask"  # int64 [batch, past + step]
POSITION_IDS = "position_ids"  # int64 [batch, step]
# An encoder, whose KV layout is "none": ids, mask (0 on padding, [batch, step]) and perhaps positions as above.
TYPE_IDS = "token_type_ids"  # int64 [batch, step]: all 0
LAST_HIDDEN_STATE = "last_hidden_state"  # float32 [batch, step, width]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TensorSpec(_Frozen):
    """One graph input or output; a symbolic dimension is its name."""

    name: str
    dtype: Literal["float32", "float16", "int64", "int32", "int8", "uint8"]
    shape: tuple[int | str, ...]


class Graph(_Frozen):
    """The graph: which file, and what goes in and out."""

    file: str
    kv_layout: Literal["shared", "growing", "none"]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    width_free: bool = Field(
        default=False, description="a step of one token leaves the KV, to the bit, that a longer one leaves of it"
    )
    company_free: bool = Field(
        default=False, description="sequences that share a step leave the bits that each would leave alone"
    )
    kernels: str | None = Field(
        default=None,
        description="the same graph of the kernels' own operators, over the same weights; width-free, company-free",
    )

    @property
    def past(self) -> tuple[TensorSpec, ...]:
        """The KV inputs, in the graph's order: key and value of layer 0, of layer 1, …"""
        return tuple(spec for spec in self.inputs if spec.name.startswith("past_key_values."))


class FileEntry(_Frozen):
    sha256: Sha256
    size: int = Field(ge=0, description="bytes")
    parts: tuple[Sha256, ...] = Field(default=(), description="of each PART_BYTES, where there are several")

    @model_validator(mode="after")
    def _check_parts(self) -> "FileEntry":
        if self.parts and len(self.parts) != -(-self.size // PART_BYTES):
            raise ValueError(f"{len(self.parts)} parts do not make {self.size} bytes")
        return self


class Source(_Frozen):
    """Where the weights came from."""

    kind: Literal["hub", "directory", "gguf", "package"]
    id: str
    revision: str | None = Field(default=None, description="hub commit, package version, or sha256 of a local file")


class Quality(_Frozen):
    """Measured at export against the fp32 reference, on the text that ships with the exporter."""

    tokens: int = Field(gt=0, description="positions scored")
    perplexity: float
    reference_perplexity: float
    mean_kl: float = Field(description="nats per position, KL(reference ‖ artefact)")
    max_kl: float = Field(description="nats")
    top1_agreement: float = Field(ge=0, le=1)
    greedy_chat: str = Field(description="the artefact's greedy answer to the exporter's fixed question")


class EmbeddingQuality(_Frozen):
    """Measured at export against the fp32 reference, on the text that ships with the exporter."""

    texts: int = Field(gt=0, description="texts compared")
    mean_cosine: float
    min_cosine: float


class Embedding(_Frozen):
    """How the vectors of an encoder's tokens become the one vector of a text, as the checkpoint says."""

    pooling: Literal["mean", "cls", "last"]
    normalize: bool = Field(description="whether vectors have length 1")
    dimensions: int = Field(gt=0)
    quality: EmbeddingQuality | None = None


class GenerationDefaults(_Frozen):
    """What the model's authors recommend; stands in for what a request leaves open."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None


class Prefix(_Frozen):
    """How every conversation begins: `file` holds the tokens and their KV, as `handler.ort.baked` reads it."""

    file: str = PREFIX_FILE
    tokens: int = Field(gt=0)


class ModelManifest(_Frozen):
    format_version: Literal[1] = FORMAT_VERSION
    name: str = Field(min_length=1, description="the id that the API serves this model under")
    created: int = Field(ge=0, description="export time, Unix seconds")
    source: Source
    license: str | None = None
    architecture: str = Field(description="config.json's architectures[0], e.g. LlamaForCausalLM")
    exporter: Literal["direct", "optimum"]
    recipe: str
    context_window: int = Field(gt=0, description="tokens, prompt and answer together")
    vocab_size: int = Field(gt=0)
    bos_token_id: int | None = None
    end_token_ids: tuple[int, ...] = Field(description="at least one, but for an embedding model")
    graph: Graph
    tokenizer_file: str = "tokenizer.json"
    chat_template_file: str | None = "chat_template.jinja"
    special_tokens: dict[str, str] = Field(default_factory=dict, description="bos_token, eos_token, … for the template")
    generation_defaults: GenerationDefaults = GenerationDefaults()
    quality: Quality | None = None
    embedding: Embedding | None = Field(default=None, description="of an embedding model; None: a decoder")
    prefix: Prefix | None = Field(default=None, description="what was run at export")
    files: dict[str, FileEntry]

    @model_validator(mode="after")
    def _check_end_tokens(self) -> "ModelManifest":
        if self.embedding is None and not self.end_token_ids:
            raise ValueError("a decoder needs at least one end token")
        return self

    @model_validator(mode="after")
    def _check_prefix(self) -> "ModelManifest":
        if self.prefix is not None and self.prefix.file not in self.files:
            raise ValueError("the prefix is none of the files")
        return self

    @model_validator(mode="after")
    def _check_names(self) -> "ModelManifest":
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name:
                raise ValueError(f"{name!r} does not name a file in the model's directory")
        return self

    @classmethod
    def read(cls, directory: Path) -> "ModelManifest":
        """Reads and validates `directory/manifest.json`. Raises ArtifactError naming what is wrong and what to do."""
        path = directory / FILE_NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise ArtifactError(
                f"{directory} holds no {FILE_NAME}: export a model with `python -m model_export SOURCE -o {directory}`"
            ) from None
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read ({error}): export the model again") from None
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, path: str) -> "ModelManifest":
        """Validates the bytes of a manifest; `path` is what messages call it. Raises ArtifactError as `read` does."""
        try:
            raw = json.loads(data)
        except ValueError as error:
            raise ArtifactError(f"{path} cannot be read ({error}): export the model again") from None
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise ArtifactError(
                f"{path} has format version {version!r}, this server reads {FORMAT_VERSION}: export the model again"
            )
        try:
            return cls.model_validate_json(json.dumps(raw))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ArtifactError(f"{path}: {where}: {first['msg']}: export the model again") from None

    def write(self, directory: Path) -> Path:
        """Writes `directory/manifest.json` and returns its path."""
        path = directory / FILE_NAME
        path.write_text(json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
        return path
