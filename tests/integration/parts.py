"""Parts that a bare machine lacks: each is started for a test where it is installed, and names itself where not."""

import os
import pwd
import random
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.waiting import eventually
from webapp.settings import RESOURCES


def find(program: str, package: str, *places: str) -> str:
    """Return the path of a program, or skip the test saying what to install."""
    found = shutil.which(program, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *places]))
    return found or pytest.skip(f"needs {program}; on Debian: apt-get install {package}")


def free_port() -> int:
    """Return a port that nothing listens on, and that the system gives to nobody who takes any."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def unprivileged() -> dict[str, Any]:
    """Return how to start programs that refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a part that may run as nobody."""
    with tempfile.TemporaryDirectory(prefix="live-inventory-part-") as name:
        path = Path(name)
        if (account := unprivileged()) != {}:
            os.chown(path, account["user"], account["group"])
        yield path


@contextmanager
def running(command: list[str], port: int, **options: Any) -> Iterator[None]:
    """Run a part in the foreground until the context ends; it accepts connections when the context begins."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        eventually(lambda: process.poll() is not None or _accepts(port))
        assert process.poll() is None, f"{command[0]} did not start"
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def postgres_15() -> Iterator[str]:
    """Run a cluster of Debian's PostgreSQL 15; give its address."""
    places = "/usr/lib/postgresql/15/bin"
    initdb, postgres = (find(name, "postgresql-15", places) for name in ("initdb", "postgres"))
    port = free_port()
    with folder() as data:
        options: dict[str, Any] = {"cwd": data, **unprivileged()}
        make = [initdb, "-D", str(data / "cluster"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, **options)
        serve = [postgres, "-D", str(data / "cluster"), "-p", str(port), "-c", f"unix_socket_directories={data}"]
        with running([*serve, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"], port, **options):
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            eventually(lambda: answers(url))
            yield url


@contextmanager
def pgbouncer(database_url: str) -> Iterator[str]:
    """Run PgBouncer in transaction mode before a server; give its address of the same database."""
    program, port = find("pgbouncer", "pgbouncer"), free_port()
    server = {"port": "5432", **conninfo_to_dict(database_url)}
    with folder() as home:
        settings = home / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={server['host']} port={server['port']} user={server['user']}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\n"
        )
        settings.chmod(0o644)
        with running([program, "-q", str(settings)], port, cwd=home, **unprivileged()):
            yield f"postgresql://{server['user']}@127.0.0.1:{port}/{server['dbname']}"


def certificate(folder: Path) -> dict[str, str]:
    """Make a key and a certificate that it signed itself; return their files by uvicorn's names."""
    files = {"ssl_keyfile": str(folder / "key.pem"), "ssl_certfile": str(folder / "certificate.pem")}
    command = [find("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    output = ["-nodes", "-subj", "/CN=localhost", "-keyout", files["ssl_keyfile"], "-out", files["ssl_certfile"]]
    subprocess.run([*command, *output], check=True, capture_output=True)
    return files


@contextmanager
def nginx(*upstream_ports: int, location: str = "/") -> Iterator[int]:
    """Run nginx before servers, in turn, with the lines of DEPLOYMENT.md; give its port, which speaks TLS."""
    program, port = find("nginx", "nginx-light"), free_port()
    with folder() as home:
        files = certificate(home)
        Path(files["ssl_keyfile"]).chmod(0o644)
        lines = _lines_of_the_guide(
            "nginx",
            {
                "listen 443": f"listen 127.0.0.1:{port}",
                "ssl_certificate /etc/ssl/stock.example.com.pem": f"ssl_certificate {files['ssl_certfile']}",
                "ssl_certificate_key /etc/ssl/stock.example.com.key": f"ssl_certificate_key {files['ssl_keyfile']}",
                "server 10.0.0.11:8000": f"server 127.0.0.1:{upstream_ports[0]}",
                "server 10.0.0.12:8000": f"server 127.0.0.1:{upstream_ports[-1]}",
                "location /": f"location {location}",
            },
        )
        paths = " ".join(f"{name}_temp_path {home}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
        settings = home / "nginx.conf"
        settings.write_text(
            f"daemon off; pid {home}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {home}/body; {paths}\n{lines}}}\n"
        )
        with running([program, "-p", str(home), "-c", str(settings)], port, **unprivileged()):
            yield port


@contextmanager
def caddy(*upstream_ports: int, location: str = "/") -> Iterator[int]:
    """Run Caddy as nginx above, with a certificate that it signs itself."""
    program, port = find("caddy", "caddy"), free_port()
    places = ", ".join(f"https://{host}:{port}" for host in ("127.0.0.1", "stock.example.com"))
    lines = _lines_of_the_guide(
        "caddyfile",
        {
            "stock.example.com {": f"{places} {{\nbind 127.0.0.1\ntls internal\nhandle {location.rstrip('/')}* {{",
            "10.0.0.11:8000": f"127.0.0.1:{upstream_ports[0]}",
            "10.0.0.12:8000": f"127.0.0.1:{upstream_ports[-1]}",
        },
    )
    with folder() as home:
        settings = home / "Caddyfile"
        options = f"admin off\nskip_install_trust\nauto_https disable_redirects\nstorage file_system {home}"
        settings.write_text(f"{{\n{options}\ndefault_sni 127.0.0.1\n}}\n{lines}}}\n")
        command = [program, "run", "--config", str(settings)]
        with running(command, port, env={"HOME": str(home)}, **unprivileged()):
            eventually(lambda: _speaks_tls(port))  # a moment later: it makes its certificate
            yield port


def _lines_of_the_guide(language: str, replaced: dict[str, str]) -> str:
    """Return what DEPLOYMENT.md has for a part, with its examples replaced; each of them is there once."""
    (lines,) = re.findall(rf"```{language}\n(.*?)```", (RESOURCES / "DEPLOYMENT.md").read_text(), re.DOTALL)
    for part, other in replaced.items():
        assert lines.count(part) == 1
        lines = lines.replace(part, other)
    return str(lines)


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _speaks_tls(port: int) -> bool:
    try:
        ssl.get_server_certificate(("127.0.0.1", port))
    except ssl.SSLError:
        return False
    return True


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
