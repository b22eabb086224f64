"""What is asked about before it is done."""

from __future__ import annotations

import pytest

from decube.cli.confirmation import confirm
from decube.kit.errors import Invalid


def test_without_any_standard_input_a_yes_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Invalid, match="--yes is needed to delete it"):
        confirm("delete it", yes=False)
    confirm("delete it", yes=True)
