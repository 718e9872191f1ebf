"""What the blocks of the examples' READMEs do not show of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from otoriscv.testing.gdb import Gdb, GdbError
from otoriscv.tools import find_cc, find_gdb
from tests.doc_blocks import ROOT, Block, Reader

EXAMPLES = ROOT / "examples"
pytestmark = pytest.mark.skipif(not find_cc().usable, reason="no RISC-V compiler")


@contextmanager
def reading(folder: Path, programs: Path) -> Iterator[Reader]:
    """Somebody with otoriscv on the PATH."""
    reader = Reader(folder, programs)
    try:
        yield reader
    finally:
        reader.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the examples' images."""
    out = tmp_path_factory.mktemp("built")
    for folder in ("firmware", "debugging", "fuzzing"):
        subprocess.run(["make", "-s", "-C", str(EXAMPLES / folder), f"OUT={out}"], check=True)
    return out


def test_64_bit_programs_work_too(tmp_path: Path) -> None:
    subprocess.run(
        ["make", "-s", "-C", str(EXAMPLES / "firmware"), f"OUT={tmp_path}", "XLEN=64"], check=True
    )
    command = [sys.executable, "-m", "otoriscv", "boot", str(tmp_path / "firmware.elf")]
    done = subprocess.run(
        command, input="temp\nselftest\nexit 7\n", text=True, capture_output=True, timeout=60
    )
    assert done.stdout == "thermostat ready\n> 15.0 degrees\n> self-test passed\n> "
    assert done.returncode == 7


def test_the_gdb_script_is_what_the_readme_shows() -> None:
    folder = EXAMPLES / "debugging"
    script = (folder / "session.gdb").read_text().splitlines()
    shown = re.findall(r"^(?:\(gdb\)|>) (.*)", (folder / "README.md").read_text(), re.M)
    assert [line for line in script if not line.startswith("#")] == shown[1:]


@pytest.mark.parametrize("timeout", ["0.0000001", "10"])
def test_the_boot_script_fails_when_it_must(built: Path, tmp_path: Path, timeout: str) -> None:
    text = (EXAMPLES / "ci" / "boot.sh").read_text()
    (tmp_path / "boot.sh").write_text(text.replace("--timeout 10", f"--timeout {timeout}"))
    with reading(tmp_path, tmp_path / "bin") as reader:
        code = 0 if timeout == "10" else 124
        reader.run(
            Block(
                1,
                "console",
                f"$ sh boot.sh {built}/firmware.elf > out 2>&1\n$ echo $?\n{code}\n",
            )
        )


def test_the_workflow_does_what_the_example_says() -> None:
    text = (EXAMPLES / "ci" / "workflow.yml").read_text()
    workflow: Any = yaml.safe_load(text)
    steps = workflow["jobs"]["boot"]["steps"]
    commands = [step["run"] for step in steps if step.get("name") in ("build", "boot", "test")]
    assert len(commands) == 3
    for command in commands:
        for word in command.split():
            if word.startswith("examples/") and "/build/" not in word:
                assert (ROOT / word).exists(), command


# -- VS Code


def vscode(name: str) -> Any:
    """A file of the workspace; comments would be fine for VS Code, but not for other readers."""
    return json.loads((EXAMPLES / "vscode" / ".vscode" / name).read_text())


def test_every_launch_configuration_finds_its_task_and_program() -> None:
    tasks = {task["label"]: task for task in vscode("tasks.json")["tasks"]}
    launch = vscode("launch.json")["configurations"]
    assert {one["type"] for one in launch} == {"cppdbg", "gdb", "gdbtarget"}
    for one in launch:
        task = tasks[one["preLaunchTask"]]
        program = one.get("program") or one["executable"]
        if task["label"] == "build":
            assert program in one["target"]["serverParameters"]
            continue
        target = one.get("miDebuggerServerAddress") or one["target"]
        port = target["port"] if isinstance(target, dict) else target.partition(":")[2]
        assert f"--port {port}" in task["command"]
        assert program.removeprefix("${workspaceFolder}/") in task["command"]
        assert task["dependsOn"] in tasks


