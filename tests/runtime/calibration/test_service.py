"""By the laws that a run was made by, every call was given its time alone: to the last digits."""

import numpy as np
import pytest

from placement.problem.cluster import GpuSharing
from runtime.calibration.fit import stated_laws
from runtime.calibration.service import courses, work_done
from tests.runtime.calibration.cases import as_log, real_run, two_gpus, workload

LAWS = {
    "plain": {},
    "batched": {"max_concurrency": 4, "slowdown": (1.0, 1.3, 1.5, 1.9)},
    "prefill": {
        "max_concurrency": 4, "slowdown": (1.0, 1.3, 1.5, 1.9), "prefill_time_s": 0.15,
    },
    "chunked": {
        "max_concurrency": 4, "slowdown": (1.0, 1.3, 1.5, 1.9), "prefill_time_s": 0.15,
        "chunked_prefill": True,
    },
    "gaps": {"gpu_fraction": 0.6},
}  # fmt: skip


@pytest.mark.parametrize("efficiency", [(1.0,), (0.8,), (0.9, 0.7)])
@pytest.mark.parametrize("law", LAWS)
def test_the_true_laws_give_every_call_its_time_alone(
    law: str, efficiency: tuple[float, ...]
) -> None:
    """The simulator is the oracle: it made the log by these laws."""
    of, sharing = workload(**LAWS[law]), GpuSharing(efficiency=efficiency)
    run, asked = real_run(of, sharing, seed=1)
    seen = as_log(run, asked, of)
    done = work_done(seen, courses(seen), stated_laws(of, two_gpus(sharing)[0]))
    np.testing.assert_allclose(done, seen.alone_s, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("law", LAWS)
def test_other_laws_do_not(law: str) -> None:
    """An efficiency that is off by a tenth is seen in most calls: they did share."""
    of = workload(**LAWS[law])
    run, asked = real_run(of, GpuSharing(efficiency=(0.8,)), seed=2)
    seen = as_log(run, asked, of)
    wrong = stated_laws(of, two_gpus(GpuSharing(efficiency=(0.9,)))[0])
    off = np.abs(work_done(seen, courses(seen), wrong) / seen.alone_s - 1)
    assert np.mean(off > 0.01) > 0.3


def test_time_in_service_is_laid_out_without_gaps() -> None:
    """What lies between a call's begin and end adds up to its time, and it is in service there."""
    of = workload(**LAWS["batched"])
    run, asked = real_run(of, GpuSharing(), seed=3)
    seen = as_log(run, asked, of)
    for course in courses(seen):
        clock = np.concatenate(([0.0], np.cumsum(course.length_s)))
        took = seen.end_s[course.calls] - seen.start_s[course.calls]
        np.testing.assert_allclose(clock[course.ends] - clock[course.begins], took, atol=1e-9)
        for begin, end in zip(course.begins, course.ends, strict=True):
            assert (course.in_service[begin:end] >= 1).all()
