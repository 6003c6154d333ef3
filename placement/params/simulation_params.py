"""Parameters of what is found by running and by reading traces: headroom, and laws of a log."""

from dataclasses import dataclass

from placement.params.ranges import Count, Factor, Params, Part, Positive, Ratio


@dataclass(frozen=True)
class HeadroomParams(Params):
    """The factor on a trace's rate that simulation bears out, found by bisection.

    Parameters
    ----------
    drift : float > 0
        Part of the time of a run by which work may outlast the last arrival: the factor is found to
        about this, and a stable queue that is long by itself counts as unstable below it.
    least_executions : int >= 1
        Executions of a run at least: a shorter trace is repeated, or chance would decide.
    most_executions : int >= 1
        Executions of a run at most: of a longer trace the first are taken, or a search of a dozen
        runs would take minutes.
    long_requests : float > 0
        Times of a mean request that a run must last to say anything; else the trace is too short.
    served_calls : float > 0
        The same of a mean call as it was served, batched, sliced and on its server.
    close : float > 1
        Ratio of a factor that is not borne out to one that is, at which the search ends.
    most_factor : float >= 1
        Largest factor that is tried, over the headroom by rates: whoever bears that is not busy.
    least_factor : float >= 1
        The headroom by rates over the smallest factor that is tried: whoever bears less than that
        bears nothing.
    raised : float > 1
        Ratio of a factor to the last, while all are borne out: by rates is rarely far below.
    lowered : float > 1
        Ratio of the last factor to the next, while none is: a router that keeps no shares may lose
        half.
    """

    drift: Positive = 0.01
    least_executions: Count = 100_000
    most_executions: Count = 300_000
    long_requests: Positive = 100.0
    served_calls: Positive = 20.0
    close: Ratio = 1.01
    most_factor: Factor = 4.0
    least_factor: Factor = 100.0
    raised: Ratio = 1.2
    lowered: Ratio = 1.5


HEADROOM = HeadroomParams()
"""What is simulated where nobody says otherwise."""


@dataclass(frozen=True)
class CalibrationParams(Params):
    """What a log must hold before a law is fitted to it, and how the fit bears what disturbs it.

    Parameters
    ----------
    least_calls : int >= 1
        Calls that must have been served under a law before anything is said of it.
    seen : float, 0 < x <= 1
        Part of a call's time in which a law must have held for the call to count.
    alone : float, 0 < x <= 1
        The same of a call that ran alone: of less, the scale and the losses would be one thing.
    outlier : float > 0
        Residual from which a call counts for less, in mean times alone of a model that is average:
        a log of real calls has a few that something else held up.
    """

    least_calls: Count = 20
    seen: Part = 0.01
    alone: Part = 0.5
    outlier: Positive = 0.2


CALIBRATION = CalibrationParams()
"""What laws are fitted with where nobody says otherwise."""
