"""Chat templates in the manner of well-known families, each with that family's peculiarity."""

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# Refuses a system message and demands that roles alternate; trims; calls the assistant "model".
GEMMA = """
{{- bos_token -}}
{%- if messages[0].role == 'system' -%}
    {{ raise_exception('System role not supported') }}
{%- endif -%}
{%- for message in messages -%}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif -%}
    {%- set role = 'model' if message.role == 'assistant' else message.role -%}
    {{ '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}
"""

# Takes one system message, at the beginning; refuses any other.
SYSTEM_FIRST = (
    "{% for message in messages %}"
    "{% if message.role == 'system' and not loop.first %}"
    "{{ raise_exception('System message must be first.') }}{% endif %}"
    "{{ '[' + message.role + ']' + message.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)

# Looks for a system message at the beginning only and silently skips all other roles it does not know.
FORGETFUL = """
{%- if messages[0].role == 'system' %}{{ '<<' + messages[0].content + '>>' }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'user' %}{{ 'U:' + message.content + '\n' }}
    {%- elif message.role == 'assistant' %}{{ 'A:' + message.content + '\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}A:{% endif %}
"""

# Knows the developer role, reasoning, tool calls and a switch.
MODERN = """
{%- for message in messages %}
    {%- if message.role in ['system', 'developer'] and enable_thinking is defined and not enable_thinking %}
        {{- '<|im_start|>' + message.role + '\n/no_think ' + message.content + '<|im_end|>\n' }}
        {%- continue %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\n' }}
    {%- if message.reasoning_content %}{{ '<think>' + message.reasoning_content + '</think>' }}{% endif %}
    {%- generation %}{{ message.content }}{% endgeneration %}
    {%- for call in message.tool_calls or [] %}
        {{- '<call>' + call.function.name + ' ' + call.function.arguments | tojson + '</call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
"""
