"""The chat template: Jinja in a sandbox, as transformers runs it. Pure but for the clock that a template may ask.

The template comes with the model and is the operator's choice; only values come from a caller, and values are never
executed. jinja2 is imported at the first rendering, so that a process that only starts does not pay for it.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

from handler.errors import ArtifactError, InvalidRequest
from handler.frozen import dataclass

if TYPE_CHECKING:
    import jinja2.nodes
    import jinja2.parser

# What a message looks like to a template: `message['role']`, `message.content`, …
TemplateMessage = Mapping[str, object]

_MESSAGE_LIMIT = 200  # characters of a template's own complaint that are passed on


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TemplateRefusal(Exception):
    """The template refuses this conversation, in its own words."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    template: "jinja2.Template"
    variables: frozenset[str]


class ChatTemplate:
    """One model's chat template. Thread-safe.

    `special_tokens` are the template's variables `bos_token`, `eos_token`, … `now` is what `strftime_now` formats: UTC.
    """

    def __init__(
        self, source: str, special_tokens: Mapping[str, str] | None = None, *, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self.source = source
        self.special_tokens = dict(special_tokens or {})
        self._now = now

    def render(
        self,
        messages: Sequence[TemplateMessage],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Mapping[str, object]] | None = None,
        template_kwargs: Mapping[str, object] | None = None,
    ) -> str:
        """The prompt's text.

        Raises TemplateRefusal if the template refuses the messages, InvalidRequest for a variable that it does not
        read, and ArtifactError if it is not Jinja.
        """
        import jinja2

        kwargs = template_kwargs or {}
        compiled = self._compiled
        own = {"messages": messages, "add_generation_prompt": add_generation_prompt, "tools": tools, "documents": None}
        readable = sorted(compiled.variables - own.keys() - self.special_tokens.keys())
        for name in kwargs:
            if name not in readable:
                raise InvalidRequest(
                    f"The model's chat template does not read it; it reads: {', '.join(readable) or 'no variables'}.",
                    param=f"chat_template_kwargs.{name}",
                )
        try:
            return compiled.template.render(**self.special_tokens, **own, **kwargs)
        except TemplateRefusal:
            raise
        except jinja2.UndefinedError as error:  # names an attribute that the template misses; holds no values
            raise TemplateRefusal(str(error)[:_MESSAGE_LIMIT]) from None
        except Exception as error:  # whatever an expression over these values may raise; its text could quote them
            raise TemplateRefusal(f"it stopped with {type(error).__name__}") from None

    def compile(self) -> None:
        """Compiles it now instead of at the first rendering. Raises ArtifactError if it is not Jinja."""
        _ = self._compiled

    @property
    def variables(self) -> frozenset[str]:
        """Every variable that the template reads. Raises ArtifactError if it is not Jinja."""
        return self._compiled.variables

    @functools.cached_property
    def _compiled(self) -> _Compiled:
        import jinja2
        from jinja2 import meta

        environment = _environment(self._now)
        try:
            # Jinja counts its functions among them: range, namespace, raise_exception are not a caller's to replace.
            variables = meta.find_undeclared_variables(environment.parse(self.source)) - environment.globals.keys()
            return _Compiled(environment.from_string(self.source), frozenset(variables))
        except jinja2.TemplateSyntaxError as error:
            raise ArtifactError(f"The chat template is not valid Jinja, line {error.lineno}: {error.message}") from None


def _environment(now: Callable[[], datetime]) -> "jinja2.Environment":
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks what to train on: here just its content."""

        def __init__(self, environment: "jinja2.Environment") -> None:
            super().__init__(environment)
            self.tags = {"generation"}

        def parse(self, parser: "jinja2.parser.Parser") -> "list[jinja2.nodes.Node]":
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def to_json(
        value: object,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def refuse(message: str) -> NoReturn:
        raise TemplateRefusal(str(message)[:_MESSAGE_LIMIT])

    def strftime_now(layout: str) -> str:
        return now().strftime(layout)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json  # Jinja's own escapes HTML
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = strftime_now
    return environment
