"""Where a list of keys is kept: a secret of Secrets Manager, or a parameter of Systems Manager. Pure."""

from typing import Literal, TypeAlias, get_args

from handler.frozen import dataclass

Store: TypeAlias = Literal["secretsmanager", "ssm"]
FORM = "secretsmanager:NAME_OR_ARN or ssm:NAME_OR_ARN"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPlace:
    """`name` as the store's own API takes it: a name, or an ARN."""

    store: Store
    name: str

    def __str__(self) -> str:
        """As a setting names it."""
        return f"{self.store}:{self.name}"

    @property
    def region(self) -> str | None:
        """The one that an ARN names; None: where the process is."""
        return self.name.split(":")[3] or None if self.name.startswith("arn:") and self.name.count(":") >= 3 else None


def parse_secret_place(text: str) -> SecretPlace:
    """Raises ValueError that says which forms there are, and does not repeat the text: it could be a key."""
    for store in get_args(Store):
        if text.startswith(f"{store}:") and (name := text.removeprefix(f"{store}:").strip()):
            return SecretPlace(store=store, name=name)
    raise ValueError(f"name the place where the keys are kept: {FORM}")
