"""No secret of a config appears in the database, in messages, in logs or in JSON, however it is written."""

import json
import logging
import sqlite3
import string
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from reidpipe.pipeline import credentials
from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.cli.printing import print_json, table_of
from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.loader import load_config
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.credentials import (
    CleanLogRecord,
    address_without_credentials,
    config_without_credentials,
    remember_secrets,
    without_credentials,
)
from reidpipe.pipeline.errors import ConfigError, SourceError, StoreError
from reidpipe.pipeline.sources.opening import open_source
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport

from .media import write_video
from .networks import write_detector

ODD = "/@%?#&=:;+$!*'\"\\ \t<>[]{}|^~`,()äé漢😀"
NO_WORD = "q7Z"  # in every secret: hypothesis also tries words of the program, such as database, which are everywhere
SECRETS = (
    st.text(string.ascii_letters + string.digits + ODD, min_size=3, max_size=21)
    .filter(lambda text: text.strip() == text)
    .map(lambda text: text[: len(text) // 2] + NO_WORD + text[len(text) // 2 :])
)
HOSTS = st.sampled_from(["camera-7.lan", "10.0.0.5", "10.0.0.5:554", "[fe80::1]:554", "h"])
SHAPES = [
    "rtsp://{user}:{secret}@{host}/Streaming/Channels/101",
    "rtsp://{user}:{secret}@{host}",
    "rtsp://:{secret}@{host}/1",
    "rtsp://{secret}@{host}/1",
    "rtsp://{host}/1?user={user}&password={secret}&channel=1",
    "rtsp://{host}/user={user}&password={secret}&channel=1",
    "http://{host}/video?token={secret}",
    "http://{host}/video#access_token={secret}",
    "http://{host}/live/{secret}/index.m3u8",
    "rtsp:/{user}:{secret}@{host}/1",
    "postgresql+psycopg://{user}:{secret}@{host}/people",
    "postgresql://{host}/people?user={user}&password={secret}",
    "mysql://{user}:{secret}@{host}/people?ssl_key={secret}",
]
WRITERS = {
    "as it is": str,
    "percent-encoded": lambda text: quote(text, safe=""),
    "half encoded": quote,
    "lower-case codes": lambda text: "".join(
        f"%{byte:02x}" if chr(byte) not in string.ascii_letters else chr(byte) for byte in text.encode()
    ),
}


@st.composite
def addresses(draw):
    """(address, the secret in it as a user knows it, the same as it is written in the address)."""
    secret, user = draw(SECRETS), draw(st.sampled_from(["admin", "o'neil", "a b"]))
    host, shape = draw(HOSTS), draw(st.sampled_from(SHAPES))
    written = WRITERS[draw(st.sampled_from(sorted(WRITERS)))](secret)
    address = shape.format(user=user, secret=written, host=host)
    for other in (shape, host, user, "rtsp://***", "***", "/..."):
        assume(secret not in other and written not in other)
    return address, secret, written


MESSAGES = [
    "{address}: Connection refused",
    "camera gate: cannot open {address}",
    "[Errno 111] Connection refused: '{address}'",
    "avformat_open_input({again!r}) failed",
    "[tcp @ 0x55] Connection to {again} failed: error in '{tail}'",
    "(psycopg.OperationalError) password authentication failed, dsn {json}",
]


def messages(address):
    """Texts in which libraries repeat an address, in their own spelling."""
    rest = address.partition(":")[2].lstrip("/")
    again = quote(address, safe=":/@?&=")
    for pattern in MESSAGES:
        yield pattern.format(address=address, again=again, tail=rest, json=json.dumps(address))


@pytest.fixture(autouse=True)
def fresh_memory(monkeypatch):
    """No test knows another's secrets."""
    monkeypatch.setattr(credentials, "_secrets", credentials._Secrets())


def forget():
    """The same between two examples of one test."""
    credentials._secrets = credentials._Secrets()


def assert_hidden(text, secret, written):
    for spelling in {secret, written, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
        assert spelling not in text, text


@given(addresses())
@settings(max_examples=300, deadline=None)
def test_a_secret_of_a_config_is_in_no_message_log_or_json(one):
    address, secret, written = one
    forget()
    remember_secrets({"cameras": {"gate": {"source": address}}})
    assert_hidden(address_without_credentials(address), secret, written)
    assert_hidden(json.dumps(config_without_credentials({"source": [address]})), secret, written)
    for text in messages(address):
        assert_hidden(without_credentials(text), secret, written)
        record = CleanLogRecord("libav", logging.ERROR, "file", 1, "%s", (text,), None)
        assert_hidden(logging.Formatter().format(record), secret, written)


@given(addresses())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_secret_is_nowhere_in_the_bytes_of_a_database(tmp_path_factory, one):
    address, secret, written = one
    forget()
    folder = tmp_path_factory.mktemp("stored")
    config = Config(cameras={"gate": CameraConfig(source=address)}, database=address)
    remember_secrets(config.model_dump())
    with Store.open(folder / "a.db", create=True) as store:
        run = store.start_run(json.dumps(config.as_written()), [CameraRow("gate", address, 1, 1, 1.0, 0.0)])
        with run:
            for text in messages(address):
                run.report(CameraReport("gate", status="failed", error=text))
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    for spelling in {secret, written, json.dumps(secret)[1:-1]}:
        assert spelling.encode() not in content


@given(addresses())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_secret_is_in_no_error_of_a_config(tmp_path_factory, one):
    address, secret, written = one
    forget()
    folder = tmp_path_factory.mktemp("config")
    path = folder / "store.yaml"
    path.write_text(yaml.safe_dump({"cameras": {"gate": {"source": address, "fps": address}}, "threads": address}))
    done = CliRunner().invoke(main, ["check", str(path)])
    assert done.exit_code == 2
    assert_hidden(done.output, secret, written)
    path.write_text(yaml.safe_dump({"cameras": {"gate": {"source": address}}, "database": address}))
    for options in ([], ["--json"]):
        done = CliRunner().invoke(main, ["check", str(path), *options])
        assert_hidden(done.output.replace(str(path), ""), secret, written)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:pa/ss@h", "rtsp://***"),
        ("rtsp://admin:pass@h:554/Streaming/Channels/101", "rtsp://h:554/..."),
        ("rtsp://admin:p%40ss@h/1", "rtsp://h/..."),
        ("rtsp://admin:p@ss@h/1", "rtsp://h/..."),
        ("rtsp://h/1?user=a&password=p@ss", "rtsp://***"),
        ("rtsp://h", "rtsp://h"),
        ("rtsp://[fe80::1]:554/", "rtsp://[fe80::1]:554/"),
        ("rtsp://admin:${CAM_PASSWORD}@h/1", "rtsp://admin:${CAM_PASSWORD}@h/..."),
        ("rtsp://admin:${file:/run/secrets/cam}@h/1", "rtsp://admin:${file:/run/secrets/cam}@h/..."),
        ("rtsp://${CAM_HOST}:554/1", "rtsp://${CAM_HOST}:554/..."),
        ("sqlite:///people.db", "sqlite:///people.db"),
        ("sqlite+pysqlcipher://:pass@/people.db", "sqlite+pysqlcipher://***"),
        ("/footage/left@2x.mp4", "/footage/left@2x.mp4"),
    ],
)
def test_an_address_is_shown_as_scheme_host_and_port(address, shown):
    assert address_without_credentials(address) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot reach http://a:b@c/d.", "cannot reach http://c/...."),
        ("camera:rtsp://a:b@c/d", "camera://***"),
        ("login failed (password=hunter2)", "login failed (password=***)"),
        ("nothing to hide: 12:30, a@b.c", "nothing to hide: 12:30, a@b.c"),
    ],
)
def test_addresses_that_no_config_named_are_cut_down_in_texts(text, shown):
    assert without_credentials(text) == shown