def cppdbg_commands(launch: dict[str, Any], image: Path, port: int) -> list[tuple[str, bool]]:
    """What the adapter sends before it waits for a stop, and whether it may fail.

    From microsoft/MIEngine, DebuggedProcess.GetInitializeCommands, for a launch through
    miDebuggerServerAddress without customLaunchSetupCommands.
    """
    mode = "extended-remote" if launch.get("useExtendedRemote") else "remote"
    host = launch["miDebuggerServerAddress"].partition(":")[0]
    cwd = launch["cwd"].replace("${workspaceFolder}", str(image.parent))
    return [
        *((one["text"], one.get("ignoreFailures", False)) for one in launch["setupCommands"]),
        ('-interpreter-exec console "set pagination off"', False),
        ("set debuginfod enabled on", True),
        ("-gdb-set auto-solib-add on", False),
        (f"-environment-cd {cwd}", False),
        (f"-file-exec-and-symbols {image}", False),
        ("show architecture", False),
        ("-break-insert -f main", True),
        (f"-target-select {mode} {host}:{port}", False),
    ]


@pytest.mark.skipif(not find_gdb().usable, reason="no gdb")
def test_the_tasks_run_and_gdb_attaches_as_vs_code_lets_it(tmp_path: Path) -> None:
    """The build task, the server task until its endsPattern, then the MI commands of cppdbg."""
    tasks = {task["label"]: task for task in vscode("tasks.json")["tasks"]}
    with reading(EXAMPLES / "vscode", tmp_path / "bin") as reader:
        build = tasks["build"]["command"].replace("../", f"{EXAMPLES}/") + f" OUT={tmp_path} -s"
        reader.run(Block(1, "hidden", build))
        serve = tasks["otoriscv: serve"]
        ready = serve["problemMatcher"]["background"]["endsPattern"]
        line = "otoriscv: listening on 127.0.0.1:1234"
        assert re.search(ready, line)
        image = tmp_path / "firmware.elf"
        command = re.sub(r"\S+\.elf", str(image), serve["command"])
        reader.background(Block(2, "console", f"$ {command}\n{line}\n", {"background": ""}))
        launch = vscode("launch.json")["configurations"][0]
        assert launch["MIMode"] == "gdb" and launch["stopAtConnect"]
        assert launch["miDebuggerPath"] in find_gdb().command[0]
        with Gdb() as gdb:
            for text, may_fail in cppdbg_commands(launch, image, reader.port):
                try:
                    gdb.mi(text) if text.startswith("-") else gdb.cli(text)
                except GdbError:
                    assert may_fail, text
            # stopAtConnect: the stop has no reason; the breakpoint at main goes.
            assert gdb.wait_stop().reason == ""
            gdb.mi("-break-delete 1")
            assert gdb.mi("-thread-info")["threads"][0]["state"] == "stopped"
            assert gdb.mi("-stack-list-frames 0 0")["stack"]
            gdb.mi("-break-insert -f main.c:135")
            assert gdb.go("-exec-continue").function == "main"
            assert gdb.go("-exec-next --thread 1").reason == "end-stepping-range"
            assert gdb.mi("-stack-list-variables 0")["variables"] is not None
            gdb.mi("-target-detach")


# -- fuzzing


def test_the_fuzzer_finds_the_smallest_input(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from examples.fuzzing import fuzz

    with pytest.raises(AssertionError, match=r"parse\+0x\w+ writes 0x0 behind") as caught:
        fuzz.fuzz(str(built / "parser.elf"))
    found = re.search(r"text='(\w)=(.*)\\\\(.)'", "\n".join(caught.value.__notes__))
    assert found is not None
    assert len(found[2]) == fuzz.VALUE - 1


def test_the_fuzzer_sees_other_bugs(built: Path) -> None:
    from examples.fuzzing import fuzz

    target = fuzz.Target(str(built / "fixed.elf"))
    assert target.parse("a=b") == ("a", "b") == fuzz.model("a=b")
    with target.machine.on_exec("parse", lambda event: target.machine.regs.__setattr__("a1", 2)):
        assert target.parse("a=b") != fuzz.model("a=b")
    with (
        target.machine.on_exec("parse", lambda event: target.machine.regs.__setattr__("pc", 0)),
        pytest.raises(AssertionError, match="does not return"),
    ):
        target.parse("a=b")
    target.machine.close()


def test_no_example_keeps_what_it_built() -> None:
    done = subprocess.run(["git", "ls-files", "examples"], cwd=ROOT, capture_output=True, text=True)
    assert not [name for name in done.stdout.split() if "build" in name.split(os.sep)]
