"""The engine of durable runs: DBOS Transact. Only this file and two beside it know it.

A task of ours is a workflow of DBOS, and what a run keeps are its steps. How we use it, and why:

- DBOS numbers the steps of a workflow in the order in which they begin. Tasks are therefore started outside of each
  other, each under an id of its own, and inside a task the steps begin one after the other (`reserve_step`).
- What is performed runs in the asyncio context of whoever asked, not in DBOS's: context variables reach tools as ever.
- Every process has an executor id of its own, so that DBOS, which recovers by executor, never starts by itself what
  this process has no body for. Which executors are gone tells `stores/liveness.py`. Whoever asks for a task that was
  left behind takes it over, through a queue that only its own process serves. Two processes that both believe they own
  a task are kept apart by DBOS: only the one that took it last can write down results.
- Its polls of a second become `Durable.poll_s`. All of this was written against dbos 3.4.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NoReturn

from dbos import DBOS, DBOSConfig, SetWorkflowID, StepReservation, WorkflowStatus
from dbos import error as engine_error

from agentcache.errors import RunError, SettingsError, StoreError
from agentcache.prompt.canonical import JsonObject, JsonValue
from agentcache.runtime.despite_cancellation import despite_cancellation
from agentcache.stores.liveness import Liveness, liveness_at
from agentcache.workflow.durable_database import TASK, config_of
from agentcache.workflow.durable_runs import Body, Durable, Found, Performed, Task, queue_of
from agentcache.workflow.unserved import UnservedQueues

_OWN_QUEUE = "agentcache process "
_LOST = (engine_error.DBOSWorkflowCancelledError, engine_error.DBOSWorkflowConflictIDError)
"""What DBOS raises in a step of a task that was cancelled, or taken over by another process."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry:
    """A task that this process performs or may come to perform.

    asker: the context that it is performed in. fresh: nobody has begun it before. served: it came over a queue.
    ours: this process began it, took it over or handed it out, and does not merely wait for it.
    """

    body: Body
    accept: Callable[[JsonObject, Found], None] | None
    asker: contextvars.Context
    fresh: bool
    served: bool = False
    ours: bool = False
    engine: contextvars.Context = field(default_factory=contextvars.Context)
    task: asyncio.Task[JsonValue] | None = None
    lost: BaseException | None = None

    async def given_up(self, lost: BaseException) -> NoReturn:
        """End the task: it is no longer ours. Whatever runs in it is cancelled, and tells so in the ledger."""
        self.lost = lost
        if self.task is not None:
            self.task.cancel()
        await asyncio.Future[None]()
        raise lost


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    name: str
    reservation: StepReservation
    recorded: bool
    begun_before: bool
    entry: _Entry

    async def run(self, produce: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Perform the step in the caller's context, and have its result written down in DBOS's."""
        here = contextvars.copy_context()

        async def performed() -> JsonValue:
            return await asyncio.create_task(_awaited(produce), context=here)

        written = self.reservation.run_async({"name": self.name, "preemptible": self.entry.served}, performed)
        try:
            return await asyncio.create_task(written, context=self.entry.engine.copy())
        except _LOST as lost:
            await self.entry.given_up(lost)
        except engine_error.DBOSException as error:
            raise _told(error) from error


@dataclass(slots=True, kw_only=True)
class _Steps:
    """again: the steps so far are those that an earlier going-through began."""

    entry: _Entry
    recorded: frozenset[int]
    again: bool

    def next(self, name: str) -> _Step:
        reservation = self.entry.engine.run(DBOS.reserve_step)
        recorded, begun_before = reservation.step_id in self.recorded, self.again
        self.again = recorded
        return _Step(name=name, reservation=reservation, recorded=recorded, begun_before=begun_before, entry=self.entry)


class DbosEngine:
    """Keeps tasks in a database by means of DBOS. A process has one at a time; it belongs to its event loop.

    serve: returns the body of a task that came over a queue.
    """

    def __init__(self, settings: Durable, liveness: Liveness, name: str, serve: Callable[[JsonObject], Body]) -> None:
        self._settings, self._liveness, self._name, self._serve = settings, liveness, name, serve
        self._queue = f"{_OWN_QUEUE}{name}"
        self._context = contextvars.copy_context()
        self._entries: dict[str, _Entry] = {}
        self._waiting: dict[asyncio.Future[WorkflowStatus], Task] = {}
        self._poller: asyncio.Task[None] | None = None
        self._unserved = UnservedQueues()
        self._config: DBOSConfig | None = None

    @classmethod
    async def open(cls, settings: Durable, *, url: str, name: str, serve: Callable[[JsonObject], Body]) -> DbosEngine:
        """Open the database at `url`, making it if need be. `name` is this process's own, unique for ever.

        Raises `SettingsError` when this process has one open already, `StoreError` when the database cannot be used.
        """
        engine = cls(settings, liveness_at(url), name, serve)
        engine._config = config_of(url, name, settings)
        dbos = DBOS(config=engine._config)
        if dbos._launched:  # noqa: SLF001  # nothing public tells; DBOS hands out the one that there is
            raise SettingsError("this process has a durable runtime (or a DBOS of its own) open; it can have one")
        try:
            await engine._liveness.hold(name)
            await engine._launch(dbos)
        except BaseException as error:
            await despite_cancellation(engine.close())
            if not isinstance(error, Exception):  # cancelled
                raise
            raise StoreError(f"the database of durable runs cannot be opened: {_sentence(error)}") from error
        return engine

    async def _launch(self, dbos: DBOS) -> None:
        # In memory, so that it goes with the process; a queue made by the public way would stay in the database.
        register = dbos._registry._register_internal_queue  # noqa: SLF001
        register(self._queue, polling_interval_sec=self._settings.poll_s)

        @DBOS.workflow(name=TASK, max_recovery_attempts=None)
        async def performed(task_id: str, spec: JsonObject) -> JsonValue:
            return await self._performed_by_dbos(task_id, spec)

        self._function = performed
        queues = [queue_of(agent) for agent in self._settings.serves]
        DBOS.listen_queues(queues)
        DBOS.launch()  # here and not in a thread: it takes the running loop as the one to perform tasks on
        for queue in queues:
            await DBOS.register_queue_async(
                queue,
                worker_concurrency=self._settings.concurrency,
                polling_interval_sec=self._settings.poll_s,
                on_conflict="always_update",
            )

    async def close(self) -> None:
        """Let go of the database and of the lock that says that this process lives."""
        if self._poller is not None:
            self._poller.cancel()
        # DBOS has made its own threads those of the loop, and takes them along.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        await asyncio.to_thread(self._destroy)
        await self._liveness.release()

    def _destroy(self) -> None:
        DBOS.destroy(destroy_registry=True)
        given = self._config.get("system_database_engine") if self._config else None
        if given is not None:
            given.dispose()  # DBOS does not close what it was given

    async def perform(self, task: Task, body: Body) -> Performed:
        """Return the task's outcome, performing it with `body` if nobody else does; raise what it failed with."""
        while task.task_id in self._entries:  # asked for twice in this process: one performs it, the other waits
            if await DBOS.get_workflow_status_async(task.task_id) is not None:
                task.accept((await self._status(task.task_id))[1], "running")
                return Performed(_outcome(await self._ended(task)), here=False)
            await asyncio.sleep(self._settings.poll_s)
        local = task.queue is None
        entry = _Entry(body=body, accept=task.accept, asker=contextvars.copy_context(), fresh=local, ours=not local)
        self._entries[task.task_id] = entry
        try:
            outcome = await self._outcome_of(task, entry)
            return Performed(outcome, here=entry.task is not None)
        except asyncio.CancelledError:
            await despite_cancellation(self._cancel(task.task_id, entry))
            raise
        except engine_error.DBOSException as error:
            raise _told(error) from error
        finally:
            del self._entries[task.task_id]

    async def drop_leftovers(self, prefix: str) -> None:
        """Cancel unfinished tasks whose id begins with `prefix`: those that nobody asks for any more."""
        left = await DBOS.list_workflows_async(
            workflow_id_prefix=prefix, status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
        )
        # SQLite finds them whatever their case.
        if ids := [status.workflow_id for status in left if status.workflow_id.startswith(prefix)]:
            await DBOS.cancel_workflows_async(ids)

    async def _performed_by_dbos(self, task_id: str, spec: JsonObject) -> JsonValue:
        """Perform a task, as DBOS calls it: at its start here, or when it comes over a queue."""
        entry = self._entries.get(task_id)
        if entry is None and not self._settings.serves:
            raise asyncio.CancelledError  # whoever asked was cancelled before this began
        if entry is None:
            entry = _Entry(body=self._serve(spec), accept=None, asker=self._context.copy(), fresh=False, served=True)
        entry.engine = contextvars.copy_context()
        entry.task = asyncio.create_task(self._body(entry, task_id, spec), context=entry.asker)
        try:
            return await entry.task
        except asyncio.CancelledError:
            if entry.lost is not None:
                raise entry.lost from None
            raise

    async def _body(self, entry: _Entry, task_id: str, spec: JsonObject) -> JsonValue:
        recorded: Iterable[int] = ()
        again = True
        if entry.fresh and entry.accept is not None:
            again = False
            entry.accept(spec, "started")
        else:
            steps = await DBOS.list_workflow_steps_async(task_id, load_output=False)
            recorded = (step["function_id"] for step in steps)
        return await entry.body(_Steps(entry=entry, recorded=frozenset(recorded), again=again), spec)

    async def _outcome_of(self, task: Task, entry: _Entry) -> JsonValue:
        with SetWorkflowID(task.task_id):
            if task.queue is None:
                handle = await DBOS.start_workflow_async(self._function, task.task_id, task.spec)
            else:
                handle = await DBOS.enqueue_workflow_async(task.queue, self._function, task.task_id, task.spec)
        if getattr(handle, "task", None) is not None:  # it is performed here, and nobody had begun it
            entry.ours = True
            return await handle.get_result(polling_interval_sec=self._settings.poll_s)
        entry.fresh = False
        return await self._adopted(task)

    async def _adopted(self, task: Task) -> JsonValue:
        """Return the outcome of a task that was there already; go on with it if nobody does."""
        status, spec = await self._status(task.task_id)
        found = self._found(task, status, await self._dead([status]))
        if status.status == "PENDING" and status.executor_id == self._name:
            found = "abandoned"  # by a caller in this process who was cancelled as it began; nobody else has it
        task.accept(spec, found)
        if found == "finished" or (found == "failed" and not task.retry):
            return _outcome(status)
        if found == "failed":
            self._entries[task.task_id].ours = True
            await DBOS.rewind_workflow_async(
                task.task_id, start_step=await _first_to_repeat(task.task_id), queue_name=task.queue or self._queue
            )
        elif found != "running":
            await self._take_over(task)
        return _outcome(await self._ended(task))

    async def _take_over(self, task: Task) -> None:
        if task.task_id in self._entries:
            self._entries[task.task_id].ours = True
        await DBOS.resume_workflow_async(task.task_id, queue_name=task.queue or self._queue)

    async def _cancel(self, task_id: str, entry: _Entry) -> None:
        if entry.task is not None and not entry.task.done():
            entry.task.cancel()
            await asyncio.wait({entry.task})
        if entry.ours:
            await DBOS.cancel_workflows_async([task_id])

    async def _status(self, task_id: str) -> tuple[WorkflowStatus, JsonObject]:
        """Return what is on record of a task, and its specification."""
        status = await DBOS.get_workflow_status_async(task_id)
        if status is None or status.input is None:
            raise StoreError(f"durable task {task_id!r} is gone from its database; take another durable id")
        return status, status.input["args"][1]

    async def _ended(self, task: Task) -> WorkflowStatus:
        """Wait until a task has ended, whoever performs it. One query asks for all that are waited for."""
        ended: asyncio.Future[WorkflowStatus] = asyncio.get_running_loop().create_future()
        self._waiting[ended] = task
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), context=self._context.copy())
        try:
            return await ended
        finally:
            self._waiting.pop(ended, None)

    async def _poll(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._settings.poll_s)
                # Whoever comes while the answer is under way is not told of a time before: its task may go on since.
                asked = dict(self._waiting)
                if ids := sorted({task.task_id for task in asked.values()}):
                    found = await DBOS.list_workflows_async(workflow_ids=ids, load_input=False)
                    await self._told_of(asked, {status.workflow_id: status for status in found})
        except Exception as error:  # noqa: BLE001  # whoever waits is told, whatever it was
            for ended in self._waiting:
                if not ended.done():
                    ended.set_exception(StoreError(f"the database of durable runs failed: {_sentence(error)}"))

    async def _told_of(
        self, asked: dict[asyncio.Future[WorkflowStatus], Task], statuses: dict[str, WorkflowStatus]
    ) -> None:
        self._tell_of_unserved(statuses)
        dead = await self._dead(statuses.values())
        for ended, task in asked.items():
            status = statuses.get(task.task_id)
            if ended.done() or status is None:
                continue
            found = self._found(task, status, dead)
            if found == "abandoned":
                await self._take_over(task)
            elif found != "running":
                ended.set_result(status)

    def _tell_of_unserved(self, statuses: dict[str, WorkflowStatus]) -> None:
        waiting: dict[str, Task] = {}
        taken: set[str] = set()
        for task in self._waiting.values():
            status = statuses.get(task.task_id)
            if task.queue is not None and status is not None:
                if status.status == "ENQUEUED" and status.queue_name == task.queue:
                    waiting[task.queue] = task
                else:
                    taken.add(task.queue)
        for queue in self._unserved.looked(waiting, taken, now=asyncio.get_running_loop().time()):
            if (tell := waiting[queue].unserved) is not None:
                tell()

    async def _dead(self, statuses: Iterable[WorkflowStatus]) -> frozenset[str]:
        """Return those processes, among the ones that should be at work on these tasks, that are gone."""
        names = {_process(status) for status in statuses} - {None, self._name}
        return await self._liveness.dead([name for name in names if name is not None]) if names else frozenset()

    def _found(self, task: Task, status: WorkflowStatus, dead: frozenset[str]) -> Found:
        ended: dict[str, Found] = {"SUCCESS": "finished", "ERROR": "failed", "CANCELLED": "cancelled"}
        if status.status in ended:
            return ended[status.status]
        process = _process(status)
        if process is None:  # it waits on a queue of workers: on the right one, or on that of an earlier declaration
            return "running" if status.queue_name == task.queue else "abandoned"
        return "abandoned" if process in dead else "running"


