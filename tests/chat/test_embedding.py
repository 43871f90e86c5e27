"""The embedding service: what it counts, what it refuses, and how it leaves the engine to others in between."""

import numpy as np
import pytest

from handler.chat.embedding import EmbeddingInput, Tokenized
from handler.engine.embedding import Embedded
from handler.engine.events import Finished, Usage
from handler.errors import ContextLengthExceeded, InvalidRequest
from tests.embedding_fakes import END, START, WINDOW, FakeEncoder, embedding_service


def test_texts_are_tokenized_embedded_and_counted() -> None:
    prepared = embedding_service().prepare([("input[0]", "ab"), ("input[1]", (1, 2))], dimensions=None)
    embedded, finished = prepared.events()
    assert isinstance(embedded, Embedded)
    assert embedded.indices == (0, 1)
    assert embedded.vectors[:, 0].tolist() == [(START + 97 + 98 + END) / 4, (START + 1 + 2 + END) / 4]
    assert finished == Finished(usage=Usage(prompt_tokens=8, completion_tokens=0))


def test_tokens_that_have_their_start_and_end_are_taken_as_they_are() -> None:
    service = embedding_service()
    given: tuple[EmbeddingInput, ...] = ("ab", (97, 98), (START, 97, 98, END))
    vectors = []
    for item in given:
        embedded = next(service.prepare([("input", item)], dimensions=None).events())
        assert isinstance(embedded, Embedded)
        vectors.append(embedded.vectors)
    assert np.array_equal(vectors[0], vectors[1])
    assert np.array_equal(vectors[0], vectors[2])


def test_a_text_that_fills_the_window_fits() -> None:
    assert len(list(embedding_service().prepare([("input", "x" * (WINDOW - 2))], dimensions=None).events())) == 2


@pytest.mark.parametrize("given", ["x" * (WINDOW - 1), tuple(range(1, WINDOW))], ids=["text", "tokens"])
def test_a_text_that_does_not_fit_is_refused_with_both_counts(given: EmbeddingInput) -> None:
    events = embedding_service().prepare([("input[0]", "x"), ("input[1]", given)], dimensions=None).events()
    with pytest.raises(ContextLengthExceeded, match=f"{WINDOW} tokens.*{WINDOW + 1} tokens") as caught:
        list(events)
    assert caught.value.param == "input[1]"


@pytest.mark.parametrize(
    ("given", "dimensions", "param"),
    [((5, 258), None, "input"), ("x", 5, "dimensions")],
    ids=["an id outside the vocabulary", "more dimensions than there are"],
)
def test_what_the_model_lacks_is_refused_at_once(given: EmbeddingInput, dimensions: int | None, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embedding_service().prepare([("input", given)], dimensions=dimensions)
    assert caught.value.param == param


def test_tokenizing_much_text_is_done_in_steps() -> None:
    encoder = FakeEncoder(context_window=20_000)
    inputs = [(f"input[{i}]", "x" * 9_000) for i in range(4)]
    events = list(embedding_service(encoder).prepare(inputs, dimensions=None).events())
    assert events[:2] == [Tokenized(2, 4), Tokenized(4, 4)]
    assert [type(event) for event in events[2:]] == [Embedded] * 4 + [Finished]