def test_a_password_that_is_also_a_word_does_not_change_other_values():
    remember_secrets({"a": "rtsp://bob:footage@h/1"})
    stored = config_without_credentials({"a": "rtsp://bob:footage@h/1", "b": "/data/footage/left.mp4"})
    assert stored == {"a": "rtsp://h/...", "b": "/data/footage/left.mp4"}


def test_json_and_tables_hide_secrets_and_keep_figures(capsys):
    remember_secrets("rtsp://bob:99887766@h/1")
    print_json({"frames": 99887766, "error": "rtsp://bob:99887766@h/1 refused"})
    assert json.loads(capsys.readouterr().out) == {"frames": 99887766, "error": "rtsp://h/... refused"}
    table = table_of("t", ("frames", "error"), [(99887766, "99887766 refused")])
    assert [list(column.cells) for column in table.columns] == [["99887766"], ["*** refused"]]


def test_hundreds_of_secrets_cost_little():
    remember_secrets([f"rtsp://user{number}:s3cret-{number:04d}@10.0.0.1/{number}" for number in range(300)])
    assert without_credentials("s3cret-0299") == "***"


@pytest.mark.parametrize("url", ["postgresql://bob:s3cr et'x@127.0.0.1:1/x", "nosuch://bob:s3cr et'x@h/x"])
def test_the_errors_of_a_database_hide_its_password(url):
    with pytest.raises(StoreError) as raised:
        Store.open(url, create=True)
    assert "s3cr" not in str(raised.value)


