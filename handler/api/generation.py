"""How to generate, and how the answer is to be sent: what the bodies of several endpoints say alike. Pure."""

from handler.api import fields
from handler.api.formats import AnswerFormat
from handler.api.values import JsonObject
from handler.engine.params import GenerationParams
from handler.errors import InvalidRequest


def generation_params(
    body: JsonObject, *, max_tokens: int | None, top_logprobs: int | None, max_output_tokens: int, n: int = 1
) -> GenerationParams:
    """The parameters that `body` asks for, where the endpoint names the answer's bound and log-probabilities its own
    way. `max_output_tokens` caps every answer's length, in tokens; 0 is no cap. Raises InvalidRequest.
    """
    min_tokens = fields.MIN_TOKENS.of(body)
    if max_tokens is not None and min_tokens > max_tokens:
        raise InvalidRequest("'min_tokens' must not be greater than the maximum of tokens.", param="min_tokens")
    if max_output_tokens:
        if min_tokens > max_output_tokens:
            raise InvalidRequest(
                f"Invalid 'min_tokens': this server gives at most {max_output_tokens} tokens in an answer, but got"
                f" {min_tokens} instead.",
                param="min_tokens",
                code="integer_above_max_value",
            )
        max_tokens = max_output_tokens if max_tokens is None else min(max_tokens, max_output_tokens)
    seed = fields.SEED.of(body)
    return GenerationParams(
        max_tokens=max_tokens,
        temperature=fields.TEMPERATURE.of(body),
        top_p=fields.TOP_P.of(body),
        top_k=max(fields.TOP_K.of(body), 0),
        min_p=fields.MIN_P.of(body),
        # Random generators take no negative seeds: the same 64 bits, read as unsigned.
        seed=None if seed is None else seed % 2**64,
        presence_penalty=fields.PRESENCE_PENALTY.of(body),
        frequency_penalty=fields.FREQUENCY_PENALTY.of(body),
        repetition_penalty=fields.REPETITION_PENALTY.of(body),
        logit_bias=fields.LOGIT_BIAS.of(body),
        stop=fields.STOP.of(body),
        stop_token_ids=fields.STOP_TOKEN_IDS.of(body),
        ignore_eos=fields.IGNORE_EOS.of(body),
        min_tokens=min_tokens,
        top_logprobs=top_logprobs,
        n=n,
    )


def choices(body: JsonObject, max_choices: int) -> int:
    """How many answers are asked for. Raises InvalidRequest above the operator's `max_choices`."""
    n = fields.N.of(body)
    if n > max_choices:
        raise InvalidRequest(
            f"Invalid 'n': this server gives at most {max_choices} choices for each request, but got {n} instead.",
            param="n",
            code="integer_above_max_value",
        )
    return n


def structured_outputs(body: JsonObject) -> AnswerFormat | None:
    """What vLLM's `structured_outputs` limits the answer to. Raises InvalidRequest unless it is exactly one thing."""
    options = fields.STRUCTURED_OUTPUTS.of(body)
    if options is None:
        return None
    formats = [
        AnswerFormat(grammar=grammar, path=row.path)
        for row in fields.STRUCTURED_OUTPUT_FIELDS
        if (grammar := row.of(options)) is not None
    ]
    if len(formats) != 1:
        names = ", ".join(row.name for row in fields.STRUCTURED_OUTPUT_FIELDS if row.standing == "effective")
        raise InvalidRequest(f"'structured_outputs' takes exactly one of {names}.", param="structured_outputs")
    return formats[0]


def include_usage(body: JsonObject, *, stream: bool) -> bool:
    """Whether a last chunk with the usage is wanted. Raises InvalidRequest for options without a stream."""
    options = fields.STREAM_OPTIONS.of(body)
    if options is None:
        return False
    if not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    fields.INCLUDE_OBFUSCATION.of(options)
    return fields.INCLUDE_USAGE.of(options)
