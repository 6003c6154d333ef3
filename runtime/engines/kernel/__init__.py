"""The compiled loops, equal to the readable ones to the last bit.

`serial_loop` is `runtime.engines.serial`, `sliced_loop` is `runtime.engines.sliced`; they share how
requests come (`releases`) and how routers choose (`choices`).
"""
