"""What a certificate stores, so that `placement.verify` can prove the bound anew."""

from __future__ import annotations

from collections.abc import Sequence

from placement.patterns.column_generation import counted
from placement.patterns.master_rows import Row
from placement.patterns.pricing.content_list import Contents
from placement.patterns.pricing.contents import ContentPricing
from placement.patterns.pricing.counts import PricingProblem
from placement.patterns.pricing.positions import PositionPricing
from placement.problem.instance import Instance


def pricings_for(
    instance: Instance,
    rows: Sequence[Row],
    *,
    positions: bool,
    contents: Sequence[Contents] = (),
) -> list[PricingProblem]:
    """Pricing problems over listed contents, over counts, or over positions of shared GPUs."""
    if contents:
        return [ContentPricing(listed, rows) for listed in contents]
    if positions and instance.models_per_gpu > 1:
        kinds = range(len(instance.cluster.server_types))
        return [PositionPricing(instance, t, rows) for t in kinds]
    return counted(instance, rows)
