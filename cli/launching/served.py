"""The replicas of a plan as servers: which command starts each, on which port, after which."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cli.formats.slots import Slot, list_slots
from cli.launching import EngineName
from cli.launching.commands import LaunchOptions, commands_of, filled, type_of
from cli.launching.gpu_memory import TAKEN, MemoryPart, memory_parts
from cli.launching.lora import Adapter, adapter_options, asked_name, lodgings, servers_of
from placement.files.unread_fields import InputWarning
from placement.problem.plan import Plan
from placement.problem.workload import Model, Serving, Workload
from placement.support.described import listed
from runtime.live.kinds import KIND_OF_TYPE, Kind

IMAGES: dict[EngineName, str] = {
    "vllm": "vllm/vllm-openai:latest",
    "sglang": "lmsysorg/sglang:latest",
}

LAST_PORT = 65_535
SHOWN = 8


@dataclass(frozen=True)
class ServedReplica:
    """One replica as a server.

    Parameters
    ----------
    words : tuple of str
        The command, word by word.
    engine : str or None
        The known server that it is, None for one of the user's own.
    source : str
        What it loads.
    kind : str
        Interface by which it is called.
    after : tuple of int
        Replicas that share a GPU with it and start before it.
    wave : int
        0 where it waits for no other, else one more than the last that it waits for.
    sequences : int or None
        Calls that it serves at once, where it is known.
    adapters : tuple of Adapter
        What it loads beside its model.
    asked_as : str
        Name by which it is asked, where that is not the model's.
    """

    slot: Slot
    words: tuple[str, ...]
    engine: EngineName | None
    source: str
    kind: Kind
    port: int
    health: str
    image: str | None
    memory: MemoryPart
    after: tuple[int, ...]
    wave: int
    sequences: int | None
    args: tuple[str, ...]
    adapters: tuple[Adapter, ...] = ()
    asked_as: str = ""

    @property
    def called(self) -> str:
        """What its server calls the model."""
        return self.asked_as or self.slot.model

    @property
    def name(self) -> str:
        """How it is called among all of the plan."""
        return f"replica-{self.slot.replica}"

    @property
    def gpu_list(self) -> str:
        """The server's numbers of its GPUs, with commas."""
        return ",".join(str(g) for g in self.slot.local_gpus)


def serve_replicas(
    plan: Plan,
    workload: Workload | None,
    options: LaunchOptions,
    plan_file: str = "the plan",
    *,
    started: bool = True,
) -> list[ServedReplica]:
    """Give the server of every replica, server by server.

    An adapter is loaded by the server of its base on the same GPUs: it is none by itself, and is
    listed where servers are only called.

    Parameters
    ----------
    workload : Workload or None
        The config, which says what serves each model; without it all are taken for text
        generators, and nothing limits how many calls a replica takes at once.
    plan_file : str
        Name of the plan, for warnings.
    started : bool
        Whether they are to be started; where one only calls them, they have no commands.

    Raises
    ------
    ValueError
        With all that stands in the way: models that nothing known serves, gaps that name nothing,
        names that no command line holds, ports beyond the last.
    """
    every = list_slots(plan)
    homes = lodgings(plan, every)
    slots = servers_of(every, homes)
    parts = memory_parts(slots)
    models = _models(plan, workload)
    bases = _bases(models, workload, {s.model for s in slots})
    own = {name: bases.get(name, models[name]) for name in dict.fromkeys(s.model for s in slots)}
    commands = commands_of(own, options) if started else dict.fromkeys(own, ())
    waits = _waits(slots)
    served: list[ServedReplica] = []
    waves: dict[int, int] = {}
    for slot, part in zip(slots, parts, strict=True):
        model, command = own[slot.model], commands[slot.model]
        loaded = [s.model for s in every if homes.get(s.replica) == slot.replica]
        if slot.model in bases:
            loaded = [slot.model]
        adapters = tuple(Adapter(name, _source(name, models[name])) for name in loaded)
        called = slot.model if slot.model not in bases else bases[slot.model].id
        serving = Serving() if model is None else model.serving
        engine = None if serving.command or options.template is not None else options.engine
        after = waits[slot.replica]
        waves[slot.replica] = 1 + max((waves[r] for r in after), default=-1)
        port = options.first_port + slot.position
        if port > LAST_PORT:
            raise ValueError(f"--first-port: server {slot.server} runs out of ports; take a lower")
        source = _source(called, model)
        sequences = None if model is None else model.max_concurrency
        values = {
            "model": source,
            "id": called,
            "gpus": str(len(slot.gpus)),
            "port": str(port),
            "listen": options.listen,
            "memory": f"{part.of_gpu:.4f}",
            "static_memory": f"{part.of_free:.4f}",
            "sequences": "1" if sequences is None else str(sequences),
            "server": str(slot.server),
            "replica": str(slot.replica),
            "adapters": ",".join(a.assignment for a in adapters),
        }
        words = filled(command, values, slot.replica)
        if started and engine is not None:
            words += adapter_options(engine, adapters)
        served.append(
            ServedReplica(
                slot=slot,
                words=words,
                engine=engine,
                source=source,
                kind=KIND_OF_TYPE.get(type_of(model), "chat"),
                port=port,
                health=serving.health,
                image=serving.image or options.image or (IMAGES[engine] if engine else None),
                memory=part,
                after=after,
                wave=waves[slot.replica],
                sequences=sequences,
                args=serving.args,
                adapters=adapters,
                asked_as=asked_name(engine, called, slot.model) if slot.model in bases else "",
            )
        )
    if started:
        _warn_of_full_gpus(served, plan_file)
        _warn_of_adapters(served, commands)
        return served
    by_replica = {s.slot.replica: s for s in served}
    return [by_replica.get(s.replica) or _lodger(s, by_replica[homes[s.replica]]) for s in every]


