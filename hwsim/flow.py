"""The spine: passes -> lower -> price all candidate devices -> place -> simulate -> report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from hwsim.devices.base import KINDS
from hwsim.devices.pricing import GraphCosts, price_graph
from hwsim.engine.machine import machine_of
from hwsim.engine.phases import replay_phases
from hwsim.errors import InputError, UnsupportedError
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Lowered, lower
from hwsim.graph.topology import topology
from hwsim.graph.work import Collective
from hwsim.passes import PASSES
from hwsim.passes.parallel import sequence_parallel
from hwsim.report.basis import weakest
from hwsim.report.estimate import Estimate
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec
from hwsim.specs.parallel import ParallelSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import SystemSpec

__all__ = ["chosen_stack", "estimate", "prepare", "simulate"]

_LONGEST = 100_000
"""Most repeats of a phase whose work grows from one to the next; each is priced and replayed on its own."""


def prepare(
    graph: Graph,
    specs: Sequence[DeviceSpec],
    stacks: Sequence[SoftwareSpec],
    parallel: ParallelSpec | None = None,
) -> tuple[Graph, str]:
    """The graph as those stacks run it, and its dtype: formats resolved, passes applied, divided among ranks.

    Several devices share one graph, so only the passes that all their stacks name are applied.
    """
    dtype = graph.scheme.name if graph.scheme else specs[0].preferred_dtype
    if graph.is_auto:
        graph = graph.with_scheme(dtype)
    common = [name for name in stacks[0].passes if all(name in stack.passes for stack in stacks)]
    graph = reduce(lambda g, name: PASSES[name](g), common, graph)
    if parallel is not None:
        beside = all(stack.kernels.get("send", {}).get("beside", 1.0) > 0.0 for stack in stacks)
        graph = sequence_parallel(graph, ulysses=parallel.ulysses, ring=parallel.ring, beside=beside)
    return graph, dtype


def chosen_stack(graph: Graph, spec: DeviceSpec, name: str | None) -> SoftwareSpec:
    """The named stack, or the one that suits the graph's weights; raises UnknownNameError."""
    if name is not None or not spec.default_software.beyond:
        return spec.stack(name)
    resolved = graph.with_scheme(spec.preferred_dtype) if graph.is_auto else graph
    return spec.stack_for(resolved.weight_bytes)


def estimate(graph: Graph, device: DeviceSpec, software: str | None = None) -> Estimate:
    """Price a graph alone on one device; raises UnsupportedError for work or formats the device lacks."""
    stack = chosen_stack(graph, device, software)
    ready, dtype = prepare(graph, [device], [stack])
    costs = price_graph(_lowered(ready), device, stack)
    _refuse_unsupported(costs)
    return Estimate(costs, dtype)


def simulate(
    graph: Graph,
    system: SystemSpec,
    *,
    policy: str = "auto",
    software: str | Mapping[str, str] | None = None,
    options: Mapping[str, object] | None = None,
    parallel: ParallelSpec | None = None,
    limited: bool = True,
    allow_spill: bool = False,
    seed: int = 0,
) -> Result:
    """Replay a graph on a system: place it, run it in simulated time, account for time, memory and energy.

    Args:
        graph: what to run.
        system: on what.
        policy: a name among ``POLICIES``.
        software: a stack for every device, or one by role.
        options: what the policy is told (``rules``, ``providers``, ``device``).
        parallel: how its tokens are divided among the first devices, which all run a share; no policy decides then.
        limited: whether memory capacities are enforced.
        allow_spill: whether an overflowing memory may write idle tensors to host memory.
        seed: kept in the result; the same seed gives the same bytes.

    Raises:
        PlacementError: some operator has no device.
        UnsupportedError: the only device cannot run some work, or lacks the format.
        OutOfMemoryError: a memory overflows.
    """
    specs = list(system.devices.values())
    stacks = [chosen_stack(graph, spec, _stack_name(software, role)) for role, spec in system.devices.items()]
    ready, dtype = prepare(graph, specs, stacks, parallel)
    lowered = _lowered(ready)
    costs = _price(lowered, system, stacks)
    if len(specs) == 1:
        _refuse_unsupported(costs[0])
    machine = machine_of(system, limited=limited, allow_spill=allow_spill)
    records = replay_phases(ready, topology(lowered), costs, machine, system, policy=policy, options=options or {})
    used = {int(i) for record in records for i in set(record.device.tolist()) if i >= 0}
    bases = [Estimate(costs[i], dtype).basis for i in sorted(used)] or [Estimate(costs[0], dtype).basis]
    return Result(
        graph=ready,
        system=system,
        stacks=tuple(stacks),
        dtype=dtype,
        records=records,
        memories=tuple((m.name, m.capacity_bytes) for m in machine.memories),
        links=_link_energies(system, len(machine.links), [link.name for link in machine.links]),
        basis=weakest(bases),
        seed=seed,
    )


def _lowered(graph: Graph) -> Lowered:
    """The graph's rows of Work; raises InputError where so many repeats would be priced that nobody could wait."""
    lowered = lower(graph)
    for phase in graph.phases:
        if lowered.growth and phase.repeat > _LONGEST:
            raise InputError(
                f"{graph.name}: phase {phase.name} repeats {phase.repeat:,} times and its work grows; "
                f"at most {_LONGEST:,} such repeats are simulated, so write a smaller number, e.g. of tokens"
            )
    return lowered


def _stack_name(software: str | Mapping[str, str] | None, role: str) -> str | None:
    return software if software is None or isinstance(software, str) else software.get(role)


def _price(lowered: Lowered, system: SystemSpec, stacks: Sequence[SoftwareSpec]) -> list[GraphCosts]:
    """The graph on each device; equal devices are priced once."""
    known: dict[tuple[int, int], GraphCosts] = {}
    costs: list[GraphCosts] = []
    for spec, stack in zip(system.devices.values(), stacks, strict=True):
        key = (id(spec), id(stack))
        if key not in known:
            known[key] = price_graph(
                lowered,
                spec,
                stack,
                capped=True,
                interconnect=system.interconnect,
                participants=len(system.devices),
            )
        costs.append(known[key])
    return costs


def _link_energies(system: SystemSpec, links: int, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """(name, J/byte) of each direction of each link; links the system does not declare cost nothing."""
    energies = [link.energy_j_per_byte for link in system.links for _ in range(2)]
    return tuple((names[i], energies[i] if i < len(energies) else 0.0) for i in range(links))


def _refuse_unsupported(costs: GraphCosts) -> None:
    works = costs.lowered.works
    bad = [w for w, ok in zip(works, costs.mask.tolist(), strict=True) if not ok]
    if any(isinstance(work, Collective) for work in bad):
        kernels = ", ".join(sorted({w.kernel for w in bad if isinstance(w, Collective)}))
        raise UnsupportedError(
            f"{kernels}: needs a system with an interconnect, e.g. h100_x4, not {costs.spec.name} alone"
        )
    if bad:
        missing = ", ".join(sorted({f"{w.kernel} in {w.format}" for w in bad})[:6])
        has = ", ".join(name for name, peak in KINDS[costs.spec.kind].peaks(costs.spec).items() if peak > 0)
        raise UnsupportedError(
            f"{costs.spec.name} cannot run {missing}; its formats are {has or 'none: no unit of it has a rate'}"
        )
