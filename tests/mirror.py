"""Which tests hold which module: those of its name, and for the others the list below.

A module without a test of its name is here with the tests that hold it, and why they do. The test
of the architecture keeps the list true: every module is held, and no line of it is idle.
`tests.mutation` runs the tests named here for changes of the module.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

HELD_BY: dict[str, tuple[tuple[str, ...], str]] = {
    # placement
    "placement.problem.instance_building": (
        ("placement.problem.test_instance",), "the instance is tested as it is built",
    ),
    "placement.problem.plan_building": (
        ("placement.problem.test_plan", "placement.test_check"),
        "plans are tested as they are built",
    ),
    "placement.portfolio.maximum": (
        ("placement.test_solve", "placement.portfolio.test_compact_first"),
        "what is tried in which order is seen in the plans",
    ),
    "placement.files.*_schema": (
        ("placement.files.test_config_file", "placement.files.test_cluster_file",
         "placement.files.test_plan_file", "test_docs"),
        "schemas are tables: what they refuse is seen in the files, what they say in docs/schema",
    ),
    "placement.files.base_entry": (
        ("placement.files.test_rules_file", "test_docs"), "the base of every schema",
    ),
    "placement.files.serve_entry": (
        ("placement.files.test_config_file", "test_docs"), "part of the config",
    ),
    "placement.problem.blocks": (
        ("placement.problem.test_space",), "the rules of space are made of it",
    ),
    "placement.patterns.proposing": (
        ("placement.patterns.test_incumbent", "placement.patterns.test_proven_bound"),
        "when they run, and that nothing they find is lost",
    ),
    "placement.patterns.columns.packed_rates": (
        ("placement.patterns.test_packed_search",), "against the routing program and brute force",
    ),
    "placement.patterns.columns.server_packing": (
        ("placement.patterns.test_packed_search",), "seen in the plans made of them",
    ),
    "placement.programs.server_groups": (
        ("placement.programs.test_routing",), "identical servers are routed as one",
    ),
    "placement.programs.spare_rule": (
        ("placement.test_packing",), "seen in the plans that it makes",
    ),
    "placement.files.network_entry": (
        ("placement.files.test_cluster_file",), "part of the cluster file",
    ),
    "placement.files.placement_file": (
        ("placement.test_own_placement",), "a placement is read to be made a plan",
    ),
    "placement.files.requests.steps": (
        ("placement.problem.test_variants",), "what ran is seen in the variants that are read",
    ),
    "placement.files.domains": (
        ("placement.files.test_rules_file", "placement.files.test_cluster_file"),
        "groups of GPUs as files state them",
    ),
    "placement.files.stated_rules": (
        ("placement.files.test_rules_file",), "what is wrong with rules is seen in their file",
    ),
    "placement.problem.model_rules": (
        ("placement.files.test_rules_file", "hunt.test_rules"), "rules as they are read",
    ),
    "placement.files.plan_reader": (
        ("placement.files.test_plan_file", "placement.test_check"), "plans are read by `read_plan`",
    ),
    "placement.files.requests.assembly": (
        ("placement.files.test_request_file", "placement.files.requests.test_decoding"),
        "every format is one trace, put together there",
    ),
    "placement.files.requests.batch": (
        ("placement.files.test_request_file", "placement.files.requests.test_decoding"),
        "every format is one trace, in batches",
    ),
    "placement.files.requests.node_times": (
        ("placement.files.test_request_file", "placement.files.requests.test_decoding"),
        "every format is one trace, with the times that it states",
    ),
    "placement.files.requests.records": (
        ("placement.files.test_request_file", "placement.files.requests.test_decoding"),
        "every format is one trace, some of them record by record",
    ),
    "placement.files.schema_faults": (
        ("placement.files.test_many_faults", "placement.files.test_config_file"),
        "its sentences are those of the files",
    ),
    "placement.files.syntax.document": (
        ("placement.files.test_many_faults", "placement.files.test_config_file"),
        "documents are read with their lines by every reader",
    ),
    "placement.files.syntax.*_text": (
        ("placement.files.syntax.test_source", "placement.files.test_names",
         "placement.files.test_request_file"),
        "broken and hard texts are tried in all syntaxes at once",
    ),
    "placement.files.syntax.yaml_writer": (
        ("placement.files.test_names",), "any name is written, and read by two parsers",
    ),
    "placement.generate.trace_writer": (
        ("placement.generate.test_synthetic", "placement.files.test_names"),
        "what is generated is written and read in every format",
    ),
    "placement.importing.comfyui_nodes": (
        ("placement.importing.test_comfyui",), "a table, read by the reader of graphs",
    ),
    "placement.importing.imported": (
        ("cli.test_import",), "what files do not tell is filled in by the command",
    ),
    "placement.importing.otlp": (
        ("placement.importing.test_traces",), "spans are read to make workflows",
    ),
    "placement.importing.span_calls": (
        ("placement.importing.test_traces",), "calls are found to make workflows",
    ),
    "placement.importing.trace_shapes": (
        ("placement.importing.test_traces",), "shapes are found to make workflows",
    ),
    "placement.heuristics.annealing": (
        ("placement.heuristics.test_local_search", "placement.heuristics.test_compiled_search"),
        "compiled: the local search is its door",
    ),
    "placement.heuristics.coverage": (
        ("placement.heuristics.test_greedy", "placement.heuristics.test_rules"),
        "greedy and random placements are made whole by it",
    ),
    "placement.heuristics.random": (
        ("placement.heuristics.test_rules",), "all methods keep the rules, by name",
    ),
    "placement.heuristics.search_arrays": (
        ("placement.heuristics.test_water_filling", "placement.heuristics.test_local_search"),
        "what the compiled heuristics run on",
    ),
    "placement.heuristics.selective_replication": (
        ("placement.heuristics.test_rules", "placement.portfolio.test_starts"),
        "all methods keep the rules, by name",
    ),
    "placement.programs.best_fitting_set": (
        ("placement.programs.test_fitting_sets",), "prices are made of the sets that it finds",
    ),
    "placement.programs.compact_search": (
        ("placement.programs.test_compact",), "the program and what it finds are one test",
    ),
    "placement.params.*": (
        ("placement.params.test_search_params",), "data that check themselves, tried all together",
    ),
    "placement.patterns.slicing_rows": (
        ("placement.programs.test_bottleneck", "placement.problem.test_shared_capacity"),
        "U* with slices against brute force, and what the rows say against placements at random",
    ),
    "placement.patterns.aggregate_bottleneck": (
        ("placement.patterns.test_search", "placement.patterns.test_uneven"),
        "U* of the whole search against brute force",
    ),
    "placement.patterns.bounding": (
        ("placement.patterns.test_incumbent", "placement.patterns.test_search",
         "placement.patterns.test_proven_bound"),
        "steps of the search, whose bound is held against brute force",
    ),
    "placement.patterns.cutting_planes": (
        ("placement.patterns.test_rounding_cuts", "placement.patterns.test_search"),
        "it adds the cuts that are tested there",
    ),
    "placement.patterns.duals": (
        ("placement.patterns.test_proven_bound", "placement.verify.test_proof"),
        "stored multipliers prove the bound again by other code",
    ),
    "placement.patterns.exchanges": (
        ("placement.patterns.test_incumbent",), "neighbours are offered to the incumbent",
    ),
    "placement.patterns.joint_master": (
        ("placement.test_robust",), "several demands against brute force",
    ),
    "placement.patterns.columns.flat_problem": (
        ("placement.patterns.columns.test_content_value",), "what the compiled pricing runs on",
    ),
    "placement.patterns.columns.content_*": (
        ("placement.patterns.columns.test_content_value",),
        "compiled: the pool of contents is their door",
    ),
    "placement.patterns.columns.c*": (
        ("placement.patterns.test_column_search",), "parts of the search, held by brute force",
    ),
    "placement.patterns.column_[bp]*": (
        ("placement.patterns.test_column_search",), "sides of the search, held by brute force",
    ),
    "placement.patterns.columns.generation": (
        ("placement.patterns.test_column_search",), "parts of the search, held by brute force",
    ),
    "placement.patterns.pricing.content_list": (
        ("placement.patterns.pricing.test_contents",), "contents are listed and priced together",
    ),
    "placement.patterns.pricing.counts": (
        ("placement.patterns.pricing.test_contents", "placement.patterns.pricing.test_knapsack"),
        "each pricing problem is held against the others",
    ),
    "placement.patterns.pricing.features": (
        ("placement.patterns.test_master_rows", "placement.patterns.pricing.test_contents"),
        "rows as master and pricing see them agree",
    ),
    "placement.patterns.pricing.positions": (
        ("placement.patterns.test_branching", "placement.patterns.pricing.test_knapsack"),
        "each pricing problem is held against the others",
    ),
    "placement.patterns.pricing.problems": (
        ("placement.patterns.test_branching", "placement.patterns.test_rounding_cuts"),
        "it only chooses",
    ),
    "placement.patterns.restricted_master": (
        ("placement.patterns.test_node_set_master", "placement.patterns.test_rounding_cuts"),
        "two masters of one instance agree",
    ),
    "placement.portfolio.partition": (
        ("placement.portfolio.test_preparation", "placement.heuristics.test_rules"),
        "all methods keep the rules, by name",
    ),
    "placement.portfolio.scenario_routing": (
        ("placement.test_robust",), "several demands against brute force",
    ),
    "placement.problem.names": (
        ("cli.test_commands", "test_architecture"), "tuples of names that users write",
    ),
    "placement.problem.placement_rules": (
        ("placement.heuristics.test_rules",), "what rules mean is seen in what keeps them",
    ),
    "placement.problem.score": (("placement.test_refine",), "a type"),
    "placement.improve.few_moves": (
        ("placement.test_rebalance",), "the best within a limit, against brute force",
    ),
    "placement.problem.changes": (("runtime.test_changing",), "data of what changes"),
    "placement.programs.after_loss": (("placement.test_survive",), "losses against brute force"),
    "placement.restatement": (
        ("placement.test_rebalance", "placement.test_survive"), "plans that check passes",
    ),
    "placement.programs.move_limit": (("placement.test_rebalance",), "one row of that search"),
    "placement.programs.demands": (
        ("placement.test_robust",), "several demands against brute force",
    ),
    "placement.programs.joint": (("placement.test_robust",), "several demands against brute force"),
    "placement.programs.least_replicas": (
        ("placement.programs.test_compact",), "one row of the compact program",
    ),
    "placement.solver.highs": (
        ("placement.solver.test_milp",), "each solver gives what the others give",
    ),
    "placement.support.garbage": (
        ("placement.files.test_request_file",), "it changes speed and nothing else",
    ),
    "placement.support.lazy": (("test_public_names",), "the public names are its only use"),
    "placement.support.quiet": (
        ("placement.solver.test_milp", "placement.files.syntax.test_source"),
        "what libraries print is seen where they print",
    ),
    "placement.verify.*": (
        ("placement.verify.test_proof", "placement.verify.test_whole_program"),
        "parts of one proof, against brute force and forgery",
    ),
    # runtime
    "runtime.arrays": (
        ("runtime.test_engine", "runtime.test_simpy"), "what the engines run on",
    ),
    "runtime.calibration.parameters": (
        ("runtime.calibration.test_fit",), "what is fitted is seen in what is found",
    ),
    "runtime.engines.*": (
        ("runtime.test_engine", "runtime.test_simpy", "runtime.test_sharing",
         "runtime.test_queueing", "runtime.test_outages"),
        "engines against each other, an independent model and closed forms",
    ),
    "runtime.live.answers": (
        ("runtime.live.test_transport", "runtime.live.test_local_models"),
        "what stands behind the servers that calls are made to",
    ),
    "runtime.live.calls": (
        ("runtime.live.test_endpoints", "runtime.live.test_transport"),
        "calls are what endpoints are given",
    ),
    "runtime.live.endpoint_schema": (("runtime.live.test_endpoints",), "a table"),
    "runtime.live.execute": (("cli.test_execute",), "the command as a function"),
    "runtime.live.gpu_time": (("runtime.live.test_record",), "measured times come back"),
    "runtime.live.inference.*": (
        ("runtime.live.test_local_models", "runtime.live.test_own_process"),
        "models that really infer, where they are installed, and where they run",
    ),
    "runtime.live.keys": (
        ("runtime.live.test_transport",), "a key is what makes a repeated call one call",
    ),
    "runtime.live.kinds": (("runtime.live.test_transport",), "answers of every kind of server"),
    "runtime.live.local": (
        ("runtime.live.test_transport", "cli.test_serve_local"), "servers that calls are made to",
    ),
    "runtime.live.replies": (
        ("runtime.live.test_transport",), "answers in the form of every interface",
    ),
    "runtime.live.station": (
        ("runtime.live.test_executor",), "queues of a live run, against the simulator",
    ),
    "runtime.ray.*": (
        ("cli.test_deploy",), "what needs a cluster is tried on one, started once",
    ),
    "runtime.residency": (("runtime.test_switching",), "against a ledger searched anew"),
    "runtime.result": (
        ("runtime.test_engine", "runtime.test_metrics"), "what engines return and metrics read",
    ),
    "runtime.scene": (("runtime.test_figures",), "what figures are taken from"),
    # cli
    "cli.comparison_tables": (("cli.test_commands",), "what `compare` prints and writes"),
    "cli.formats.*": (("cli.test_export",), "formats are what `export` writes"),
    "cli.launching.*": (
        ("cli.launching.test_targets", "cli.launching.test_shell", "cli.launching.test_served"),
        "each form is read by what it is for",
    ),
    "cli.import_files": (("cli.test_import",), "the command `import`"),
    "cli.plots.*": (("cli.plots.test_pictures", "cli.test_export"), "against baseline images"),
    "cli.views.*": (
        ("cli.views.test_pictures", "cli.views.test_page"),
        "against baselines, and as a page with its figures",
    ),
    "cli.completion": (("cli.test_terminal",), "the tab key"),
    "cli.main": (("cli.test_commands", "cli.test_mistakes"), "the door of every command"),
    "cli.entry": (("cli.test_interruption",), "processes that are ended"),
    "cli.waiting": (("cli.test_terminal",), "what a terminal shows meanwhile"),
    "cli.simulated_headroom": (("cli.test_headroom_simulated",), "as `solve` states it"),
    "cli.refine": (("cli.test_scenarios", "cli.test_commands"), "as `solve --refine` prints it"),
    "cli.*": (
        ("cli.test_commands", "cli.test_contract", "cli.test_terminal"),
        "every command is called as users do, with and without --json",
    ),
}  # fmt: skip
"""Pattern of modules: their tests, and why. The first pattern that holds counts."""


def mirror_of(module: str) -> str:
    """Test module of a module's name: ``tests.runtime.test_log`` mirrors `runtime.log`."""
    room, _, leaf = module.rpartition(".")
    return f"tests.{room}.test_{leaf}" if room else f"tests.test_{leaf}"


def held_by(module: str) -> tuple[str, ...]:
    """Tests that hold a module without one of its name; none where the list lacks it."""
    for pattern, (tests, _) in HELD_BY.items():
        if fnmatchcase(module, pattern):
            return tuple(f"tests.{test}" for test in tests)
    return ()