def test_a_run_with_a_camera_that_cannot_be_reached_stores_and_prints_no_password(tmp_path):
    """In a process of its own, because libraries write to standard error directly."""
    write_video(tmp_path / "left.mp4", 12, size=(640, 480))
    write_detector(tmp_path / "person.onnx", [[320, 240, 60, 140, 0.9]])
    address = "rtsp://admin:Gu7/x9 Q@127.0.0.1:1/live?token=T0kenT0ken"
    config = {
        "cameras": {"left": {"source": "left.mp4"}, "gate": {"source": address}},
        "detector": {"weights": "./person.onnx"}, "database": "people.db",
    }  # fmt: skip
    (tmp_path / "store.yaml").write_text(yaml.safe_dump(config))
    program = "from reidpipe.pipeline.cli.main import main; main()"
    run = ["run", "--cameras", "store.yaml"]
    for options in (["check", "store.yaml"], run, [*run, "--json"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *options], check=False, cwd=tmp_path, capture_output=True, timeout=120
        )
        assert done.returncode == 3, done.stderr
        for secret in (b"Gu7", b"x9", b"T0ken"):
            assert secret not in done.stdout + done.stderr
        assert b"gate" in done.stdout + done.stderr
    for path in tmp_path.glob("people.db*"):
        assert not any(secret in path.read_bytes() for secret in (b"Gu7/x9", b"T0ken"))
    with sqlite3.connect(tmp_path / "people.db") as connection:
        stored = connection.execute("select distinct source from cameras where name = 'gate'").fetchall()
    assert stored == [("rtsp://***",)]


def test_opening_a_live_source_hides_its_password():
    with pytest.raises(SourceError) as raised:
        open_source("gate", CameraConfig(source="rtsp://admin:pa ss@h/1"))
    assert "pa ss" not in str(raised.value)


def test_a_config_error_carries_no_secret_in_its_chain(tmp_path, monkeypatch):
    monkeypatch.setenv("THREADS_SECRET", "hunter-2-hunter")
    path = Path(tmp_path / "a.yaml")
    path.write_text("cameras:\n  a: {source: a.mp4}\nthreads: ${THREADS_SECRET}\n")
    with pytest.raises(ConfigError, match=r'expected a whole number, got "\$\{THREADS_SECRET\}" \(line 3\)') as raised:
        load_config(path)
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
