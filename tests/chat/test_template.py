from datetime import UTC, datetime

import pytest

from handler.chat.template import ChatTemplate, TemplateRefusal
from handler.errors import ArtifactError, InvalidRequest
from tests.chat import templates
from tests.chat.oracle import transformers_prompt

ASK = [{"role": "user", "content": "Hi <there> & ünïcode 🎉"}]
CHAT = [
    {"role": "user", "content": " Call it. "},
    {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "hm",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": "<é>", "y": [1, None]}}}],
    },
]


@pytest.mark.parametrize("messages", [ASK, CHAT], ids=["a question", "a conversation"])
@pytest.mark.parametrize("template", ["CHATML", "GEMMA", "SYSTEM_FIRST", "FORGETFUL", "MODERN"])
@pytest.mark.parametrize("add_generation_prompt", [True, False], ids=["open", "closed"])
def test_a_prompt_is_what_transformers_renders(
    template: str, messages: list[dict[str, object]], add_generation_prompt: bool
) -> None:
    source = getattr(templates, template)
    expected = transformers_prompt(source, messages, add_generation_prompt=add_generation_prompt)
    rendered = ChatTemplate(source, {"bos_token": "<bos>"}).render(
        messages, add_generation_prompt=add_generation_prompt
    )
    assert rendered == expected


def test_text_of_a_message_is_never_executed() -> None:
    content = "{{ 7 * 7 }}{% for x in [1] %}{% endfor %}{# note #}"
    assert ChatTemplate("{{ messages[0].content }}").render([{"role": "user", "content": content}]) == content


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ messages.__class__.__mro__ }}", id="attributes of Python"),
        pytest.param("{{ messages.append(1) }}", id="changing the messages"),
        pytest.param("{{ range(10000000) | list }}", id="a range without end"),
        pytest.param("{{ messages[0].content + 1 }}", id="a type error"),
        pytest.param("{{ messages[0].nothing.at_all }}", id="an undefined value"),
    ],
)
def test_what_the_sandbox_stops_is_a_refusal(source: str) -> None:
    with pytest.raises(TemplateRefusal):
        ChatTemplate(source).render([{"role": "user", "content": "secret"}])


def test_a_template_refuses_in_its_own_words() -> None:
    with pytest.raises(TemplateRefusal, match=r"^System role not supported$"):
        ChatTemplate(templates.GEMMA, {"bos_token": ""}).render([{"role": "system", "content": "x"}])


def test_a_failing_expression_does_not_quote_its_values() -> None:
    with pytest.raises(TemplateRefusal) as refusal:
        ChatTemplate("{{ {}[messages[0].content | int] + messages[0].content | round }}").render(
            [{"role": "user", "content": "secret"}]
        )
    assert "secret" not in str(refusal.value)


def test_break_continue_and_the_generation_tag_are_known() -> None:
    source = (
        "{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}"
        "{% generation %}x{% endgeneration %}{% endfor %}"
    )
    assert ChatTemplate(source).render([{}, {}, {}]) == "x"


def test_json_is_not_escaped_for_html() -> None:
    assert ChatTemplate("{{ messages | tojson }}").render([{"é": "<&>"}]) == '[{"é": "<&>"}]'


def test_json_takes_the_options_that_transformers_gives() -> None:
    source = "{{ messages[0] | tojson(indent=1, sort_keys=true, ensure_ascii=true) }}"
    assert ChatTemplate(source).render([{"b": "é", "a": 1}]) == '{\n "a": 1,\n "b": "\\u00e9"\n}'


def test_a_template_can_ask_for_the_date() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", now=lambda: datetime(2024, 7, 26, tzinfo=UTC))
    assert template.render([]) == "26 Jul 2024"


def test_a_variable_that_the_template_reads_is_effective() -> None:
    template = ChatTemplate("{{ 'think' if enable_thinking else 'plain' }}")
    assert template.render([], template_kwargs={"enable_thinking": True}) == "think"
    assert template.render([]) == "plain"


@pytest.mark.parametrize("name", ["unknown", "messages", "bos_token", "raise_exception", "tools", "x"])
def test_a_variable_that_the_template_does_not_read_or_that_is_ours_is_rejected(name: str) -> None:
    source = "{% set x = 1 %}{{ bos_token }}{{ messages }}{{ tools }}{{ enable_thinking }}{{ raise_exception }}"
    template = ChatTemplate(source, {"bos_token": "<s>"})
    with pytest.raises(InvalidRequest, match="it reads: enable_thinking") as error:
        template.render([], template_kwargs={name: 1})
    assert error.value.param == f"chat_template_kwargs.{name}"


def test_a_template_that_is_not_jinja_is_the_artefacts_fault() -> None:
    with pytest.raises(ArtifactError, match=r"not valid Jinja, line 2: "):
        ChatTemplate("{% if x %}\n{% endfor %}").render([])
