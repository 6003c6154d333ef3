"""Random tiny instances, solved as a user would and judged by an oracle of its own.

    python -m tests.hunt --seeds 0:5000 --jobs 2

Nothing but `judge` touches the product, and that through its command line alone: `problem` reads
the files, `program` decides every position, `enumeration` tries every placement.
"""
