"""Scenario files: defaults filled in, variants resolved, limits in the unit of their metric."""

from __future__ import annotations

import json

import pytest

from hwsim.errors import FileFormatError, InputError, UnknownNameError
from hwsim.loading.judging import amount
from hwsim.loading.scenario import load_scenario

pytestmark = pytest.mark.usefixtures("write")

HEAD = "schema: hwsim/scenario/v1\ntitle: A demo\n"
PLAIN = HEAD + "workload: {name: resnet50, batch: 8}\nsystems: [toy]\n"
FULL = (
    HEAD
    + """\
workload: {name: resnet50, batch: 8}
systems: [toy, {name: phone, use: toy, workload: {batch: 1}, software: eager, policy: single}]
software: compiled
policy: auto
arrivals: {kind: once}
variants: [{name: int8, set: {workload.dtype: w8a8, systems.phone.workload.batch: 2}}]
claim: {says: "2.4 times", value: 2.4, unit: x, metric: energy_j, system: toy, over: phone}
measured: [{system: toy, latency: 95.4 ms, energy: 64.7 J, source: "x"}]
require: [{name: real time, metric: latency_s, system: phone, op: "<=", limit: 200 ms}]
seed: 7
spill: true
"""
)


@pytest.fixture
def demo(write):
    """Writes the scenario demo."""
    return lambda text: write("scenarios/theme/demo.yaml", text)


def faults(text: str) -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        load_scenario(text)
    return [line.removeprefix("scenarios/theme/") for line in str(caught.value).splitlines()]


def test_the_shortest_scenario_has_defaults(demo) -> None:
    demo(HEAD + "workload: resnet50\nsystems: [toy]\n")
    spec = load_scenario("demo")
    assert (spec.name, spec.title, spec.seed, spec.spill, spec.arrivals.kind) == ("demo", "A demo", 0, False, "once")
    (use,) = spec.systems
    assert (use.name, list(use.system.devices), use.policy, use.software) == ("toy", ["toy"], "auto", None)
    assert (spec.workload.name, dict(spec.workload.params)) == ("resnet50", {})


def test_every_system_knows_what_it_runs_and_how(demo) -> None:
    demo(FULL)
    toy, phone = load_scenario("demo").systems
    assert (dict(toy.workload.params), toy.software, toy.policy) == ({"batch": 8}, "compiled", "auto")
    assert (dict(phone.workload.params), phone.software, phone.policy) == ({"batch": 1}, "eager", "single")


def test_a_system_divides_its_work_as_it_says_or_as_all_do(demo) -> None:
    demo(
        HEAD
        + "workload: pixart_sigma\nparallel: {ulysses: 2}\n"
        + "systems: [h100_x4, {name: ring, use: h100_x8, parallel: {ulysses: 2, ring: 4}}]\n"
    )
    four, ring = load_scenario("demo").systems
    assert four.parallel is not None
    assert ring.parallel is not None
    assert (four.parallel.ranks, ring.parallel.ulysses, ring.parallel.ranks) == (2, 2, 8)


def test_more_ranks_than_devices_are_a_fault(demo) -> None:
    demo(HEAD + "workload: pixart_sigma\nsystems: [{use: h100_x4, parallel: {ulysses: 4, ring: 2}}]\n")
    (fault,) = faults("demo")
    assert fault == "demo.yaml:4:36: systems.h100_x4.parallel: 8 ranks need as many devices; h100_x4 has 4"


def test_a_system_that_names_another_workload_starts_afresh(demo) -> None:
    demo(HEAD + "workload: {name: resnet50, batch: 8}\nsystems: [{use: toy, workload: vgg16}]\n")
    (use,) = load_scenario("demo").systems
    assert (use.workload.name, dict(use.workload.params)) == ("vgg16", {})


def test_a_variant_is_the_whole_scenario_with_its_values_set(demo) -> None:
    demo(FULL)
    (variant,) = load_scenario("demo").variants
    assert variant.name == "int8"
    assert dict(variant.changes) == {"workload.dtype": "w8a8", "systems.phone.workload.batch": 2}
    assert [dict(use.workload.params) for use in variant.scenario.systems] == [
        {"batch": 8, "dtype": "w8a8"},
        {"batch": 2, "dtype": "w8a8"},
    ]


def test_claims_measurements_and_limits_are_in_si_units(demo) -> None:
    demo(FULL)
    spec = load_scenario("demo")
    (claim,), (measured,), (limit,) = spec.claims, spec.measured, spec.require
    assert (claim.says, claim.value, claim.unit, claim.system, claim.over) == ("2.4 times", 2.4, "x", "toy", "phone")
    assert (measured.system, measured.latency_s, measured.energy_j, measured.source) == ("toy", 0.0954, 64.7, "x")
    assert (limit.name, limit.metric, limit.op, limit.limit, limit.system) == (
        "real time", "latency_s", "<=", 0.2, "phone",
    )  # fmt: skip


