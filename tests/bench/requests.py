"""Requests that the benches share."""

from functools import cache

from handler.manifest import ModelManifest
from handler.tokenizer import HFTokenizer
from model_export.verify import TEXT
from tests.bench import weights
from tests.bench.servers import RECIPE

# 37 tokens with the template around it: the prompt that start-up is measured with.
SHORT = "What is the capital of France?"

STORIES = (
    "Tell me a story about a lighthouse keeper who finds a letter in a bottle.",
    "Explain to a child why the sky is blue and why sunsets are red.",
    "Write a short letter to a friend about moving to a new city.",
    "Describe how bread is made, from the field to the table.",
    "What would you do with a free day in the mountains?",
)

# The answer goes on to its bound, whatever the model thinks of it.
TO_THE_END: dict[str, object] = {"ignore_eos": True, "temperature": 0}


@cache
def passage(tokens: int, start: int = 0) -> str:
    """English prose of about that many tokens."""
    directory = weights.prepared(RECIPE)
    tokenizer = HFTokenizer.from_file(directory / ModelManifest.read(directory).tokenizer_file)
    ids = tokenizer.encode(TEXT.read_text(), special=False)
    wanted = [ids[index % len(ids)] for index in range(start, start + tokens)]
    return b"".join(map(tokenizer.token_bytes, wanted)).decode(errors="ignore")
