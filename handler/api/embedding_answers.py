"""Embeddings as the JSON text that OpenAI's specification defines. Written batch by batch as they are computed: a large
answer written in one go would hold up the streams beside it."""

import base64
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from handler.api.chunks import dumps
from handler.api.values import JsonObject
from handler.chat.embedding import EmbeddingEvent
from handler.engine.embedding import Embedded
from handler.engine.events import Finished
from handler.record import RequestRecord

_EXACT = "%.9g"  # digits that tell any two 32-bit floats apart


async def fold_embeddings(
    bursts: AsyncIterator[Sequence[EmbeddingEvent]], *, model: str, count: int, as_base64: bool, record: RequestRecord
) -> str | None:
    """A `CreateEmbeddingResponse` of `count` embeddings in the order they were asked for; None if the bursts ended
    early because nobody waits any more."""
    write = _base64 if as_base64 else _numbers
    items = [""] * count
    async for burst in bursts:
        for event in burst:
            if isinstance(event, Embedded):
                for index, vector in zip(event.indices, event.vectors, strict=True):
                    items[index] = _item(index, vector, write)
            elif isinstance(event, Finished):
                record.finished(event.usage)
                tokens = event.usage.prompt_tokens
                cost = record.told_cost()
                told: JsonObject = {} if cost is None else {"cost": cost}
                usage = dumps({"prompt_tokens": tokens, "total_tokens": tokens, **told})
                data = ",".join(items)
                return f'{{"object":"list","data":[{data}],"model":{dumps(model)},"usage":{usage}}}'
    return None


def _item(index: int, vector: NDArray[np.float32], write: Callable[[NDArray[np.float32]], str]) -> str:
    return f'{{"object":"embedding","index":{index},"embedding":{write(vector)}}}'


def _numbers(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join([_EXACT] * len(vector)) % tuple(vector.tolist()) + "]"


def _base64(vector: NDArray[np.float32]) -> str:
    return f'"{base64.b64encode(vector.astype("<f4").tobytes()).decode()}"'
