"""The reference of the commands follows from them."""

from cli.reference import FILE, reference


def test_the_reference_is_what_the_commands_say() -> None:
    assert FILE.read_text() == reference(), "run `make generate`: docs/reference/cli.md is stale"
