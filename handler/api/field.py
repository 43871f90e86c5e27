"""A row of a field table: one request field, in one of three classes. Pure.

    effective   changes the answer as documented
    inert       has no effect on the answer by OpenAI's own definition; its type is still checked
    rejected    400, but for the values that are its documented default

null always means absent, and a field at its default is never rejected.
"""

from typing import Generic, Literal, TypeVar

from handler.api.values import JsonObject, Reader, missing
from handler.frozen import dataclass

Standing = Literal["effective", "inert", "rejected"]
Origin = Literal["openai", "vllm"]

T_co = TypeVar("T_co", covariant=True)

LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Field(Generic[T_co]):
    """One row: a request field, how it is read, and what it does."""

    name: str
    standing: Standing
    reader: Reader[T_co]
    default: T_co
    doc: str
    origin: Origin = "openai"
    parent: str = ""
    required: bool = False

    @property
    def path(self) -> str:
        return f"{self.parent}.{self.name}" if self.parent else self.name

    def of(self, body: JsonObject) -> T_co:
        """The field's typed value in `body`, its default where absent or null. Raises InvalidRequest."""
        value = body.get(self.name)
        if value is not None:
            return self.reader(value, self.path)
        if self.required:
            raise missing(self.path)
        return self.default
