"""The compiled loops, equal to the readable ones to the last bit.

`serial_loop` is `runtime.engines.serial`, `sliced_loop` is `runtime.engines.sliced`; they share how
requests come (`releases`) and how routers choose (`choices`).

Letters mean the same in all of them: `t` are the tables, which do not change, and `s` the state,
which does (`runtime.engines.layout` has the shape and meaning of every array); `e` is the number of
an execution, `r` of a request, `v` of a node, `m` of a model, `p` and `q` of replicas, `k` of a
slot, `i` a position in an array. `now` and other times are simulated seconds; `policy` and
`network` are numbers of `choices`.
"""
