"""Small changes to the code, and whether the tests notice them.

    python -m tests.mutation --sample 60 --seed 7 --kept outcomes.json [--paths placement/files]

`mutants` lists every small change that a module allows, `selection` says which tests stand nearest
to a module, `trial` applies one change to a copy of the project and runs them. The ready-made tools
rename functions, which compiled code cannot bear, or run all tests for every change, which takes
minutes here: a list by `ast` and the nearest tests do.
"""
