"""Engines count, metrics/ divides: every other division in the source is named here, with what it divides.

Read from the syntax tree: `/`, `//` and their assignments, divmod, and calls such as np.divide and x.mean(). A path joined
by `/` is told by its operands. SQL in texts is not read.
"""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("command", "contract", "emr", "inference", "jobs", "jvm", "pipeline", "tools", "training")
AT_LEAST = 700  # source files when this was last raised: an empty or half-read tree must not pass

# What is divided outside metrics/, and where: "file function" -> nothing else in that function may be a figure.
ELSEWHERE = {
    "units of time, or moments within a day": """
        command/spans.py _find_birth
        pipeline/demo/traffic.py _send
        contract/clock.py <module>
        contract/clock.py now_us
        contract/clock.py to_us
        contract/ids.py uuid7
        contract/runs.py Timing.poll
        emr/costs/month.py <module>
        emr/costs/rates.py compute_hours
        emr/costs/stages.py <module>
        emr/costs/stages.py _compute_node_hours
        emr/costs/stages.py _estimate_cluster
        emr/costs/starts.py count_starts
        emr/rehearsal/ceiling.py _plan_stage
        emr/rehearsal/ceiling.py compute_ceiling
        emr/rehearsal/ceiling.py price_disks
        emr/rehearsal/compare.py _measure_hours
        emr/rehearsal/rehearse.py Rehearsing._price_second
        emr/serverless/job.py _make_application
        inference/auth.py limit_rate
        inference/auth.py sign_session
        inference/auth.py open_session
        inference/clock_skew.py ClockSkew.check
        inference/outbox/shipper.py Shipper._is_due
        inference/outbox/shipper.py Shipper._work
        inference/outbox/tables.py Depth.measure_age
        inference/pictures/day_table.py _keep_of_day
        inference/service.py Service.start
        jobs/engines/arrays.py whole_days
        jobs/engines/embedded/read.py convert
        jobs/engines/embedded/sql.py _day_bounds
        jobs/engines/mapreduce/splits.py _microseconds
        jobs/engines/rules.py _count_prediction
        jobs/engines/rules.py is_misfiled
        jobs/engines/rules.py slice_value
        jobs/engines/distinct.py _may_lie_in
        jobs/engines/spark/slices.py slice_values
        jobs/engines/spark/tasks.py _microseconds
        jobs/evaluate_mapreduce.py day_number
        training/tuning/summary.py write_summary
        """,
    "bytes, in units or for each part": """
        emr/memory.py _find_gib
        emr/costs/stored.py measure_month_gb
        emr/costs/recount.py _price
        emr/costs/stored.py price_logs
        emr/costs/stored.py price_requests
        emr/costs/stored.py price_storage
        emr/package.py publish_package
        inference/body_limits.py BodyLimits._compute_timeout
        inference/pages/models.py _describe_card
        jobs/datasets/plan.py _assign_files
        jobs/engines/mapreduce/splits.py _split_file
        jobs/engines/mapreduce/splits.py write
        jvm/session.py _local_settings
        pipeline/checks/machine.py check_disk
        pipeline/running/emr.py _is_little
        tools/preflight.py less_what_is_held
        tools/preflight.py main
        tools/preflight.py problems
        tools/trim_torch.py main
        training/assess_text.py _row
        training/feed/cache.py PictureCache.__init__
        """,
    "progress and rates of a running command": """
        command/progress.py Progress.line
        emr/costs/month.py count_turns
        inference/pages/overview.py Rate.measure
        emr/estimate.py _compute_share
        training/fit/progress.py TrainingProgress.step
        """,
    "work shared among tasks, cores, ranks or steps": """
        emr/costs/stages.py _estimate_serverless
        inference/cores.py Cores.set_share
        inference/model/openvino_network.py OpenvinoNetwork._compile
        inference/model/predictor.py Predictor.warm_up
        inference/shadow/shadow.py Shadow._start
        jobs/datasets/images.py look_at
        jobs/datasets/petastorm_writer.py _write_file
        jobs/datasets/tasks.py LocalTasks.parallelize
        jobs/engines/spark/tasks.py count_days
        jobs/pictures/look.py measure_on_spark
        training/feed/mixing.py Mixer.draw
        training/feed/world.py World._count_groups
        training/feed/world.py World._groups
        training/feed/world.py World.step
        training/feed/world.py World.steps
        training/train.py plan_job
        training/tuning/on_spark.py fit_to_tasks
        """,
    "pixels, of pictures and of charts": """
        contract/measured/embedded.py <module>
        contract/measured/measures.py _octaves
        contract/measured/measures.py _steps
        inference/model/embedding.py Embedder._embed_batch
        inference/model/grey16.py to_eight_bits
        inference/model/perceptual_hash.py <module>
        inference/model/picture_measures.py measure_picture
        inference/model/picture_measures.py measure_sharpness
        inference/model/picture_measures.py shrink
        inference/model/preprocess.py _resize
        jobs/datasets/near_duplicates.py _parts
        jobs/datasets/petastorm_writer.py shrink
        inference/overview/chart.py _list_grid
        inference/overview/chart.py draw
        inference/overview/chart.py draw.x
        inference/overview/chart.py draw.y
        jobs/pictures/look.py _measure_size
        jobs/reports/charts.py _grid
        training/feed/augment.py _light
        training/feed/augment.py _move
        jobs/reports/charts.py _line
        jobs/reports/charts.py draw_reliability
        jobs/reports/charts.py draw_sparks
        jobs/reports/charts.py draw_trend
        jobs/reports/charts.py draw_trend.x
        jobs/reports/charts.py draw_trend.y
        jobs/reports/picture_drift.py _draw
        jobs/reports/picture_drift.py _scale.y
        jobs/reports/tuning.py _scale.place
        training/feed/augment.py apply
        training/feed/mixing.py mix_pictures
        training/feed/policies.py apply_operation
        training/feed/policies.py list_rand
        training/look.py _advise
        training/look.py fold_transform_input
        """,
    "the order of the confusion's rows, which is not shown as a number": """
        jobs/reports/heatmap.py cluster
        jobs/reports/heatmap.py _mean_distance
        """,
    "a hash as a number in [0, 1)": """
        contract/samples.py uniform
        jobs/datasets/plan.py split_of
        training/feed/augment.py draw_uniforms
        """,
    "probabilities with which items are asked, before there is an answer": """
        contract/samples.py _evenly
        contract/samples.py draw
        contract/samples.py spread
        contract/samples.py uncertain_first
        """,
    "the doubles k/20 and floor(2^16 / p) of the rules of counting: keys and scales of counts": """
        contract/confidence.py <module>
        jobs/engines/embedded/cells.py <module>
        jobs/engines/embedded/cells.py _weigh
        jobs/engines/rules.py confidence_bin
        jobs/engines/rules.py weight_of
        jobs/engines/spark/cells.py <module>
        jobs/engines/spark/cells.py weights_of
        """,
    "how pictures lie in a space, and how alike they are, which is shown nowhere": """
        jobs/picking/choose.py _Cover._compare
        jobs/picking/choose.py _centre
        """,
    "packed keys, taken apart": """
        jobs/engines/arrays.py uuid_words
        jobs/engines/spark/cells.py count_coincidences
        """,
    "gradients, learning rates, weights, temperatures and the loss of training, which rest on no log": """
        inference/model/scaling.py make_scaling
        training/calibrate.py calibrate
        training/calibrate.py calibrate_trained
        training/fit/grow_head.py _grow_rows
        training/fit/loop.py Loop._apply
        training/fit/loop.py Loop._end_epoch
        training/fit/loop.py Loop._update
        training/fit/loop.py Loop._validate
        training/fit/losses.py weigh_classes
        training/fit/scaling.py _wanted
        training/fit/scaling.py fit_temperature
        training/fit/scaling.py fit_temperature.slope
        training/fit/scaling.py fit_vector
        training/fit/scaling.py fit_vector.loss
        training/fit/scaling.py measure_loss
        training/fit/state.py State.unfreeze
        training/fit/state.py State.take_buffers
        training/fit/state.py State.update
        training/fit/state.py lr_at
        """,
    "values of a setting, at even places of its range": """
        training/tuning/space.py _list_points
        """,
    "probabilities of one picture, scaled to sum to 1": """
        jobs/suspects/probabilities.py spread
        """,
    "nothing: its own `mean` asks metrics.figure.ratio": """
        jobs/reports/view.py _average
        """,
    "the truth of the demonstration's own traffic, which no log has": """
        pipeline/demo/run.py make_rows
        """,
}
BELONGS = ("divides outside metrics/. Where it divides counts, or makes an interval or a test of them, it belongs to metrics/ "
           "(a plain share: metrics.figure.ratio), so that two places cannot disagree; where it divides something else, "
           "name it in ELSEWHERE of tests/metrics/test_only_metrics_divides.py under what that is")

