"""Every package that an installation brings along is pinned."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Collect a distribution and, through its requirements, all that it needs here."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in (*extras, "")):
            needed(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)


@pytest.mark.parametrize("extra", ["dev", "plots", "local", "ray", "site"])
def test_every_requirement_down_to_the_last_is_pinned_and_installed_at_its_pin(extra: str) -> None:
    """The same commit installs the same versions on every machine."""
    lines = [line.split("==") for line in CONSTRAINTS.read_text().split()]
    pins = {canonicalize_name(name): version for name, version in lines}
    seen: set[tuple[str, frozenset[str]]] = set()
    try:
        needed("gswarm-place", frozenset({extra}), seen)
    except PackageNotFoundError:
        if extra in ("ray", "site"):
            pytest.skip(f"not installed: `make {extra}` installs it, and this can run again")
        raise
    installed = {name: distribution(name).version for name, _ in seen if name != "gswarm-place"}
    assert {name: pins.get(name) for name in installed} == installed
