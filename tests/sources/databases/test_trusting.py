"""Certificates: who signed its own is not trusted, who is named is, another host is not."""

import tempfile
from pathlib import Path

import pytest

from headgate.errors import HeadgateError
from headgate.sources.databases.database import DatabaseSource
from headgate.sources.source import Setting
from headgate.testing.server_processes import give

trustme = pytest.importorskip("trustme")


@pytest.fixture(scope="module")
def signed():
    """Write certificates, of one who signs for localhost and of somebody else.

    The servers run as other users: they may not look into pytest's own directories.
    """
    with tempfile.TemporaryDirectory(prefix="headgate-signed-") as directory:
        home = Path(directory)
        home.chmod(0o755)
        _write(home)
        yield home


def _write(home):
    signer, other = trustme.CA(), trustme.CA()
    issued = signer.issue_cert("localhost")
    issued.private_key_pem.write_to_path(home / "key.pem")
    issued.cert_chain_pems[0].write_to_path(home / "certificate.pem")
    signer.cert_pem.write_to_path(home / "signer.pem")
    other.cert_pem.write_to_path(home / "other.pem")


def given(home, server_module):
    """Give the key to whoever runs the server."""
    (home / "key.pem").chmod(0o600)
    give([home / "key.pem"], server_module.ACCOUNTS)
    return {"key": str(home / "key.pem"), "certificate": str(home / "certificate.pem")}


def read(url, root):
    setting = Setting(root=root, cache=root)
    [batch] = DatabaseSource({"url": url, "query": "select 1 as one"}, setting).read(None)
    return batch.rows.to_pylist()


def code(url, root):
    with pytest.raises(HeadgateError) as caught:
        read(url, root)
    assert "hunter2" not in str(caught.value)
    return caught.value.code


def test_postgresql_is_trusted_by_its_signer_and_name_alone(postgres, signed, tmp_path):
    from headgate.testing import postgres_servers

    files = given(signed, postgres_servers)
    settings = {"ssl": "on", "ssl_cert_file": files["certificate"], "ssl_key_file": files["key"]}
    with postgres_servers.PostgresServer(**settings) as server:
        base = server.url("any").partition("?")[0]
        here = base.replace("127.0.0.1", "localhost")
        trusted = f"{here}?sslmode=verify-full&sslrootcert={signed / 'signer.pem'}"
        assert read(trusted, tmp_path) == [{"one": 1}]
        assert code(trusted.replace("signer.pem", "other.pem"), tmp_path) == "database-not-trusted"
        assert code(trusted.replace("localhost", "127.0.0.1"), tmp_path) == "database-not-trusted"
        lost = trusted.replace("signer.pem", "nobody.pem")
        assert code(lost, tmp_path) == "database-not-trusted"


def test_mariadb_is_trusted_by_its_signer_and_name_alone(mariadb, signed, tmp_path):
    from headgate.testing import mariadb_servers

    files = given(signed, mariadb_servers)
    settings = {"ssl_cert": files["certificate"], "ssl_key": files["key"]}
    with mariadb_servers.MariaServer(**settings) as server:
        here = server.url().replace("127.0.0.1", "localhost")
        trusted = f"{here}?ssl_mode=VERIFY_IDENTITY&ssl_ca={signed / 'signer.pem'}"
        assert read(trusted, tmp_path) == [{"one": 1}]
        assert read(here, tmp_path) == [{"one": 1}]
        assert code(trusted.replace("signer.pem", "other.pem"), tmp_path) == "database-not-trusted"
        assert code(trusted.replace("localhost", "127.0.0.1"), tmp_path) == "database-not-trusted"
        lost = trusted.replace("signer.pem", "nobody.pem")
        assert code(lost, tmp_path) == "bad-database-url"
