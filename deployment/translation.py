"""SAM's own translator: what CloudFormation makes of the template's `Transform`, without CloudFormation.

The only importer of samtranslator, which is in the SAM CLI's environment.
"""

import copy
from collections.abc import Mapping
from typing import Any

from deployment.errors import DeploymentError
from deployment.intrinsics import PSEUDO

# `sam deploy` puts the pushed image's name there; the translator wants to see one.
IMAGE = f"{PSEUDO['AWS::AccountId']}.dkr.ecr.REGION.{PSEUDO['AWS::URLSuffix']}/IMAGE:TAG"


def translate(template: Mapping[str, Any], parameters: Mapping[str, str], *, region: str) -> dict[str, Any]:
    """The template in plain CloudFormation, its intrinsic functions unevaluated. Raises DeploymentError."""
    from boto3.session import Session
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    document = copy.deepcopy(dict(template))
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"].setdefault("ImageUri", IMAGE)
    translator = Translator({}, Parser(), boto_session=Session(region_name=region))
    try:
        return dict(translator.translate(document, {**parameters, "AWS::Region": region}))
    except InvalidDocumentException as error:
        raise DeploymentError("\n".join(cause.message for cause in error.causes)) from None
    finally:
        translator.metrics.publish()
