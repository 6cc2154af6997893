"""The driver and its workers, with rivals that are not real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.driver import Driver, Plan
from benchmarks.figures import comparison
from benchmarks.job import Case, Rival, Work, load
from benchmarks.results import Results
from benchmarks.worker import Worker
from benchmarks.workers import Failed, Handle
from minigrad.runtime.extras import how_to_install

FAKES = "tests.benchmarks.fakes"


def fake(name):
    return next(case for case in load(FAKES) if case.name == name)


@pytest.fixture
def driver(tmp_path):
    driver = Driver(Plan.quickest(), tmp_path)
    yield driver
    driver.close()


class Recorded:
    """In place of a worker's handle: says when it had its turn, and takes as long as it is told."""

    def __init__(self, log, seconds, rival):
        self.log, self.seconds, self.name = log, seconds, rival

    def begin_to_prepare(self, outputs=True):
        pass

    def answer(self):
        return {"units": 1, "versions": {}}

    def outputs(self):
        return {}

    def round(self, calls):
        self.log.append(self.name)
        return self.seconds

    def close(self):
        self.log.append(f"{self.name} ends")


def measured(tmp_path, takes, **plan):
    """The row, and who had a turn when, for rivals that take so many seconds; the first one is minigrad."""
    log = []
    case = Case("case", [Rival(name, "peer" if i else name, Work) for i, name in enumerate(takes)])
    driver = Driver(
        replace(Plan.quickest(), **{"seconds": 1e9, "heats": 2, **plan}), tmp_path,
        start=lambda job, case, rival, threads, folder, quick: Recorded(log, {"NumPy": 0.1, **takes}[rival], rival),
    )  # fmt: skip
    return driver.measure("job", case, 1), log


def test_the_order_is_reversed_in_every_other_round(tmp_path):
    row, log = measured(tmp_path, {"A": 1.0, "B": 1.0, "C": 1.0}, rounds=3)
    warm, rounds = log[:3], log[3:-3]
    assert warm == ["A", "B", "C"]
    assert rounds == ["NumPy", "A", "B", "C", "NumPy", "C", "B", "A", "NumPy", "A", "B", "C"]
    assert [len(rival.values) for rival in row.rivals] == [3, 3, 3]
    assert row.reference == [0.1] * 3


def test_slow_variants_have_no_more_turns_after_the_heats_but_their_figures_stay(tmp_path):
    row, log = measured(tmp_path, {"A": 9.0, "B": 1.0, "C": 1.2, "D": 1.05}, rounds=5, chance=1.1)
    assert {rival.name: len(rival.values) for rival in row.rivals} == {"A": 5, "B": 5, "C": 2, "D": 5}
    assert log.count("C ends") == 1
    assert "C" not in log[log.index("C ends") :]
    assert comparison(row, "peer").best.name == "B"


@pytest.mark.parametrize(("seconds", "rounds"), [(1e9, 12), (25.0, 8), (0.0, 5)])
def test_long_cases_have_fewer_rounds_but_never_less_than_the_least(tmp_path, seconds, rounds):
    row, _ = measured(tmp_path, {"A": 1.0, "B": 2.0}, rounds=12, least=5, seconds=seconds)
    assert len(row.ours.values) == rounds


def test_a_turn_of_short_calls_has_many_of_them(tmp_path):
    row, _ = measured(tmp_path, {"A": 0.01, "B": 3.0}, rounds=2, turn=0.5)
    assert [rival.calls for rival in row.rivals] == [50, 1]


def test_what_goes_wrong_is_told_and_the_others_are_measured(driver):
    row = driver.measure(FAKES, fake("trouble"), 1)
    said = {rival.name: (rival.missing, rival.failed) for rival in row.rivals}
    assert said.pop("minigrad") == said.pop("fine") == ("", "")
    assert said["wrong"][1] == ("disagrees with minigrad, and was not timed: x differs by 9.9e-03 of its largest entry")
    assert said["other names"][1].endswith("one computed ids, x, the other y")
    assert said["dies at work"] == said["dies when made"] == ("", "its process ended with status 3: out of cheese")
    assert said["unavailable"] == ("it is Sunday", "")
    assert said["missing"] == (f"needs no_such_package: {how_to_install(None, 'no_such_package')}", "")
    assert {rival.name for rival in row.rivals if rival.values} == {"minigrad", "fine"}
    assert len(Results({}, 1.0, [row]).failures) == 4
    assert comparison(row, "peer").best.name == "fine"


def test_without_ours_there_is_no_comparison(driver):
    row = driver.measure(FAKES, fake("ours dies"), 1)
    assert "out of cheese" in row.ours.failed
    assert not any(rival.values for rival in row.rivals)
    assert comparison(row, "peer") is None


def test_a_fresh_case_has_a_new_process_in_every_round(driver):
    row = driver.measure(FAKES, fake("counts"), 1)
    assert [rival.values for rival in row.rivals] == [[1.0, 1.0]] * 2


def test_cases_of_a_group_share_a_process_for_each_rival(driver):
    def pids(name):
        return [set(rival.values) for rival in driver.measure(FAKES, fake(name), 1).rivals]

    ours, theirs = pids("first")
    assert ours != theirs
    assert pids("second") == [ours, theirs]
    assert pids("dies in a group") == [set(), set()]
    ours_again, theirs_again = pids("second")  # a new process after one that died
    assert len(ours_again) == 1
    assert ours_again != ours
    assert theirs_again == theirs
    assert not {*pids("of another group")[0]} & {*ours, *ours_again, *theirs}
    assert len(driver._shared) == 2  # those of the first group have ended
    assert all(handle.running for handle in driver._shared.values())


def test_the_time_of_a_group_is_processor_time():
    worker = Worker(FAKES, "minigrad", quick=False)
    worker.prepare("naps", None)
    assert worker.round(1)["value"] < 0.025  # of 0.05 s


def test_workers_are_given_their_threads_before_they_import(tmp_path):
    handle = Handle(FAKES, "threads", "minigrad", 3, tmp_path)
    handle.begin_to_prepare()
    handle.answer()
    assert set(map(int, handle.outputs().values())) == {3}
    handle.close()


def test_a_worker_that_says_nothing_is_given_up(tmp_path):
    handle = Handle(FAKES, "sleeps", "minigrad", 1, tmp_path, patience=0.1)
    handle.begin_to_prepare()
    with pytest.raises(Failed, match=r"no answer within 0\.1 s"):
        handle.answer()
