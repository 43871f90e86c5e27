"""Calibration: how large each channel of the activations is, seen on conversations that ship with the exporter: a
question and its answer in turns, between lines of `%`. The text is not the one that verification scores.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from handler import manifest
from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.errors import ArtifactError
from handler.manifest import Graph
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress

TEXT = Path(__file__).parent.parent / "data" / "calibration.txt"

# The activations that linears read: the norms' results, attention's and the gated ones, by the ends of their names.
_READ_BY_LINEARS = ("input_layernorm", "post_attention_layernorm", "self_attn.context", "mlp.gated")

Magnitudes = Mapping[str, NDArray[np.float32]]
"""The root mean square of each channel, float32 [channels], by the activation's name in the graph."""


def token_ids(checkpoint: Checkpoint, window: int) -> list[list[int]]:
    """The text as short conversations, as the model sees them: each begins with its template's first tokens, which
    attention makes much louder than all others. Plain text where there is no template.

    At most `window` tokens each. Raises ExportError if the checkpoint's tokenizer or template cannot be used.
    """
    turns = TEXT.read_text(encoding="utf-8").split("\n%\n")
    conversations = list(zip(turns[::2], turns[1::2], strict=True))
    try:
        tokenizer = HFTokenizer.from_json(checkpoint.tokenizer_json)
        texts = ["\n\n".join(conversation) for conversation in conversations]
        if checkpoint.chat_template is not None:
            template = ChatTemplate(checkpoint.chat_template, checkpoint.special_tokens)
            texts = [
                template.render(_messages(*conversation), add_generation_prompt=False) for conversation in conversations
            ]
    except (TemplateRefusal, ArtifactError) as error:
        raise ExportError(
            f"tokenizer and chat template cannot put a plain conversation ({error}): repair them in the source"
        ) from None
    return [tokenizer.encode(text, special=True)[:window] for text in texts]


def _messages(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def run(path: Path, graph: Graph, texts: Sequence[Sequence[int]], progress: Progress) -> Magnitudes:
    """Runs the texts through the fp32 graph at `path`, which `graph` describes; its directory gets one more file."""
    model = onnx.load(path, load_external_data=False)
    names = [name for node in model.graph.node for name in node.output if name.endswith(_READ_BY_LINEARS)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    exposed = path.with_name("calibration.onnx")
    exposed.write_bytes(model.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed, options, providers=["CPUExecutionProvider"])
    squares = dict.fromkeys(names, np.zeros((), np.float32))
    total = sum(map(len, texts))
    with progress.phase("calibrate", total=total, unit="token") as step:
        for text in texts:
            for name, activation in zip(names, session.run(names, _feeds(graph, text)), strict=True):
                squares[name] = squares[name] + np.square(activation).sum(axis=(0, 1))
            step(len(text))
    return {name: np.sqrt(sums / total) for name, sums in squares.items()}


def _feeds(graph: Graph, text: Sequence[int]) -> dict[str, NDArray[np.generic]]:
    """A whole text in one step."""
    length = len(text)
    feeds: dict[str, NDArray[np.generic]] = {
        manifest.INPUT_IDS: np.array([text], np.int64),
        manifest.SEQLENS_K: np.array([length - 1], np.int32),
        manifest.TOTAL_SEQUENCE_LENGTH: np.array(length, np.int32),
        manifest.LOGITS_ROWS: np.arange(length, dtype=np.int64),  # the last layer computes only what is wanted
    }
    for spec in graph.past:
        feeds[spec.name] = np.zeros((1, int(spec.shape[1]), length + 1, int(spec.shape[3])), np.float32)
    return feeds
