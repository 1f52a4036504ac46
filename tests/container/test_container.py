"""The image of `deploy/Containerfile`, built and run by Podman without root inside, as its first lines say."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn

pytestmark = [pytest.mark.container, pytest.mark.timeout(1800)]  # the image and its base are made first

ROOT = Path(__file__).parents[2]
PUBLISHED = "docker.io/library/python:3.13-slim"
DEBIAN = "localhost/lookalike-debian"
IMAGE = "localhost/lookalike-test"
UID = 10001
PORT = 8000
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def podman(*arguments: str, timeout: float = 900) -> str:
    """Output of a command of Podman that succeeds."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def runs(*arguments: str) -> bool:
    return subprocess.run(["podman", *arguments], capture_output=True, timeout=300).returncode == 0


def is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture(scope="module")
def limits() -> list[str]:
    """Options that let containers run where limits cannot be raised and there is no network for them alone."""
    if shutil.which("podman") is None:
        pytest.skip("Podman is not installed; apt-get install podman runc")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    options = [
        "--network",
        "host",
        "--ulimit",
        f"nofile={min(files, 1024)}:{min(files, 1024)}",
        "--ulimit",
        "nproc=1000:1000",
    ]
    return [*options, *(["--runtime", "runc"] if shutil.which("runc") else [])]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The published base image; where no registry is reached, Debian with Python, made by debootstrap."""
    if runs("image", "exists", PUBLISHED) or runs("pull", "--quiet", PUBLISHED):
        return PUBLISHED
    if not runs("image", "exists", DEBIAN):
        if shutil.which("debootstrap") is None or os.geteuid() != 0:
            pytest.skip("the base image cannot be pulled, and debootstrap, as root, is not installed to make one")
        system = tmp_path_factory.mktemp("debian")
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(["debootstrap", "--variant=minbase", packages, "stable", str(system)], check=True, timeout=900)
        packing = ["tar", "-C", str(system), "-c", "."]
        with subprocess.Popen(packing, stdout=subprocess.PIPE) as packed:  # closes the pipe
            subprocess.run(["podman", "import", "--quiet", "-", DEBIAN], stdin=packed.stdout, check=True, timeout=900)
        assert packed.returncode == 0
        shutil.rmtree(system)
    return DEBIAN


@pytest.fixture(scope="module")
def image(base: str, limits: list[str]) -> str:
    """The image, built."""
    certificates = []
    if CERTIFICATES.is_file():
        certificates = ["--volume", f"{CERTIFICATES}:/etc/ssl/host.crt:ro", "--env", "PIP_CERT=/etc/ssl/host.crt"]
    file = ["--file", "deploy/Containerfile", "--build-arg", f"BASE={base}"]
    podman(
        "build",
        "--quiet",
        "--format",
        "docker",
        "--isolation",
        "oci",
        *limits,
        *certificates,
        *file,
        "--tag",
        IMAGE,
        str(ROOT),
    )
    return IMAGE


@pytest.fixture
def served(image: str, limits: list[str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address of the running container, and its name."""
    table = write_drawn(tmp_path / "drawn", products=6, photos=2)
    with lookalike.open(tmp_path / "drawn.gallery") as shop:
        shop.index(table)
    for path in [tmp_path / "drawn.gallery", *(tmp_path / "drawn.gallery").rglob("*")]:
        os.chown(path, UID, UID)
    port = PORT if is_free(PORT) else 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        port = taken.getsockname()[1]
    name = f"lookalike-test-{port}"
    locked = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
    volume = ["--volume", f"{tmp_path / 'drawn.gallery'}:/gallery:Z"]
    podman("run", "--detach", "--name", name, *locked, *limits, *volume, image, "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/readyz", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        else:
            raise AssertionError(podman("logs", name))
        yield address, name
    finally:
        subprocess.run(["podman", "rm", "--force", "--time", "5", name], capture_output=True, timeout=60)


def test_the_image_serves_locked_up_and_stops_when_it_is_told(served: tuple[str, str]) -> None:
    address, name = served
    body = json.dumps({"id": "d001-1", "k": 3}).encode()
    request = urllib.request.Request(f"{address}/v1/search", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert json.load(response)["matches"][0]["id"] == "d001-2"
    who = podman("exec", name, "/opt/lookalike/bin/python", "-c", "import os; print(os.getuid(), os.getgid())")
    assert who.split()[0] == str(UID)
    assert not runs("exec", name, "touch", "/opt/lookalike/written")
    assert runs("healthcheck", "run", name) == address.endswith(f":{PORT}")  # which asks that port
    started = time.monotonic()
    podman("stop", "--time", "30", name)
    assert time.monotonic() - started < 20
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"


UNIT = """FROM {image}
USER 0
RUN apt-get -qq update && apt-get -qq install -y --no-install-recommends systemd >/dev/null
COPY lookalike.service without-token.conf /source/
RUN mkdir -p /etc/systemd/system/lookalike.service.d && mv /source/lookalike.service /etc/systemd/system/ \
    && mv /source/without-token.conf /etc/systemd/system/lookalike.service.d/ \
    && mkdir -p /etc/lookalike && printf 'a token for the tests' > /etc/lookalike/token
COPY shop.gallery /var/lib/private/lookalike/shop.gallery
RUN chmod 700 /var/lib/private
ENTRYPOINT ["/lib/systemd/systemd"]
"""
WITHOUT_TOKEN = """[Service]
ExecStart=
ExecStart=/opt/lookalike/bin/lookalike serve --gallery /var/lib/lookalike/shop.gallery
"""
"""Kernels whose tmpfs has no access control lists show no credential to a dynamic user."""


def test_the_unit_starts_and_stops_under_systemd(image: str, limits: list[str], tmp_path: Path) -> None:
    """In the state directory of a dynamic user, behind all that it locks up; a failed start costs no minute."""
    if not is_free(PORT):
        pytest.skip(f"another program has port {PORT}, on which the unit serves")
    table = write_drawn(tmp_path / "drawn", products=6, photos=2)
    with lookalike.open(tmp_path / "shop.gallery") as shop:
        shop.index(table)
    shutil.copy(ROOT / "deploy" / "lookalike.service", tmp_path)
    (tmp_path / "without-token.conf").write_text(WITHOUT_TOKEN)
    (tmp_path / "Containerfile").write_text(UNIT.format(image=image))
    podman("build", "--quiet", "--isolation", "oci", *limits, "--tag", f"{IMAGE}-systemd", str(tmp_path))
    name = "lookalike-test-systemd"
    podman("run", "--detach", "--name", name, "--systemd=always", "--privileged", *limits, f"{IMAGE}-systemd")
    try:
        started = time.monotonic()
        while not runs("exec", name, "systemctl", "start", "lookalike"):
            assert time.monotonic() - started < 90, podman("exec", name, "journalctl", "--no-pager", "-u", "lookalike")
            time.sleep(1)
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/items?limit=0", timeout=30) as response:
            assert json.load(response)["total"] == 12
        log = podman("exec", name, "journalctl", "--no-pager", "-u", "lookalike")
        assert "cpuinfo" not in log  # ONNX Runtime chooses its kernels by /proc/cpuinfo
        podman("exec", name, "systemctl", "stop", "lookalike")
        assert podman("exec", name, "systemctl", "show", "lookalike", "--property", "Result") == "Result=success"
        podman("exec", name, "mv", "/var/lib/private/lookalike/shop.gallery", "/var/lib/private/lookalike/away")
        started = time.monotonic()
        assert not runs("exec", name, "systemctl", "start", "lookalike")
        assert time.monotonic() - started < 30
    finally:
        subprocess.run(["podman", "rm", "--force", "--time", "1", name], capture_output=True, timeout=60)
