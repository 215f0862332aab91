import pytest

from shared import semver


@pytest.mark.parametrize(
    ("version", "ordered"),
    [("1.2.3", (1, 2, 3)), ("v1.2", (1, 2, 0)), ("1", (1, 0, 0)), ("1.2.3+x.1", (1, 2, 3)), ("10.0.0", (10, 0, 0))],
)
def test_stable_versions_are_ordered_by_their_numbers(version: str, ordered: tuple[int, int, int]) -> None:
    assert semver.stable(version) == ordered


@pytest.mark.parametrize("version", ["1.2.3-rc.1", "one", "", "1.2.3.4", "1.2.3 ", "9" * 200])
def test_pre_releases_and_nonsense_are_not_stable(version: str) -> None:
    assert semver.stable(version) is None
