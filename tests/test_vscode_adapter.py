"""A real debug adapter, started and asked as VS Code does it, with the launch.json of the example.

It is Eclipse's cdt-gdb-adapter, the program behind the extension "CDT GDB Debug"; `make dap` has it
from npm.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otoriscv.tools import find_cc, find_gdb
from tests.dap import Adapter, DapError
from tests.doc_blocks import ROOT, Block, Reader

NODE = shutil.which("node")
ADAPTER = ROOT / "build/npm/node_modules/cdt-gdb-adapter/dist/debugTargetAdapter.js"
WORKSPACE = ROOT / "examples" / "vscode"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="no node (apt-get install nodejs npm)"),
    pytest.mark.skipif(not ADAPTER.exists(), reason="no debug adapter (make dap)"),
    pytest.mark.skipif(not find_gdb().usable, reason="no gdb"),
    pytest.mark.skipif(not find_cc().usable, reason="no RISC-V compiler"),
]


@contextmanager
def editor(folder: Path, request: str, image: str = "firmware.elf") -> Iterator[Adapter]:
    """The example's session that begins by *request*: what VS Code does up to "initialized".

    *image*, in the firmware's build folder, is what a server of the adapter's own is given.
    """
    sources = folder / "firmware"
    shutil.copytree(ROOT / "examples" / "firmware", sources, ignore=lambda *_: ["build"])
    workspace = folder / "vscode"
    shutil.copytree(WORKSPACE, workspace)
    reader = Reader(workspace, folder / "bin")
    try:
        text = (workspace / ".vscode" / "launch.json").read_text()
        text = text.replace("${workspaceFolder}", str(workspace)).replace("1234", str(reader.port))
        (configuration,) = (
            one
            for one in json.loads(text)["configurations"]
            if (one["type"], one["request"]) == ("gdbtarget", request)
        )
        serve = configuration["target"].get("serverParameters", [])
        serve[:] = [word.replace("firmware.elf", image) for word in serve]
        tasks = json.loads((workspace / ".vscode" / "tasks.json").read_text())["tasks"]
        commands = {task["label"]: task["command"] for task in tasks}
        reader.run(Block(1, "hidden", commands["build"]))
        if configuration["preLaunchTask"] != "build":
            line = "otoriscv: listening on 127.0.0.1:1234"
            command = commands[configuration["preLaunchTask"]]
            reader.background(Block(2, "console", f"$ {command}\n{line}\n", {"background": ""}))
        environment = {**os.environ, "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"}
        environment["PYTHONPATH"] = str(ROOT)
        with Adapter([str(NODE), str(ADAPTER)], workspace, environment) as adapter:
            adapter.request("initialize", adapterID="gdbtarget", pathFormat="path")
            adapter.request(request, **configuration)
            adapter.event("initialized")
            yield adapter
    finally:
        reader.close()


def line_of(path: Path, text: str) -> int:
    """The number of the first line with *text*."""
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def stopped(adapter: Adapter, reason: str) -> dict[str, Any]:
    """The innermost frame after a stop for *reason*."""
    assert adapter.event("stopped")["reason"] == reason, adapter.output
    frames: list[dict[str, Any]] = adapter.request("stackTrace", threadId=1)["stackFrames"]
    return frames[0]


@pytest.mark.parametrize("request_", ["attach", "launch"])
def test_a_session(tmp_path: Path, request_: str) -> None:
    source = tmp_path / "firmware" / "thermostat.c"
    with editor(tmp_path, request_) as adapter:
        cooling = line_of(source, "t->temperature > OUTSIDE")
        (there,) = adapter.request(
            "setBreakpoints",
            source={"path": str(source)},
            breakpoints=[{"line": cooling, "condition": "t->temperature > 15"}],
        )["breakpoints"]
        assert there["verified"] and there["line"] == cooling
        adapter.request("configurationDone")
        frame = stopped(adapter, "breakpoint")
        assert (frame["name"], frame["line"]) == ("thermostat_tick", cooling)
        assert Path(frame["source"]["path"]) == source
        (thread,) = adapter.request("threads")["threads"]
        assert thread["name"].startswith("Hart 0")
        callers = adapter.request("stackTrace", threadId=1)["stackFrames"]
        assert [one["name"] for one in callers[1:]] == ["handler", "main"]
        assert "thermostat ready" in adapter.output

        local, registers = adapter.request("scopes", frameId=frame["id"])["scopes"]
        (t, *_) = variables(adapter, local)
        fields = {one["name"]: one["value"] for one in variables(adapter, t)}
        assert fields["target"] == "200" and int(fields["temperature"]) > 200
        values = {one["name"]: one["value"] for one in variables(adapter, registers)}
        assert int(values["pc"], 16) == int(frame["instructionPointerReference"], 16)
        assert int(values["mcause"], 16) == 0x8000_0007
        asked = {"frameId": frame["id"], "context": "watch"}
        assert adapter.request("evaluate", expression="t->target + 1", **asked)["result"] == "201"
        reference = t["variablesReference"]
        adapter.request("setVariable", variablesReference=reference, name="target", value="250")
        assert adapter.request("evaluate", expression="room.target", **asked)["result"] == "250"
        adapter.request("evaluate", expression=">monitor info harts", frameId=frame["id"])

        adapter.request("setBreakpoints", source={"path": str(source)}, breakpoints=[])
        watched = adapter.request("dataBreakpointInfo", name="room.heating", frameId=frame["id"])
        write = {"dataId": watched["dataId"], "accessType": "write"}
        assert adapter.request("setDataBreakpoints", breakpoints=[write])["breakpoints"]
        adapter.request("continue", threadId=1)
        assert stopped(adapter, "generic")["name"] == "thermostat_tick"
        assert "Old value = 0\nNew value = 1" in adapter.output
        adapter.request("setDataBreakpoints", breakpoints=[])

        adapter.request("stepOut", threadId=1)
        assert stopped(adapter, "step")["name"] == "handler"
        before = int(stopped_step(adapter)["instructionPointerReference"], 16)
        after = int(stopped_step(adapter)["instructionPointerReference"], 16)
        assert after != before
        code = adapter.request("readMemory", memoryReference=f"{before:#x}", count=4)["data"]
        assert len(code) == 8
        listing = {"memoryReference": f"{before:#x}", "instructionCount": 3}
        assert len(adapter.request("disassemble", **listing)["instructions"]) == 3

        adapter.request("continue", threadId=1)
        adapter.request("pause", threadId=1)
        assert stopped(adapter, "SIGINT")["name"]
        adapter.request("disconnect")


def variables(adapter: Adapter, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """What a scope or a structure holds."""
    found: list[dict[str, Any]] = adapter.request(
        "variables", variablesReference=scope["variablesReference"]
    )["variables"]
    return found


def stopped_step(adapter: Adapter) -> dict[str, Any]:
    """The frame after one instruction."""
    adapter.request("next", threadId=1, granularity="instruction")
    return stopped(adapter, "step")


def test_a_server_that_cannot_start_is_said(tmp_path: Path) -> None:
    """The editor shows our own line, not a time-out."""
    with (
        pytest.raises(DapError, match=r"gdbserver exited with code 2\s+otoriscv: error: .*\.elf"),
        editor(tmp_path, "launch", image="none.elf"),
    ):
        pass
