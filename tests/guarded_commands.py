"""Run commands of reidpipe in one process, and report every use of the network and every program that it starts.

    python guarded_commands.py REPORT '[["check", "store.yaml"], ...]'

Python's own network calls are seen by an audit hook. Native libraries do not pass it; strace sees them.
"""

import json
import socket
import sys
from pathlib import Path

REPORTED = (
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.gethostbyaddr", "urllib.Request", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn",
)  # fmt: skip
# They find libraries, processors, graphics cards and fonts; our own child processes decode footage.
HARMLESS = ("ldconfig", "lscpu", "gcc", "uname", "fc-list", "xpu-smi", Path(sys.executable).name)

report = {"command": "(import)", "events": [], "exit_codes": {}}


def record(event, arguments):
    if event not in REPORTED:
        return
    if isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX:
        return
    shown = repr(arguments)
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec") and (
        Path(str(arguments[0])).name in HARMLESS or "multiprocessing" in shown
    ):
        return
    report["events"].append([report["command"], event, shown])


def run(commands):
    from reidpipe.pipeline.cli.main import main

    for arguments in commands:
        report["command"] = " ".join(arguments)
        try:
            main(arguments, standalone_mode=False)
            code = 0
        except SystemExit as end:
            code = end.code
        except Exception as error:  # noqa: BLE001 - the other commands are run, too
            code = f"{type(error).__name__}: {error}"
        report["exit_codes"][report["command"]] = code


if __name__ == "__main__":
    sys.addaudithook(record)
    run(json.loads(sys.argv[2]))
    Path(sys.argv[1]).write_text(json.dumps(report))