PATH_NAMES = ("path", "folder", "dir", "root", "here", "home", "parent", "source", "venv", "jars", "aside", "prefix")
PATH_CALLS = ("Path", "resolve", "relative_to", "with_suffix", "expanduser")
DIVIDING = ("divide", "true_divide", "floor_divide", "divmod", "mean", "nanmean", "fmean", "average")


def is_path(node):
    """Whether an operand of `/` looks like a path: a text, a name such as `folder`, Path(…), or a path joined before."""
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Name | ast.Attribute):
        return last_name(node).lower().endswith(PATH_NAMES)
    if isinstance(node, ast.Call):
        return last_name(node.func) in PATH_CALLS
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and (is_path(node.left) or is_path(node.right))


def last_name(node):
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def divides(node):
    if isinstance(node, ast.Call):
        return last_name(node.func) in DIVIDING
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Div | ast.FloorDiv) and not is_path(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return not (is_path(node.left) or is_path(node.right))
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv)


def divisions(tree, within=""):
    """(qualified name of the function, line) of every division; "<module>" outside functions and classes."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        inner = f"{within}.{node.name}".lstrip(".") if named else within
        if divides(node):
            yield within or "<module>", node.lineno
        yield from divisions(node, inner)


def sources():
    return sorted(path.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def listed():
    return [line.strip() for lines in ELSEWHERE.values() for line in lines.strip().splitlines()]


def test_no_division_but_in_metrics_and_where_the_list_says_what_it_divides():
    files, known = sources(), set(listed())
    assert len(files) >= AT_LEAST
    found = {(f"{file} {function}", f"{file}:{line}") for file in files
             for function, line in divisions(ast.parse((ROOT / file).read_text()))}
    new = sorted({f"{at} ({entry.split()[1]})" for entry, at in found if entry not in known})
    assert not new, f"{', '.join(new)}: {BELONGS}."
    gone = sorted(known - {entry for entry, _ in found})
    assert not gone, f"{', '.join(gone)}: no longer divides, or has another name. Take it out of ELSEWHERE, or rename it."


def test_the_list_names_each_function_once():
    assert [entry for entry, n in Counter(listed()).items() if n > 1] == []


@pytest.mark.parametrize(("code", "found"), [
    ("x = right / n", 1), ("x = right // n", 1), ("x /= n", 1), ("x = np.divide(right, n)", 1), ("x = right.mean()", 1),
    ("x = divmod(right, n)", 1), ("x = (a / b) / c", 2), ("x = 'a/b'", 0),
    ("x = folder / 'a' / f'{n}.json'", 0), ("x = self.root / key", 0), ("x = Path(a) / b", 0), ("x = base / 'a' / b / c", 0),
])
def test_paths_are_told_from_numbers(code, found):
    assert len(list(divisions(ast.parse(code)))) == found


def test_a_division_is_named_by_its_function():
    code = "class A:\n    def share(self):\n        def one(x):\n            return x / self.n\n        return one(1) / 2\n"
    assert sorted(divisions(ast.parse(code))) == [("A.share", 5), ("A.share.one", 4)]
