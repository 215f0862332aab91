"""What the stack is made of: no two processes on one port, nothing as administrator that need not be."""

import configparser
from pathlib import Path

import pytest

from knative.local import processes
from knative.local.layout import SOURCES, Layout, function_names
from knative.local.processes import Process
from knative.local.supervision import Supervisor
from knative.local.tools import MODULES, Tools
from knative.local.waiting import StackError, wait


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, 20000)


@pytest.fixture
def tools() -> Tools:
    programs = {name: Path("/bin") / name for module in MODULES for name in module.programs}
    return Tools(programs, {module.name: Path("/share") for module in MODULES})


@pytest.mark.parametrize("each", [False, True], ids=["all in one", "one each"])
def test_ports_are_distinct_and_within_a_hundred(layout: Layout, *, each: bool) -> None:
    ports = [layout.port(name) for name in processes.ports(each=each)]
    assert len(set(ports)) == len(ports)
    assert set(ports) <= set(range(20000, 20100))


@pytest.mark.parametrize("each", [False, True], ids=["all in one", "one each"])
def test_our_processes_run_with_rights_of_their_own(layout: Layout, tools: Tools, *, each: bool) -> None:
    table = {process.name: process for process in processes.table(layout, tools, each=each)}
    ours = [*processes.function_processes(each=each), *SOURCES]
    assert {table[name].environment["KUBECONFIG"] for name in ours} == {
        str(layout.kubeconfig_of(name)) for name in ours
    }


def test_every_function_has_a_route_to_its_path(layout: Layout) -> None:
    routes = dict(line.split() for line in processes.routes(layout, each=False).splitlines())
    hosts = {f"{name.replace('_', '-')}.chandlery.svc.cluster.local": name for name in function_names()}
    assert {host: routes[host] for host in hosts} == {host: f"127.0.0.1:20020/{name}" for host, name in hosts.items()}


def test_a_command_with_spaces_and_percent_signs_survives_the_configuration(layout: Layout) -> None:
    Supervisor(layout).configure([Process("odd", ["/a b", "100%"], {"X": "50%, or so"})])
    parser = configparser.RawConfigParser()
    parser.read(layout.run / "supervisor.ini")
    section = parser["program:odd"]
    assert section["command"] == '"/a b" "100%%"'
    assert section["environment"] == 'X="50%%, or so"'


def test_a_wait_for_a_failing_process_shows_its_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("the reason\n")
    with pytest.raises(StackError, match="the reason"):
        wait("x", lambda: False, limit=5, log=log, state=lambda: "FATAL")