def _lodger(slot: Slot, home: ServedReplica) -> ServedReplica:
    """An adapter as who calls it sees it: at the address of its base."""
    name = asked_name(home.engine, home.slot.model, slot.model)
    return replace(home, slot=slot, adapters=(), asked_as=name)


def _source(name: str, model: Model | None) -> str:
    return (model and model.serving.hf_id) or name


def _bases(
    models: dict[str, Model | None], workload: Workload | None, servers: Collection[str]
) -> dict[str, Model]:
    """Base of each adapter that has a server to itself, as where GPUs are exclusive."""
    if workload is None:
        return {}
    return {
        name: workload.models[workload.model_index[model.base]]
        for name, model in models.items()
        if model is not None and model.base is not None and name in servers
    }


def _warn_of_adapters(
    served: Sequence[ServedReplica], commands: Mapping[str, Sequence[str]]
) -> None:
    """Say which commands of the user's own have adapters to load and no gap for them."""
    for name, command in commands.items():
        mine = [s for s in served if s.slot.model == name and s.adapters and s.engine is None]
        if mine and not any("{adapters}" in word for word in command):
            shown = listed(sorted({a.id for s in mine for a in s.adapters}), SHOWN)
            warnings.warn(
                InputWarning(
                    f"models.{name}: its command has no gap {{adapters}}, by which it would be "
                    f"told to load {shown}"
                ),
                stacklevel=1,
            )


def need_images(served: Sequence[ServedReplica]) -> None:
    """Check that every replica has an image to run in.

    Raises
    ------
    ValueError
        Which models have none.
    """
    bare = sorted({s.slot.model for s in served if s.image is None})
    if bare:
        raise ValueError(
            "\n".join(
                f"models.{name}: nothing says which image it runs in; give it serve: "
                "{image: ...} in the config, or all of them --image"
                for name in bare
            )
        )


def _models(plan: Plan, workload: Workload | None) -> dict[str, Model | None]:
    placed = sorted({int(m) for m in plan.placement.model})
    names = [plan.model_ids[m] for m in placed]
    if workload is None:
        return dict.fromkeys(names)
    absent = [name for name in names if name not in workload.model_index]
    if absent:
        shown = ", ".join(repr(name) for name in absent[:SHOWN])
        raise ValueError(
            f"the plan places {shown}, which the config does not have; give the config that the "
            "plan was made for"
        )
    return {name: workload.models[workload.model_index[name]] for name in names}


def _waits(slots: Sequence[Slot]) -> dict[int, tuple[int, ...]]:
    """For each replica, the last one before it on each of its GPUs."""
    last: dict[tuple[int, int], int] = {}
    found = {}
    for slot in slots:
        gpus = [(slot.server, gpu) for gpu in slot.local_gpus]
        found[slot.replica] = tuple(sorted({last[gpu] for gpu in gpus if gpu in last}))
        last.update(dict.fromkeys(gpus, slot.replica))
    return found


def _warn_of_full_gpus(served: Sequence[ServedReplica], plan_file: str) -> None:
    """Say which replicas get less than the plan reckons with: their models may not load."""
    short: dict[str, list[int]] = defaultdict(list)
    for s in served:
        if s.memory.is_short:
            short[s.slot.model].append(s.slot.replica)
    for model, replicas in short.items():
        shown = listed([str(r) for r in replicas], SHOWN)
        warnings.warn(
            InputWarning(
                f"{plan_file}: replicas {shown} ({model}) get less memory than the model "
                f"states: the servers on a GPU may take {TAKEN:.0%} of it together; solve with a "
                "smaller --gpu-memory-gb, or state what the model really takes"
            ),
            stacklevel=1,
        )
