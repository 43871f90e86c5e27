"""What is built: the Dockerfile's build arguments, and what a build can be told from outside."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "handler" / "Dockerfile"
# As the base: one made here, of Debian's packages.
DEBIAN = "debian"
NO_MODEL = "none"


class BuildError(Exception):
    """The image cannot be built so; the message says what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The build arguments. `base` empty: the one that the Dockerfile pins."""

    model: str = "default"
    recipe: str = "int8"
    embedding_model: str = ""
    prefix: str = ""
    base: str = ""

    def check(self, root: Path) -> None:
        """Refuses what the build cannot see. `root`: the directory of template.yaml. Raises BuildError."""
        for name in (self.model, self.embedding_model):
            if name.startswith((".", "/")) or name.endswith(".gguf") or (name and (root / name).exists()):
                raise BuildError(
                    f"{name} is a file of this machine, and the build sees none: name a hub id, or keep the exported"
                    f" model in S3 (MODEL={NO_MODEL}, and LLM_MODEL=s3://… for the function)"
                )
        if self.prefix and not (self.prefix.startswith("prefix.") and (root / self.prefix).is_file()):
            raise BuildError(
                f"{self.prefix}: a prefix for the image is a prefix.txt or prefix.json beside template.yaml"
            )
        if self.prefix and self.model == NO_MODEL:
            raise BuildError(f"a prefix is run by the model, and MODEL={NO_MODEL} bakes none: leave one of them out")

    def arguments(self, base: str) -> dict[str, str]:
        """For `--build-arg`. `base`: the image to begin with; empty: the pinned one."""
        return {
            "MODEL": self.model,
            "RECIPE": self.recipe,
            "EMBEDDING_MODEL": self.embedding_model,
            "PREFIX": self.prefix,
            **({"BASE_IMAGE": base} if base else {}),
        }
