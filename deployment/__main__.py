"""`python -m deployment plan` shows what samconfig.toml and template.yaml lead to; `… ready` asks for a region, once,
and says what is missing before a deployment. Exit status: 0, or 1 where nothing can be deployed as it is.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deployment.config import Config, check_region, read_config, with_region
from deployment.document import read_template
from deployment.errors import DeploymentError
from deployment.machine import missing
from deployment.plan import Plan, make_plan
from deployment.text import render
from deployment.translation import translate

# Where nobody has chosen a region yet, the plan is for this one.
_ANY_REGION = "us-east-1"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deployment", description=__doc__)
    parser.add_argument("task", choices=("plan", "ready"))
    parser.add_argument("--config", type=Path, default=Path("samconfig.toml"))
    parser.add_argument("--template", type=Path, default=Path("template.yaml"))
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config)
        plan = plan_for(config, options.template)
        if options.task == "plan":
            sys.stdout.write(render(plan) + "\n")
            return 1 if plan.violations else 0
        problems = [*plan.violations, *missing(config.profile)]
        if not problems and config.region is None:
            _choose_region(config.stack_name, options.config)
    except DeploymentError as error:
        problems = str(error).splitlines()
    sys.stderr.write("".join(f"! {problem}\n" for problem in problems))
    return 1 if problems else 0


def plan_for(config: Config, template_path: Path) -> Plan:
    """The plan for what `config` asks of the template. Raises DeploymentError."""
    template = read_template(template_path)
    region = config.region or _ANY_REGION
    translated = translate(template, config.parameters, region=region)
    return make_plan(template, translated, config.parameters, stack_name=config.stack_name, region=region)


def _choose_region(stack_name: str, path: Path) -> None:
    """Asks where to deploy: the answer goes into samconfig.toml."""
    suggested = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not sys.stdin.isatty():
        raise DeploymentError(f'{path} names no region: write region = "{suggested or "eu-central-1"}" into its block')
    hint = f" [{suggested}]" if suggested else ", such as eu-central-1"
    region = input(f"AWS region to deploy {stack_name} to{hint}: ").strip() or suggested or ""
    check_region(region)
    path.write_text(with_region(path.read_text(encoding="utf-8"), region), encoding="utf-8")
    sys.stdout.write(f"{path} now says so.\n")


if __name__ == "__main__":
    sys.exit(main())
