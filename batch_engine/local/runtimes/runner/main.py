"""The runner's loop: one thread that wakes up for the engine, for the end of a process, or for the clock."""

import contextlib
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from batch_engine.local.base.launch_message import Launch
from batch_engine.local.runtimes.runner import processes
from batch_engine.local.runtimes.runner.frames import Decoder, Message, encode
from batch_engine.local.runtimes.runner.isolation import ROOT_SUFFIX
from batch_engine.local.runtimes.runner.spares import TMP, Spares
from batch_engine.local.runtimes.runner.spawn import SpawnError, spawn

MEMORY_CHECK_S = 0.5
GATHER_S = 0.01
"""The time that the report of a start waits, so that the end of a short job goes out with it."""
DEATH_PAUSE_S = 0.05


@dataclass(slots=True)
class Running:
    """An attempt under way."""

    key: tuple[str, int]
    scratch: str
    log_path: str
    memory_bytes: int
    marks: set[bytes]
    is_set_up: bool = False
    out_of_memory: bool = False
    kill_at_s: float | None = None


@dataclass(slots=True)
class Runner:
    """Starts, watches and ends attempts as an engine tells it.

    Args:
        channel: the socket to the engine. When the engine dies the socket ends, and the runner with it.
    """

    channel: socket.socket
    running: dict[int, Running] = field(default_factory=dict)
    by_key: dict[tuple[str, int], int] = field(default_factory=dict)
    cleaning: dict[int, Message] = field(default_factory=dict)
    reports: list[Message] = field(default_factory=list)
    outgoing: bytearray = field(default_factory=bytearray)
    closing_at_s: float | None = None
    next_check_s: float = 0.0
    hold_until_s: float | None = None
    spares: Spares = field(default_factory=Spares)

    def serve(self) -> None:
        """Runs until the engine is gone or closes the runner."""
        decoder = Decoder()
        wakeup, wakeup_in = socket.socketpair()
        for end in (wakeup, wakeup_in, self.channel):
            end.setblocking(False)
        signal.set_wakeup_fd(wakeup_in.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            with selectors.DefaultSelector() as selector:
                self._serve(selector, decoder, wakeup)
        finally:
            # Children that end from here on wake no loop.
            signal.set_wakeup_fd(-1)

    def _serve(self, selector: selectors.BaseSelector, decoder: Decoder, wakeup: socket.socket) -> None:
        selector.register(self.channel, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        while not self._is_over():
            ready = selector.select(self._timeout_s())
            for event, _ in ready:
                if event.fileobj is wakeup:
                    wakeup.recv(4096)
                    self.reap()
                elif not self._receive(decoder):
                    return
            self._keep_time()
            self._send(selector)

    def _is_over(self) -> bool:
        if self.closing_at_s is None:
            return False
        return not self.running or time.monotonic() >= self.closing_at_s

    def _timeout_s(self) -> float | None:
        if self.reports and self.hold_until_s is not None:
            return max(0.0, self.hold_until_s - time.monotonic())
        if self.running:
            return max(0.0, min(self.next_check_s, *self._deadlines()) - time.monotonic())
        return None

    def _deadlines(self) -> list[float]:
        due = [running.kill_at_s for running in self.running.values() if running.kill_at_s is not None]
        return [*due, self.closing_at_s or self.next_check_s]

    def _receive(self, decoder: Decoder) -> bool:
        """Carries out the engine's messages; returns False if the engine is gone."""
        try:
            data = self.channel.recv(1 << 20)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for message in decoder.feed(data):
            match message:
                case ("start", launch):
                    self.start(launch)
                case ("stop", key, grace_s):
                    self.stop(self.by_key.get(key), grace_s)
                case ("close", grace_s):
                    self.closing_at_s = time.monotonic() + grace_s
                    for pid in self.running:
                        self.stop(pid, grace_s)
        return bool(data)

    def start(self, launch: Launch) -> None:
        """Starts an attempt and reports whether it started."""
        key, scratch = launch["key"], launch["scratch"]
        try:
            self.spares.provide(scratch, launch["log"])
            pid = spawn(launch)
        except (SpawnError, OSError, ValueError) as error:
            text = str(error) if isinstance(error, SpawnError) else f"CannotStartContainerError: {error}"
            shutil.rmtree(scratch, ignore_errors=True)
            self._report(("failed", key, text[:255]))
            return
        if not self.running:
            self.next_check_s = time.monotonic() + MEMORY_CHECK_S
        marks = {f"{name}={launch['env'][name]}".encode() for name in launch["marks"]}
        self.running[pid] = Running(
            key, scratch, launch["log"], launch["memory_bytes"], marks, bool(launch["setup"])
        )
        self.by_key[key] = pid
        if not self.reports:
            self.hold_until_s = time.monotonic() + GATHER_S
        self.reports.append(("started", key, pid))

    def stop(self, pid: int | None, grace_s: float) -> None:
        """Sends SIGTERM now and SIGKILL ``grace_s`` later."""
        if pid is not None and pid in self.running:
            running = self.running[pid]
            _signal(pid, signal.SIGTERM)
            due_s = time.monotonic() + grace_s
            running.kill_at_s = due_s if running.kill_at_s is None else min(due_s, running.kill_at_s)

    def _end_group(self, pid: int) -> None:
        if pid in self.running:
            _signal(pid, signal.SIGKILL)

    def reap(self) -> None:
        """Reaps every process that has ended. Its group is killed before the system can give its id away."""
        ended: list[tuple[Running, int]] = []
        others = False
        while (child := ended_child(self._end_group)) is not None:
            pid, status = child
            if pid in self.running:
                running = self.running.pop(pid)
                del self.by_key[running.key]
                ended.append((running, os.waitstatus_to_exitcode(status)))
            elif (report := self.cleaning.pop(pid, None)) is not None:
                self._report(report)
            else:
                others = True
        alone = not self._end_strays() if ended or others else True
        for running, code in ended:
            self._ended(running, code, alone=alone)

    def _ended(self, running: Running, code: int, *, alone: bool) -> None:
        """Reports the end of an attempt, and removes or reuses its folder and log.

        Args:
            running: the attempt.
            code: the exit code, as ``os.waitstatus_to_exitcode`` returns it.
            alone: whether no process is left that could still write to its files.
        """
        exit_code = 128 - code if code < 0 else code
        try:
            printed = os.stat(running.log_path).st_size
        except OSError:
            printed = 0
        if running.is_set_up:
            with contextlib.suppress(OSError):
                os.rmdir(running.scratch + ROOT_SUFFIX)
        reusable = alone and not running.is_set_up
        if not printed and reusable:
            self.spares.keep_log(running.log_path)
        elif not printed:
            with contextlib.suppress(OSError):
                os.unlink(running.log_path)
        report = ("ended", running.key, exit_code, running.out_of_memory, printed)
        if reusable and self.spares.keep_folder(running.scratch):
            self._report(report)
            return
        try:
            os.rmdir(os.path.join(running.scratch, TMP))
            os.rmdir(running.scratch)
        except OSError:
            # A large folder takes a while to remove, and the loop must not wait.
            self._remove(running.scratch, report)
        else:
            self._report(report)

    def _remove(self, folder: str, report: Message) -> None:
        try:
            pid = os.posix_spawn("/bin/rm", ["rm", "-rf", folder], {}, setsigdef=[signal.SIGCHLD])
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            self._report(report)
        else:
            self.cleaning[pid] = report

    def _report(self, report: Message) -> None:
        """Reports at once, together with the reports that wait."""
        self.reports.append(report)
        self.hold_until_s = None

    def _end_strays(self) -> bool:
        """Kills the processes that left their group and outlived their attempt; returns whether any did.

        As orphans they have become children of this process. The variables that they started with tell their
        attempt. A process that has dropped them is recognised only if no attempt runs.
        """
        strays = [pid for pid in processes.children() if pid not in self.running and pid not in self.cleaning]
        for pid in strays:
            environment = processes.environment_of(pid)
            if not any(running.marks <= environment for running in self.running.values()) and (
                not self.running or any(entry.startswith(b"AWS_BATCH_JOB_ID=") for entry in environment)
            ):
                _kill(pid)
        return bool(strays)

    def _keep_time(self) -> None:
        now_s = time.monotonic()
        for pid, running in self.running.items():
            if running.kill_at_s is not None and running.kill_at_s <= now_s:
                running.kill_at_s = None
                _signal(pid, signal.SIGKILL)
        if self.running and now_s >= self.next_check_s:
            self._check_memory()
            self.next_check_s = time.monotonic() + MEMORY_CHECK_S

    def _check_memory(self) -> None:
        used = processes.memory_by_session()
        for pid, running in self.running.items():
            resident, pids = used.get(pid, (0, []))
            if resident > running.memory_bytes:
                proportional = processes.proportional_bytes(pids)
                if proportional is None or proportional > running.memory_bytes:
                    running.out_of_memory = True
                    _signal(pid, signal.SIGKILL)

    def _send(self, selector: selectors.BaseSelector) -> None:
        """Sends what the socket takes, and does not wait: the engine may have messages for the runner."""
        if self.reports and (self.hold_until_s is None or time.monotonic() >= self.hold_until_s):
            self.hold_until_s = None
            self.outgoing += encode(self.reports)
            self.reports.clear()
        if self.outgoing:
            with contextlib.suppress(BlockingIOError):
                del self.outgoing[: self.channel.send(self.outgoing)]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0)
        if selector.get_key(self.channel).events != wanted:
            selector.modify(self.channel, wanted)

    def end_all(self) -> None:
        """Kills all attempts, and the processes that they leave behind."""
        deadline_s = time.monotonic() + 100 * DEATH_PAUSE_S
        for pid in self.running:
            _signal(pid, signal.SIGKILL)
        while time.monotonic() < deadline_s:
            left = [pid for pid in processes.children() if pid not in self.cleaning]
            for pid in left:
                _kill(pid)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
                time.sleep(DEATH_PAUSE_S if left else 0)
                continue
            return


def ended_child(before_reaping: Callable[[int], None]) -> tuple[int, int] | None:
    """Reaps a child that has ended.

    Args:
        before_reaping: called with the child's id while the system cannot give that id to another process.

    Returns:
        The id and the status, as ``waitpid`` returns them; None if no child has ended.
    """
    if not hasattr(os, "waitid"):
        # On a Mac before Python 3.13 a child cannot be seen without reaping it. A group's id stays in use
        # while the group has members: only if none is left to kill may another process have the id by now.
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        before_reaping(pid)
        return pid, status
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        before_reaping(ended.si_pid)
        return os.waitpid(ended.si_pid, 0)
    except ChildProcessError:
        return None


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Serves the engine on the socket whose number is the first argument."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    processes.adopt_orphans()
    channel = socket.socket(fileno=int(sys.argv[1]))
    # Attempts must not inherit the channel: their copies would keep it open after the engine's end.
    channel.set_inheritable(False)
    runner = Runner(channel)
    try:
        with contextlib.suppress(ConnectionError):
            runner.serve()
    finally:
        runner.end_all()