def test_claims_may_be_a_list(demo) -> None:
    demo(
        PLAIN + 'claim: [{says: a}, {says: b, value: 5 ms, metric: latency_s}]\nmeasured: {value: 1.57, source: "x"}\n'
    )
    spec = load_scenario("demo")
    assert [(claim.says, claim.value) for claim in spec.claims] == [("a", None), ("b", 0.005)]
    assert spec.measured[0].value == 1.57


def test_values_set_on_the_command_line_win(demo) -> None:
    demo(FULL)
    spec = load_scenario("demo", ["workload.batch=3", "systems.phone.policy=auto", "seed=9", "workload.dtype=fp16"])
    assert [dict(use.workload.params) for use in spec.systems] == [
        {"batch": 3, "dtype": "fp16"},
        {"batch": 1, "dtype": "fp16"},
    ]
    assert (spec.systems[1].policy, spec.seed) == ("auto", 9)


def test_a_chip_may_be_changed_where_it_is_used(demo) -> None:
    demo(HEAD + "workload: resnet50\nsystems: [{name: big, use: toy, set: {systolic_npu.rows: 512}}]\n")
    (use,) = load_scenario("demo").systems
    assert next(iter(use.system.devices.values())).core.rows == 512


@pytest.mark.parametrize("rules", [{"softmax": "toy"}, {"conv*": ["toy"]}, [{"match": {"tag": "a"}, "device": "toy"}]])
def test_placement_reaches_the_policy_as_written(demo, rules: object) -> None:
    demo(PLAIN + f"placement: {{rules: {json.dumps(rules)}, providers: [toy], default: toy}}\n")
    (use,) = load_scenario("demo").systems
    assert dict(use.placement) == {"rules": rules, "providers": ("toy",), "default": "toy"}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "resnet50",
            "resnet51",
            "demo.yaml:3:18: workload.name: no workload named 'resnet51'; did you mean 'resnet50'",
        ),
        ("batch: 8", "bach: 8", "demo.yaml:3:28: workload.bach: workload 'resnet50' has no parameter 'bach'"),
        ("batch: 8", "batch: many", "demo.yaml:3:35: workload.batch: parameter 'batch': write a whole number"),
        ("batch: 1}", "batch: 0}", "systems.phone.workload.batch: parameter 'batch' must be at least 1, not 0"),
        (
            "use: toy",
            "use: tow",
            "demo.yaml:4:35: systems.phone.use: no system or device named 'tow'; did you mean 'toy'?",
        ),
        ("use: toy", "use: ../toy", "demo.yaml:4:35: systems.phone.use: '../toy': a name has no '/' or '..'"),
        ("software: compiled", "software: compield", "demo.yaml:5:11: software: toy has no software stack 'compield'"),
        ("eager", "eagre", "systems.phone.software: toy has no software stack 'eagre'; did you mean 'eager'"),
        ("policy: auto", "policy: atuo", "demo.yaml:6:9: policy: no policy 'atuo'; did you mean 'auto'?"),
        (
            "kind: once",
            "kind: poisson",
            "demo.yaml:7:18: arrivals.kind: arrivals of kind 'poisson' are not simulated; write one of: once",
        ),
        (
            "limit: 200 ms",
            "limit: 200",
            "require.real time.limit: write a number and the unit 's', e.g. '5 us', not 200 (the unit is missing)",
        ),
        ("limit: 200 ms", "limit: 200 mJ", "write a number and the unit 's', e.g. '5 us', not '200 mJ'"),
        ('op: "<="', "op: is", "require.real time.op: write one of <=, <, >=, >, ==, not 'is'"),
        ("metric: latency_s", "metric: latency", "require.real time.metric: write one of "),
        ("system: phone", "system: pone", "require.real time.system: no system 'pone' here; did you mean 'phone'"),
        ("over: phone", "over: fone", "claim.0.over: no system 'fone' here; did you mean 'phone'"),
        ("value: 2.4", "value: a lot", "claim.0.value: write a number and the unit 'J'"),
        (', source: "x"', "", "measured.0.source: is missing"),
        ("latency: 95.4 ms", "latency: 95.4", "measured.0.latency: write a number and the unit 's'"),
        ("seed: 7", "seed: -1", "seed: write a whole number of at least 0, not -1"),
        ("spill: true", "spill: yes", "spill: write true or false, not 'yes'"),
        ("seed: 7", "sead: 7", "sead: no key 'sead' here; did you mean 'seed'?"),
        ("workload.dtype: w8a8", "workload.dtype: w8a9", "parameter 'dtype': write one of"),
        (
            "systems.phone.w",
            "systems.fone.w",
            "variants.int8.set: systems.fone.workload.batch: no item 'fone'; did you",
        ),
        ("title: A demo\n", "", "demo.yaml:1:1: title: is missing"),
    ],
)
def test_a_fault_gets_one_message_with_its_place(demo, old: str, new: str, fault: str) -> None:
    assert old in FULL
    demo(FULL.replace(old, new, 1))
    (line,) = faults("demo")
    assert fault in line


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + "systems: [toy]\n", "demo.yaml:1:1: workload: is missing; write 'workload: {name: resnet50"),
        (HEAD + "workload: resnet50\nsystems: []\n", "demo.yaml:4:10: systems: is empty; write '[h100_sxm]', say"),
        (HEAD + "workload: resnet50\n", "demo.yaml:1:1: systems: is missing"),
        (HEAD + "workload: {onnx: x.onnx}\nsystems: [toy]\n", "workload.onnx: no such file: 'x.onnx'"),
        (HEAD + "workload: {}\nsystems: [toy]\n", "workload: write the name of a workload"),
        (HEAD + "workload: resnet50\nsystems: [toy, toy]\n", "systems.toy.name: two items are named 'toy'; rename one"),
        (PLAIN + "placement: {rules: {softmax: cpu}}\n", "placement.rules.softmax: toy has no device 'cpu'"),
        (PLAIN + "placement: {rules: {softmax: [toy, cpu]}}\n", "placement.rules.softmax.1: toy has no device 'cpu'"),
        (
            PLAIN + "placement: {rules: [{match: {tag: a}, device: cpu}]}\n",
            "demo.yaml:5:47: placement.rules.0.device: toy has no device 'cpu'; known: toy",
        ),
        (PLAIN + "placement: {default: cpu}\n", "placement.default: toy has no device 'cpu'"),
        (PLAIN + "placement: {providers: [toy, cpu]}\n", "placement.providers.1: toy has no device 'cpu'"),
        (
            PLAIN + "placement: {rules: [{match: {op: a}, device: toy}]}\n",
            "placement.rules: write '{conv*: npu}' or a list",
        ),
        (PLAIN + "placement: {rules: 5}\n", "placement.rules: write '{conv*: npu}' or"),
        (PLAIN + "software: {cpu: eager}\n", "software.cpu: no device 'cpu'; known: toy"),
    ],
)
def test_what_is_missing_gets_one_message_with_its_place(demo, text: str, fault: str) -> None:
    demo(text)
    (line,) = faults("demo")
    assert fault in line


