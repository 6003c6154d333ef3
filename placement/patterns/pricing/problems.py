"""The pricing problems of an instance, one a server type: over counts, positions or contents."""

from __future__ import annotations

from collections.abc import Sequence

from placement.params.search_params import DEFAULTS, SearchParams
from placement.patterns.master_rows import Row
from placement.patterns.pricing.content_list import Contents
from placement.patterns.pricing.contents import ContentPricing
from placement.patterns.pricing.counts import Pricing, PricingProblem
from placement.patterns.pricing.positions import PositionPricing
from placement.problem.instance import Instance


def counted(
    instance: Instance, rows: Sequence[Row], params: SearchParams = DEFAULTS
) -> list[PricingProblem]:
    """Pricing problems over replica counts, one for each server type.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows of the master that the contents are priced with.
    params : SearchParams
        Of its `pricing`.
    """
    kinds = range(len(instance.cluster.server_types))
    return [Pricing(instance, t, rows, params) for t in kinds]


def pricings_for(
    instance: Instance,
    rows: Sequence[Row],
    *,
    positions: bool,
    contents: Sequence[Contents] = (),
    params: SearchParams = DEFAULTS,
) -> list[PricingProblem]:
    """Pricing problems over listed contents, over counts, or over positions.

    Where GPUs are exclusive, counts are exact unless some GPU is excluded.

    Parameters
    ----------
    instance : Instance
        Normalized.
    rows : sequence of Row
        Rows on replica counts, of the master.
    positions : bool
        Where GPUs are shared, decide every position, which is slow and exact.
    contents : sequence of Contents
        Of every server type; without them branch and bound decides the counts.
    """
    if contents:
        return [ContentPricing(listed, rows) for listed in contents]
    exclusive = instance.models_per_gpu == 1
    if not instance.counts_suffice if exclusive else positions:
        kinds = range(len(instance.cluster.server_types))
        return [PositionPricing(instance, t, rows, params) for t in kinds]
    return counted(instance, rows, params)
