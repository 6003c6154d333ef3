"""The file of search parameters: the few that an experiment changes, by section and field."""

from __future__ import annotations

import os

from placement.files.syntax.document import PlacedFault, load_document, raise_faults
from placement.params.search_params import DEFAULTS, SearchParams, faults


def read_params(path: str | os.PathLike[str]) -> SearchParams:
    """Read search parameters from a JSON or YAML file; what it does not name keeps its default.

    Parameters
    ----------
    path : path-like
        ``section: {field: value}``, with the names of `SearchParams`.

    Raises
    ------
    InputError
        With every name that there is not, and every value out of its range.
    """
    document = load_document(path)
    changes = {} if document.data is None else document.data
    raise_faults(document, [PlacedFault(*fault) for fault in faults(changes)])
    return DEFAULTS.changed(changes)
