"""Settings: the prefix, the types, and what a mistake is told."""

import pytest

from handler.errors import ConfigurationError
from handler.settings import LambdaEnvironment, Settings, load_lambda_environment, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("LLM_", "AWS_LAMBDA_")):
            monkeypatch.delenv(name)


def test_defaults_serve_a_laptop() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.mode, settings.api_keys) == ("127.0.0.1", 8000, "stream", None)


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL_ALIAS", "gpt-4o, gpt-4o-mini,,")
    assert load_settings().model_alias == ("gpt-4o", "gpt-4o-mini")


def test_a_key_is_not_shown_by_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEYS", "sk-secret")
    assert "sk-secret" not in repr(load_settings())


def test_a_mistyped_name_is_an_error_that_names_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-one")
    with pytest.raises(ConfigurationError, match=r"LLM_API_KEY is not a setting: did you mean LLM_API_KEYS\?"):
        load_settings()


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODE", "streaming")
    with pytest.raises(ConfigurationError, match=r"LLM_MODE: Input should be 'stream' or 'buffered'"):
        load_settings()


def test_a_wrong_key_list_does_not_leak_into_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PORT", "sk-secret")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "sk-secret" not in str(caught.value)


def test_a_public_url_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PUBLIC", "true")
    with pytest.raises(ConfigurationError, match="set at least one key"):
        load_settings()


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PORT", "")
    assert load_settings().port == 8000


def test_a_variable_may_be_written_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("llm_port", "9000")
    assert load_settings().port == 9000


def test_only_loading_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PORT", "9000")
    assert Settings().port == 8000


def test_what_lambda_tells_is_read_and_its_other_variables_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
    monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/llm")
    assert load_lambda_environment() == LambdaEnvironment(runtime_api="127.0.0.1:9001", function_memory_size=1769)


@pytest.mark.parametrize("level", ["warning", "error"])
def test_metrics_need_the_lines_that_carry_them(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_METRICS", "emf")
    assert load_settings().metrics == "emf"
    monkeypatch.setenv("LLM_LOG_LEVEL", level)
    with pytest.raises(ConfigurationError, match=f"LLM_LOG_LEVEL={level} leaves out: set it to info or debug"):
        load_settings()


@pytest.mark.parametrize("price", ["-1", "nan", "inf", "cheap"])
def test_a_price_is_a_number_of_dollars(price: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PRICE_GB_SECOND", price)
    with pytest.raises(ConfigurationError, match="LLM_PRICE_GB_SECOND"):
        load_settings()
