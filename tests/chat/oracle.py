"""What transformers makes of the same template."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers.utils import chat_template_utils


def transformers_prompt(source: str, messages: Sequence[Mapping[str, object]], **options: bool) -> str:
    """The prompt as `apply_chat_template` renders it, with `<bos>` as the start token."""
    library: Any = chat_template_utils
    prompts, _ = library.render_jinja_template(
        [list(map(dict, messages))], chat_template=source, bos_token="<bos>", **options
    )
    return str(prompts[0])
