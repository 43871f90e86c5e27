"""`python -m image_build`: builds, tells sizes, writes the bill of materials, fails where something is too large."""

import argparse
import json
import os
import sys
from pathlib import Path

from image_build import sizes
from image_build.buildah import Buildah
from image_build.commands import installed
from image_build.docker import Docker
from image_build.image import Engine
from image_build.recipe import DEBIAN, NO_MODEL, ROOT, BuildError, Recipe
from image_build.sbom import bill_of_materials

TAG = "localhost/lambda-llm:latest"
SBOM = ROOT / "artifacts" / "image" / "sbom.json"


def main() -> int:
    """Exit status: 1 if there is no image, or if it is too large."""
    options = _parser().parse_args()
    recipe = Recipe(
        model=options.model,
        recipe=options.recipe,
        embedding_model=options.embedding_model,
        prefix=options.prefix,
        base=options.base,
    )
    try:
        recipe.check(ROOT)
        told = build(_engine(), recipe, tag=options.tag, sbom=options.sbom)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    for sentence in told:
        print(f"image: too large: {sentence}", file=sys.stderr)
    return 1 if told else 0


def build(engine: Engine, recipe: Recipe, *, tag: str, sbom: Path) -> list[str]:
    """Builds, prints sizes, writes `sbom`. Returns what is too large. Raises BuildError."""
    base = engine.base() if recipe.base == DEBIAN else recipe.base
    try:
        engine.build(tag, recipe.arguments(base))
    except BuildError as error:
        if base:
            raise
        raise BuildError(f"{error}; without a registry, BASE_IMAGE={DEBIAN} makes a base here") from None
    with engine.opened(tag) as image:
        parts = sizes.measure(image.root)
        bill = bill_of_materials(image.root)
    sbom.parent.mkdir(parents=True, exist_ok=True)
    sbom.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{tag}\n{sizes.table(parts)}\n{len(bill['components'])} components: {sbom}", flush=True)
    return sizes.beyond(parts)


def _engine() -> Engine:
    if installed("buildah"):
        if os.geteuid() != 0:
            raise BuildError("buildah mounts and changes root: run as root, or as `buildah unshare make image`")
        return Buildah()
    if installed("docker"):
        return Docker()
    raise BuildError("neither buildah nor docker is installed: apt-get install buildah, or docker.com's own packages")


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(
        prog="python -m image_build", description=__doc__.splitlines()[0] if __doc__ else None
    )
    cli.add_argument("--model", default="default", help=f"default, a hub id, or {NO_MODEL}")
    cli.add_argument("--recipe", default="int8", help="of the export (int8)")
    cli.add_argument("--embedding-model", default="", help="none, default-embedding or a hub id")
    cli.add_argument("--prefix", default="", help="prefix.txt or prefix.json beside template.yaml")
    cli.add_argument("--base", default="", help=f"instead of the pinned one; {DEBIAN}: made here, without a registry")
    cli.add_argument("--tag", default=TAG, help=f"of the image ({TAG})")
    cli.add_argument("--sbom", type=Path, default=SBOM, metavar="FILE", help="where the bill of materials goes")
    return cli


if __name__ == "__main__":
    sys.exit(main())
