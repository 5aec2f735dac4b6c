"""What is said of quality at equal time is what the rows say."""

from benchmarks.speed import equal_time_summary as summary


def of_cell(time_ours, error_ours, run="now"):
    files = {"original": 4.0, "theirs": 2.0}
    times, errors = dict(files), {"original": 0.1, "theirs": 0.2}
    if time_ours is not None:
        times["ours"], errors["ours"] = time_ours, error_ours
    return {"run": run, "microseconds": {"1": times, "32": times}, "test": errors}


def test_a_file_that_takes_longer_or_a_refused_limit_is_no_win_and_stands_first():
    cells = [of_cell(2.05, 0.1), of_cell(2.1, 0.1), of_cell(1.5, 0.3), of_cell(None, None)]
    assert [summary.verdict(row) for row in cells] == ["won", "slower", "lost", "refused"]
    worst = sorted(cells, key=summary.badness, reverse=True)
    assert [summary.verdict(row) for row in worst] == ["refused", "slower", "lost", "won"]


def test_the_mean_of_errors_is_of_cells_of_equal_time_alone():
    cells = [of_cell(2.0, 0.1), of_cell(2.0, 0.4), of_cell(3.0, 0.001), of_cell(2.0, 0.2, "next")]
    first, second = summary.in_words(cells).split("; next")
    assert "won 1, lost 1, slower 1" in first
    assert "errors 1.00 times" in first
    assert second.startswith(": 1 cells, won 1")
