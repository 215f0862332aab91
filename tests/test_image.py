"""What goes into the image: what is locked for it is what is tested, and nothing that only developers need."""

import re
import tomllib

from knative.local.layout import REPOSITORY
from knative.local.tools import MODULES

PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((REPOSITORY / name).read_text()))


def names(specifiers: list[str]) -> set[str]:
    return {re.split(r"[\[<>=]", each)[0].lower() for each in specifiers}


def test_the_image_has_the_versions_that_are_tested() -> None:
    assert pins("requirements-image.txt").items() <= pins("requirements.txt").items()


def test_the_image_has_everything_the_code_needs_and_no_tool_of_developers() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    needed = names(project["dependencies"]) | names(optional["cli"])
    locked = {name.lower() for name in pins("requirements-image.txt")}
    assert needed <= locked
    assert (names(optional["dev"]) - needed) & locked == set()


def test_helm_in_the_image_is_the_one_that_is_tested() -> None:
    (helm,) = [each for each in MODULES if each.name == "helm"]
    assert helm.ldflags in DOCKERFILE
    assert all(f" {package} " in DOCKERFILE for package in helm.programs.values())


def test_nobody_in_particular_runs_in_the_image() -> None:
    assert "\nUSER 65532:65532\n" in DOCKERFILE
    assert not re.search(r"^(ADD|RUN.*curl)", DOCKERFILE, re.MULTILINE)


def test_every_package_of_ours_is_in_the_image() -> None:
    copied = set(re.findall(r"^COPY (\w+)/", DOCKERFILE, re.MULTILINE))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert copied - {"knative"} == {*project["root_packages"]} - {"knative"}
    assert "COPY knative/*.py knative/" in DOCKERFILE
