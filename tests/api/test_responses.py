"""What tasks report is shown, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearse.api.responses import Json


@pytest.mark.parametrize(
    ("output", "shown"), [(float("nan"), None), (float("inf"), None), (2**70, 2**70), (0.1, 0.1), ("é😀", "é😀")]
)
def test_outputs_that_json_or_its_writers_do_not_have(output: Any, shown: Any) -> None:
    assert json.loads(bytes(Json({"outputs": [output]}).body)) == {"outputs": [shown]}
