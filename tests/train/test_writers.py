"""The metrics file over restarts."""

from jmpose_jax.train.writers import MetricsWriter, read_metrics


def test_a_restarted_run_writes_every_step_once(tmp_path):
    writer = MetricsWriter(tmp_path)
    for step in (10, 20, 30):
        writer.write(step, {"loss/total": step})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "loss')  # killed in the middle of a line

    writer = MetricsWriter(tmp_path, first_step=20)
    writer.write(30, {"loss/total": 0.5})
    writer.close()
    assert [(m["step"], m["loss/total"]) for m in read_metrics(tmp_path)] == [(10, 10.0), (20, 20.0), (30, 0.5)]
    assert list((tmp_path / "tensorboard").iterdir())


def test_no_file_is_no_metrics(tmp_path):
    assert read_metrics(tmp_path) == []
