"""How many tokens a step takes, so that a token's KV and logits are the same in any of them, to the bit. Pure.

Kernels take the tokens of a step in blocks of a multiple of 32, and one that is left over alone through another kernel,
which adds up in another order: a last bit differs, and where activations are rounded, more. Observed with onnxruntime
1.31 in matrix products (a step of one) and in attention (one more than a multiple of twice the width of a head).
"""

_BLOCK = 32


def exact_tokens(width: int) -> int:
    """Of how many of its tokens, the first ones, the KV of a step of `width` is the same as in any other step."""
    return width - leaves_one_alone(width)


def leaves_one_alone(width: int) -> bool:
    return width % _BLOCK == 1


def chunk_end(start: int, length: int, chunk: int) -> int:
    """Where a chunk of at most `chunk` tokens ends that begins at `start`, in a prompt of `length` tokens.

    It leaves no token alone, and none for the last chunk to leave alone, but in a prompt of one.
    """
    end = min(start + chunk, length)
    if end - start > 2 and leaves_one_alone(length - end):
        return end - 1
    if end - start > 2 and leaves_one_alone(end - start):
        return end - 2
    return end