async def _awaited(produce: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
    return await produce()


async def _first_to_repeat(task_id: str) -> int:
    """Return the step at which a failed task goes on: the one that failed last, else the one after the last."""
    steps = await DBOS.list_workflow_steps_async(task_id)
    failed = [step["function_id"] for step in steps if _failed(step["output"])]
    after = 1 + max((step["function_id"] for step in steps), default=0)
    return failed[-1] if failed and failed[-1] == after - 1 else after


def _failed(output: object) -> bool:
    return isinstance(output, dict) and output.get("error") is not None


def _process(status: WorkflowStatus) -> str | None:
    """Return the process that is at work on a task, or that it waits for."""
    if status.status == "PENDING":
        return status.executor_id
    queue = status.queue_name or ""
    return queue.removeprefix(_OWN_QUEUE) if queue.startswith(_OWN_QUEUE) else None


def _outcome(status: WorkflowStatus) -> JsonValue:
    if status.status == "SUCCESS":
        outcome: JsonValue = status.output
        return outcome
    raise status.error or _cancelled_elsewhere()


def _told(error: engine_error.DBOSException) -> RunError:
    """Return an error of the engine in our words."""
    if isinstance(error, engine_error.DBOSAwaitedWorkflowCancelledError):
        return _cancelled_elsewhere()
    return RunError(
        f"the record of this durable run does not fit what is asked of it: {_sentence(error)}; take another durable id"
    )


def _cancelled_elsewhere() -> RunError:
    return RunError("this durable run was cancelled by another process; ask for the same id again to go on")


def _sentence(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
