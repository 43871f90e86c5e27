"""Verification: how far an artefact is from the fp32 graph of the same checkpoint, measured as it will be served.

The graphs run through the serving path, decoder and tokenizer, side by side over the text that ships with the
exporter, in windows. An artefact beyond its recipe's bounds is refused. Where it has a graph of the kernels too, and
they run on this machine, that is held to the same bounds; the figures are those of the graph that runs everywhere.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.engine.ports import Decoder, KVSession
from handler.errors import ArtifactError
from handler.manifest import Graph, ModelManifest, Quality
from handler.ort.decoder import chosen_graph, load_decoder
from handler.ort.graph_choice import GraphChoice, choose_graph
from handler.tokenizer import HFTokenizer
from model_export.checkpoint import Checkpoint
from model_export.errors import ExportError
from model_export.progress import Progress
from model_export.recipes import Bounds, Recipe, get_recipe

TEXT = Path(__file__).parent / "data" / "evaluation.txt"
QUESTION = "What is the capital of France?"
ANSWER_TOKENS = 24

_REFERENCE = "fp32"
_WINDOW = 512  # tokens: the text is scored in independent windows of at most this length
_STEP = 128  # rows of logits at a time: 25 MB for a vocabulary of 49,152

Build = Callable[[Checkpoint, Recipe, Path, Progress], Graph]


def verify(
    *,
    checkpoint: Checkpoint,
    manifest: ModelManifest,
    directory: Path,
    recipe: Recipe,
    build: Build,
    progress: Progress,
    text: str | None = None,
) -> Quality:
    """Measures the artefact in `directory`, which holds the graph and the tokenizer that `manifest` names.

    `build` is the exporter that made it, and makes the reference. Raises ExportError if a figure is beyond the
    recipe's bounds.
    """
    tokenizer = HFTokenizer.from_file(directory / manifest.tokenizer_file)
    question = _question(checkpoint)
    graphs = [_load(directory, manifest, choice) for choice in _choices(manifest)]
    token_ids = tokenizer.encode(TEXT.read_text() if text is None else text, special=False)
    windows = _windows(token_ids, min(_WINDOW, manifest.context_window))
    if recipe.name == _REFERENCE:
        scores = _compare(None, graphs, windows, progress)
    else:
        with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
            graph = build(checkpoint, get_recipe(_REFERENCE), Path(scratch), progress)
            reference = _load(Path(scratch), manifest.model_copy(update={"graph": graph}), None)
            scores = _compare(reference, graphs, windows, progress)
    with progress.phase("greedy chat", total=ANSWER_TOKENS * len(graphs), unit="token") as step:
        prompt = tokenizer.encode(question, special=True)[: manifest.context_window - ANSWER_TOKENS]
        answers = [
            b"".join(map(tokenizer.token_bytes, _greedy(graph, prompt, manifest.end_token_ids, step)))
            for graph in graphs
        ]
    qualities = [score.quality(answer.decode(errors="replace")) for score, answer in zip(scores, answers, strict=True)]
    for quality in qualities:
        _check(quality, recipe.name, recipe.bounds)
    return qualities[0]


def _choices(manifest: ModelManifest) -> Iterator[GraphChoice]:
    """The graph that runs everywhere, and the one that runs here if that is another."""
    yield choose_graph(manifest.graph, None)
    if (here := chosen_graph(manifest)).library is not None:
        yield here


@dataclass(slots=True)
class _Score:
    """Sums over the positions that have been scored."""

    nll: float = 0.0
    reference_nll: float = 0.0
    agreed: int = 0
    kl: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, reference: NDArray[np.float32], logits: NDArray[np.float32], targets: Sequence[int]) -> None:
        """Scores as many rows of logits [rows, vocab] as there are targets: the tokens that really came next."""
        expected, found = (_log_softmax(rows[: len(targets)]) for rows in (reference, logits))
        here = np.arange(len(targets))
        self.reference_nll -= float(expected[here, targets].sum())
        self.nll -= float(found[here, targets].sum())
        self.agreed += int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
        self.kl.append((np.exp(expected) * (expected - found)).sum(axis=1))

    def quality(self, greedy_chat: str) -> Quality:
        kl = np.concatenate(self.kl)
        return Quality(
            tokens=len(kl),
            perplexity=float(np.exp(self.nll / len(kl))),
            reference_perplexity=float(np.exp(self.reference_nll / len(kl))),
            mean_kl=max(float(kl.mean()), 0.0),
            max_kl=max(float(kl.max()), 0.0),
            top1_agreement=self.agreed / len(kl),
            greedy_chat=greedy_chat,
        )


def _compare(
    reference: Decoder | None, graphs: Sequence[Decoder], windows: Sequence[Sequence[int]], progress: Progress
) -> list[_Score]:
    """Scores the windows, by each of the graphs; without a reference the first is that of them all."""
    scores = [_Score() for _ in graphs]
    with progress.phase("compare with fp32", total=sum(map(len, windows)), unit="token") as step:
        for window in windows:
            found, expected = [graph.open() for graph in graphs], None if reference is None else reference.open()
            for start in range(0, len(window) - 1, _STEP):
                ids = window[start : start + _STEP]
                logits = [_forward(sequence, ids) for sequence in found]
                truth = logits[0] if expected is None else _forward(expected, ids)
                for score, rows in zip(scores, logits, strict=True):
                    score.add(truth, rows, window[start + 1 : start + 1 + _STEP])
                step(len(ids))
    return scores


def _load(directory: Path, manifest: ModelManifest, choice: GraphChoice | None) -> Decoder:
    try:
        return load_decoder(directory, manifest, threads=0, choice=choice)
    except ArtifactError as error:
        raise ExportError(f"onnxruntime cannot load the exported graph ({error}): try the other --exporter") from None


def _forward(sequence: KVSession, ids: Sequence[int]) -> NDArray[np.float32]:
    try:
        return sequence.forward(ids, len(ids))
    except Exception as error:  # onnxruntime's own classes have no common base but this one
        raise ExportError(
            f"onnxruntime cannot run the exported graph ({str(error).splitlines()[0]}): try the other --exporter"
        ) from None


def _greedy(decoder: Decoder, prompt: Sequence[int], ends: Sequence[int], step: Callable[[int], None]) -> Iterator[int]:
    """The most likely continuation, up to an end token."""
    sequence = decoder.open()
    ids = prompt
    for _ in range(ANSWER_TOKENS):
        token = int(sequence.forward(ids)[0].argmax())
        if token in ends:
            return
        yield token
        step(1)
        ids = [token]


def _question(checkpoint: Checkpoint) -> str:
    """The question as the model's template puts it; as it is where there is no template."""
    if checkpoint.chat_template is None:
        return QUESTION
    template = ChatTemplate(checkpoint.chat_template, checkpoint.special_tokens)
    try:
        return template.render([{"role": "user", "content": QUESTION}], add_generation_prompt=True)
    except (TemplateRefusal, ArtifactError) as error:
        raise ExportError(
            f"the chat template cannot render a plain question ({error}): repair it in the source"
        ) from None


def _windows(token_ids: Sequence[int], length: int) -> list[Sequence[int]]:
    """Independent windows; a last one too short to predict anything is dropped."""
    windows = [token_ids[start : start + length] for start in range(0, len(token_ids), length)]
    return [window for window in windows if len(window) > 1]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    normal: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normal


def _check(quality: Quality, recipe: str, bounds: Bounds) -> None:
    ratio = quality.perplexity / quality.reference_perplexity
    figures = (
        (f"perplexity is {ratio:.3f} × that of fp32", ratio, bounds.perplexity_ratio),
        (f"mean KL from fp32 is {quality.mean_kl:.4f}", quality.mean_kl, bounds.mean_kl),
    )
    for said, value, bound in figures:
        if not value <= bound:  # not a number is beyond every bound
            raise ExportError(f"{recipe}: {said}, the recipe allows {bound}: use a recipe with more bits")
