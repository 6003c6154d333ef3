"""Mutated inputs and odd options against every command: a plan that holds, or a sentence.

    python -m tests.fuzz --cases 1000000 --jobs 2

`problems` draws small valid files, `edits` changes them, `render` writes them in every format,
`lines` draws command lines, `cases` puts these together, `judge` runs one case as a user would and
says what is wrong with what came of it, `pool` runs many in processes that may hang or die. A new
kind of document needs a field of `problems.Problem`, an entry in `cases.KINDS`, and the commands
that read it in `lines.base_line`.
"""