def test_faults_of_every_sort_come_at_once(demo) -> None:
    text = FULL.replace("seed: 7", "seed: x").replace("resnet50", "resnet51").replace("200 ms", "200 mJ")
    demo(text.replace("use: toy", "use: tow"))
    found = [line.split(": ")[1] for line in faults("demo")]
    assert found == ["workload.name", "systems.phone.use", "require.real time.limit", "seed"]


def test_what_a_faulty_section_leaves_right_is_checked_too(demo) -> None:
    demo(FULL.replace("metric: latency_s", "metric: latencies").replace("policy: auto", "policy: hefty"))
    assert [line.split(": ")[1] for line in faults("demo")] == ["policy", "require.real time.metric"]


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("workload.batch", "--set workload.batch: write PATH=VALUE"),
        ("=3", "write PATH=VALUE"),
        ("systems.pone.policy=auto", "no item 'pone'; did you mean 'phone'"),
        ("seed.x=3", "seed.x: 'x' is not part of a mapping or list"),
        ("workload..batch=3", "an empty part"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(demo, assignment: str, says: str) -> None:
    demo(FULL)
    with pytest.raises(InputError, match=says):
        load_scenario("demo", [assignment])


@pytest.mark.parametrize(
    ("assignment", "fault"),
    [
        ("workload.batch=many", "--set workload.batch=many: workload.batch: parameter 'batch': write a whole number"),
        ("sead=3", "--set sead=3: sead: no key 'sead' here; did you mean 'seed'?"),
        ("seed=[", "--set seed=[:"),
    ],
)
def test_a_fault_of_the_command_line_is_placed_there(demo, assignment: str, fault: str) -> None:
    demo(FULL)
    with pytest.raises(FileFormatError) as caught:
        load_scenario("demo", [assignment])
    assert str(caught.value).startswith(fault)


def test_an_unknown_scenario_gets_the_nearest_name(demo) -> None:
    demo(PLAIN)
    with pytest.raises(UnknownNameError, match="no scenario named 'dmo'; did you mean 'demo'"):
        load_scenario("dmo")


@pytest.mark.parametrize(
    ("raw", "metric", "value"),
    [
        ("200 ms", "latency_s", 0.2),
        ("1 kJ", "energy_j", 1000.0),
        ("8 GB", "peak_memory_bytes", 8e9),
        (30, "throughput_per_s", 30.0),
        (True, "fits", 1.0),
    ],
)
def test_a_limit_is_in_the_unit_its_metrics_name_ends_with(raw: object, metric: str, value: float) -> None:
    assert amount(raw, metric) == value
