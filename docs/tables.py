"""Writes the generated tables of the README and of docs/deploy.md in place, from what they describe: `make docs`."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from cost.__main__ import committed as cost
from cost.__main__ import committed_picture
from deployment.document import read_template
from handler.api.completion_fields import COMPLETION_FIELDS
from handler.api.embedding_fields import EMBEDDING_FIELDS
from handler.api.field import Field
from handler.api.fields import FIELDS, STREAM_OPTION_FIELDS, STRUCTURED_OUTPUT_FIELDS
from handler.api.responses import fields as responses
from handler.api.tokenize_fields import CHAT_FIELDS, DETOKENIZE_FIELDS, TEXT_FIELDS
from handler.settings import PREFIX, Settings
from model_export.recipes import DEFAULT, RECIPES
from tests.bench.report import committed as bench

README = Path(__file__).parents[1] / "README.md"
TEMPLATE = Path(__file__).parents[1] / "template.yaml"
DEPLOY = Path(__file__).parent / "deploy.md"
COSTS = Path(__file__).parent / "figures" / "cost.svg"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def fields(rows: Iterable[Field[object]]) -> str:
    """Request fields, effective ones first."""
    standing = ("effective", "inert", "rejected")
    return table(
        ("field", "class", "takes", ""),
        (
            (f"`{row.path}`", row.standing, row.reader.summary, row.doc)
            for row in sorted(rows, key=lambda row: standing.index(row.standing))
        ),
    )


def chat_fields() -> str:
    return fields((*FIELDS, *STREAM_OPTION_FIELDS, *STRUCTURED_OUTPUT_FIELDS))


def parameters() -> str:
    """The template's parameters, in the order and the groups of its console page."""
    template = read_template(TEMPLATE)
    declared = template["Parameters"]
    rows: list[tuple[str, ...]] = []
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        rows.append((f"**{group['Label']['default']}**", "", "", ""))
        rows.extend(
            (f"`{name}`", _default(declared[name]["Default"]), _allowed(declared[name]), declared[name]["Description"])
            for name in group["Parameters"]
        )
    return table(("parameter", "default", "takes", ""), rows)


def _allowed(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" if value != "" else "nothing" for value in parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        return f"{parameter['MinValue']} to {parameter['MaxValue']}" if "MaxValue" in parameter else "a number"
    return "text"


def rules() -> str:
    """What CloudFormation refuses."""
    assertions = (
        (f"`{name}`", assertion["AssertDescription"])
        for name, rule in read_template(TEMPLATE)["Rules"].items()
        for assertion in rule["Assertions"]
    )
    return table(("rule", ""), assertions)


def completion_fields() -> str:
    return fields((*COMPLETION_FIELDS, *STREAM_OPTION_FIELDS, *STRUCTURED_OUTPUT_FIELDS))


def tokenize_fields() -> str:
    return fields((*TEXT_FIELDS, *(row for row in CHAT_FIELDS if row not in TEXT_FIELDS), *DETOKENIZE_FIELDS[1:]))


def responses_fields() -> str:
    return fields((*responses.FIELDS, *chain.from_iterable(responses.NESTED_FIELDS.values())))


def embedding_fields() -> str:
    return fields(EMBEDDING_FIELDS)


def settings() -> str:
    """The environment variables that the server reads."""
    rows = (
        (f"`{PREFIX}{name.upper()}`", _default(field.default), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    return table(("variable", "default", ""), rows)


def _default(value: object) -> str:
    if isinstance(value, tuple):
        value = ",".join(str(part) for part in value)
    elif isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value not in ("", None) else ""


def recipes() -> str:
    """The recipes and what verification demands of them."""
    return table(
        ("recipe", "", "perplexity at most", "mean KL at most", "cosine at least (embeddings)"),
        (
            (
                f"`{row.name}`" + (" (default)" if row.name == DEFAULT else ""),
                row.description,
                f"{row.bounds.perplexity_ratio:g} × fp32",
                f"{row.bounds.mean_kl:g}",
                f"{row.bounds.min_cosine:g}",
            )
            for row in RECIPES.values()
        ),
    )


TABLES: Mapping[str, Callable[[], str]] = {
    "fields": chat_fields,
    "completion_fields": completion_fields,
    "responses_fields": responses_fields,
    "embedding_fields": embedding_fields,
    "tokenize_fields": tokenize_fields,
    "settings": settings,
    "recipes": recipes,
    "bench": bench,
    "cost": cost,
}
DEPLOY_TABLES: Mapping[str, Callable[[], str]] = {"parameters": parameters, "rules": rules}


def rendered(text: str) -> str:
    """The README with every table between its markers made anew. Raises KeyError for a marker without a table."""
    return between_markers(text, TABLES)


def between_markers(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` made anew. Raises KeyError."""

    def replace(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n\n{tables[match[1]]()}\n\n<!-- /{match[1]} -->"

    return re.sub(r"<!-- (\w+) -->.*?<!-- /\1 -->", replace, text, flags=re.DOTALL)


if __name__ == "__main__":
    README.write_text(rendered(README.read_text()))
    DEPLOY.write_text(between_markers(DEPLOY.read_text(), DEPLOY_TABLES))
    COSTS.write_text(committed_picture())
    sys.exit(0)
