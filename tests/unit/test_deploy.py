"""The examples in `deploy/`, as far as they can be checked without a container engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lookalike.server.settings import MEBIBYTE, Settings
from lookalike.server.shared_state import WRITE_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
BACKUP = "lookalike-backup.service"
INSTRUCTIONS = {
    "ARG",
    "FROM",
    "WORKDIR",
    "COPY",
    "RUN",
    "USER",
    "ENV",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ENTRYPOINT",
}


def test_the_container_file_can_be_read_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert {step[0] for step in steps} <= INSTRUCTIONS
    last = {name: value for name, value in steps}  # of each the last, as engines take it
    assert int(last["USER"]) > 0
    assert json.loads(last["ENTRYPOINT"])[1:3] == ["serve", "--gallery"]
    check = last["HEALTHCHECK"]
    program = json.loads(check[check.index("[") :])
    compile(program[-1], "health check", "exec")
    assert "/readyz" in program[-1]


def test_the_nightly_backup_can_be_read_and_runs_as_the_user_who_serves(tmp_path: Path) -> None:
    served = (DEPLOY / "lookalike.service").read_text(encoding="utf-8")
    texts = {name: (DEPLOY / name).read_text(encoding="utf-8") for name in (BACKUP, BACKUP.replace("service", "timer"))}
    for setting in ("DynamicUser=yes", "User=lookalike"):
        assert setting in served.splitlines()
        assert setting in texts[BACKUP].splitlines()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    for name, text in texts.items():
        (tmp_path / name).write_text(text.replace("/opt/lookalike/bin/lookalike", "/bin/true"))
    units = [str(tmp_path / name) for name in texts]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if "lookalike-backup" in line] == []


def test_the_unit_can_be_read_and_is_locked_up(tmp_path: Path) -> None:
    text = (DEPLOY / "lookalike.service").read_text(encoding="utf-8")
    for setting in ("DynamicUser=yes", "ProtectSystem=strict", "NoNewPrivileges=yes", "LoadCredential=token:"):
        assert setting in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "lookalike.service"
    unit.write_text(
        text.replace("/opt/lookalike/bin/lookalike", "/bin/true").replace("/opt/lookalike/bin/python", "python3")
    )
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    told = [line for line in (done.stdout + done.stderr).splitlines() if "lookalike.service" in line]
    assert told == []


def test_the_proxy_lets_pass_what_the_server_takes() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    found = re.search(r"client_max_body_size (\d+)m;", text)
    assert found
    assert int(found[1]) * MEBIBYTE >= Settings().bulk_bytes
    patience = re.search(r"proxy_read_timeout (\d+)s;", text)
    assert patience
    assert int(patience[1]) > WRITE_SECONDS
    idle = re.search(r"keepalive_timeout (\d+)s;", text)
    assert idle
    assert int(idle[1]) < Settings().idle_seconds  # else a request meets a connection that is just being closed
    assert re.search(r"location = /metrics {\s+return 404;", text)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here")
def test_nginx_reads_the_proxy_s_file(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    plain = re.sub(r"\n\s+ssl_certificate.*", "", text).replace("443 ssl", "8443")
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{plain}\n}}\n")
    done = subprocess.run(["nginx", "-t", "-c", str(whole)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_proxy_sends_what_needs_the_token_to_the_process_that_has_it() -> None:
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    patterns = [re.compile(found) for found in re.findall(r'"~(\^.*)" lookalike_writer;', text)]
    document = json.loads((DEPLOY.parent / "clients/typescript/openapi.json").read_text(encoding="utf-8"))
    needs_token = {
        f"{method.upper()} {path.format(id='a-1', gallery='shop')}": "security" in operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert sum(needs_token.values()) > 10
    assert {line: any(each.match(line) for each in patterns) for line in needs_token} == needs_token


def test_the_compose_file_can_be_read_and_its_parts_wait_for_each_other() -> None:
    text = (DEPLOY / "milvus-compose.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"etcd", "store", "milvus"}
    volumes = yaml.safe_load(text)["volumes"]
    for service in services.values():
        name, _, tag = service["image"].rpartition(":")
        assert name
        assert tag not in ("", "latest")
        assert "healthcheck" in service
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(volumes)
    milvus = services["milvus"]
    assert set(milvus["depends_on"]) == {"etcd", "store"}
    assert milvus["environment"]["COMMON_SECURITY_AUTHORIZATIONENABLED"] == "true"
    assert milvus["ports"] == ["127.0.0.1:19530:19530"]  # not reachable from other machines
    assert "password" not in re.sub(r"\$\{.*?\}|MINIO_ROOT_PASSWORD:|ROOTPASSWORD:|#.*", "", text).lower()


def test_the_values_of_the_chart_can_be_read_and_have_room_for_what_they_say() -> None:
    values = yaml.safe_load((DEPLOY / "milvus-values.yaml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((DEPLOY / "milvus-compose.yaml").read_text(encoding="utf-8"))
    assert values["image"]["all"]["tag"] == compose["services"]["milvus"]["image"].rpartition(":")[2]
    assert yaml.safe_load(values["extraConfigFiles"]["user.yaml"])["common"]["security"]["authorizationEnabled"] is True
    assert values["cluster"]["enabled"]
    assert values["externalS3"]["enabled"] != values["minio"]["enabled"]
    nodes = values["queryNode"]
    memory = nodes["replicas"] * int(nodes["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    assert memory >= 2 * 100_000_000 * (576 + 510) * 1.4  # as docs/cluster.md reckons
