from pathlib import Path

import pytest

from tests.models import exported


@pytest.fixture(scope="session")
def default_model() -> Path:
    return exported("default", "int8")
