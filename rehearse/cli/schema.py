"""`rehearse schema`"""

from __future__ import annotations

import json


def schema() -> None:
    """Print the JSON Schema of pipeline files, for editors.

    A first line in a pipeline makes an editor check it: # yaml-language-server: $schema=PATH_OR_URL
    """
    from rehearse.language.schema import pipeline_schema

    print(json.dumps(pipeline_schema(), indent=1, ensure_ascii=False))
