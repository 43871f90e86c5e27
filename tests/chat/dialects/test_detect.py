import pytest

from handler.chat.dialects import generic
from handler.chat.dialects.call_format import CallFormat
from handler.chat.dialects.hermes import HERMES
from handler.chat.dialects.mistral import MISTRAL
from handler.chat.template import ChatTemplate
from handler.chat.tool_abilities import ToolAbilities, probe_tools
from tests.chat import templates
from tests.chat.speaking import END, MODELS, template_of

LLAMA3 = CallFormat(
    begin=('{"name": "', '<|python_tag|>{"name": "'), to_arguments='", "parameters": ', next=None, end="}"
)
REVEALED = CallFormat(
    begin=("<｜calls｜><｜call｜>function<｜sep｜>",),
    to_arguments="\n```json\n",
    next="\n```<｜call▁end｜>\n<｜call｜>function<｜sep｜>",
    end="\n```<｜call▁end｜><｜calls▁end｜>",
)
ALL = ToolAbilities(
    form=HERMES, tools=True, calls=True, results=True, several_calls=True, text_beside_calls=True, null_content=True
)


@pytest.mark.parametrize(
    ("name", "abilities"),
    [
        ("qwen", ALL),
        ("qwen-thinking", ALL),
        ("llama3", ToolAbilities(form=LLAMA3, tools=True, calls=True, results=True, null_content=True)),
        (
            "mistral",
            ToolAbilities(
                form=MISTRAL,
                tools=True,
                calls=True,
                results=True,
                several_calls=True,
                short_ids=True,
                null_content=True,
            ),
        ),
        (
            "revealing",
            ToolAbilities(
                form=REVEALED,
                tools=True,
                calls=True,
                results=True,
                several_calls=True,
                text_arguments=True,
                null_content=True,
            ),
        ),
        ("smollm2", ToolAbilities(form=generic.GENERIC)),
    ],
)
def test_a_models_dialect_is_found_by_rendering_calls(name: str, abilities: ToolAbilities) -> None:
    _, tokenizer = MODELS[name]
    assert probe_tools(template_of(name), tokenizer.control_tokens, (END,)) == abilities


SHOWS_TOOLS = "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "form"),
    [
        pytest.param(SHOWS_TOOLS + "{# <tool_call> #}" + templates.CHATML, HERMES, id="hermes"),
        pytest.param(SHOWS_TOOLS + "{# [TOOL_CALLS] #}" + templates.CHATML, MISTRAL, id="mistral"),
    ],
)
def test_a_template_that_tells_of_calls_and_does_not_show_them_speaks_what_it_names(
    source: str, form: CallFormat
) -> None:
    assert probe_tools(ChatTemplate(source), {"<|im_end|>": 0}, (0,)) == ToolAbilities(form=form, tools=True)


def test_calls_that_are_no_json_are_made_in_the_generic_dialect() -> None:
    source = (
        SHOWS_TOOLS + "{# <tool_call><function= #}{% for m in messages %}{{ m.role + m.content }}"
        "{% for c in m.tool_calls or [] %}<function={{ c.function.name }}>"
        "{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>{{ v }}{% endfor %}{% endfor %}{% endfor %}"
    )
    assert probe_tools(ChatTemplate(source), {}, ()) == ToolAbilities(form=generic.GENERIC)


def test_the_newer_mistral_writes_the_name_outside_the_json() -> None:
    source = (
        SHOWS_TOOLS + "{% for m in messages %}{{ m.role + m.content }}{% for c in m.tool_calls or [] %}"
        "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}</s>{% endfor %}"
    )
    form = CallFormat(begin=("[TOOL_CALLS]",), to_arguments="[ARGS]", next="[TOOL_CALLS]", end="")
    assert probe_tools(ChatTemplate(source), {"</s>": 0}, (0,)).form == form


@pytest.mark.parametrize(
    ("content", "null_content"),
    [("m.content", False), ("(m.content or '')", True), ("('' if m.content is none else m.content)", True)],
)
def test_a_template_gets_no_content_beside_calls_unless_it_stumbles_over_that(content: str, null_content: bool) -> None:
    source = (
        "{% for m in messages %}{{ " + content + " }}{% for c in m.tool_calls or [] %}"
        "<call>{{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}</s>{% endfor %}"
    )
    abilities = probe_tools(ChatTemplate(source), {"</s>": 0}, (0,))
    assert (abilities.calls, abilities.null_content) == (True, null_content)
