"""Who may talk to the stack: only its owner, and only to the server it was made for."""

import csv
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from knative.local import credentials
from knative.local.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "local", 20000)
    credentials.create(layout)
    return layout


def kubeconfigs(layout: Layout) -> list[Path]:
    return [layout.kubeconfig, *layout.kubeconfig_of("functions").parent.iterdir()]


def test_every_secret_is_readable_by_its_owner_only(layout: Layout) -> None:
    files = [path for path in layout.home.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_no_kubeconfig_skips_the_verification_of_the_server(layout: Layout) -> None:
    clusters = [yaml.safe_load(path.read_text())["clusters"][0]["cluster"] for path in kubeconfigs(layout)]
    expected = {
        "server": "https://127.0.0.1:20000",
        "certificate-authority": str(layout.certificates / "ca.crt"),
    }
    assert clusters == [expected] * len(clusters)


def test_the_server_certificate_is_signed_by_the_authority_and_names_loopback(layout: Layout) -> None:
    ca, server = (
        x509.load_pem_x509_certificate((layout.certificates / name).read_bytes()) for name in ("ca.crt", "server.crt")
    )
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.0.1" in map(str, names.get_values_for_type(x509.IPAddress))


def test_the_api_server_is_to_a_kubelet_a_user_of_its_own_and_no_server(layout: Layout) -> None:
    ca, shown = (
        x509.load_pem_x509_certificate((layout.certificates / name).read_bytes())
        for name in ("ca.crt", "kubelet-client.crt")
    )
    shown.verify_directly_issued_by(ca)
    assert shown.subject.rfc4514_string() == f"CN={credentials.KUBELET_CLIENT}"
    with pytest.raises(x509.ExtensionNotFound):
        shown.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_node_is_known_by_its_group(layout: Layout) -> None:
    credentials.issue(layout.certificates, "kubelet", "system:node:a", "system:nodes", addresses=["198.18.1.2"])
    subject = x509.load_pem_x509_certificate((layout.certificates / "kubelet.crt").read_bytes()).subject
    assert subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"


def test_our_processes_are_service_accounts_and_not_administrators(layout: Layout) -> None:
    rows = list(csv.reader((layout.run / "tokens.csv").read_text().splitlines()))
    administrators = [user for _, user, _, groups in rows if "system:masters" in groups.split(",")]
    assert administrators == ["admin"]
    assert "system:serviceaccount:chandlery:instances-source" in [user for _, user, _, _ in rows]
    assert len({token for token, *_ in rows}) == len(rows)


def test_a_second_up_keeps_the_credentials(layout: Layout) -> None:
    before = layout.kubeconfig.read_bytes()
    credentials.create(layout)
    assert layout.kubeconfig.read_bytes() == before
