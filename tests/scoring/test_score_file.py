import json

import pytest

from auricle.errors import ScoringError, UnknownNameError
from auricle.metrics.result import MetricOptions
from auricle.scoring.score_file import read_answers, score_file

_REST = '"prediction": "a", "references": ["a"]}'


@pytest.fixture
def write(tmp_path):
    def make(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def test_a_predictions_csv_of_xares_llm_is_scored(write):
    path = write("predictions_esc50.csv", 'predict,labels\ndog,dog\n"a, b",cow\ncat,Cat!\n')
    report = score_file(path, "accuracy")
    assert report["raw"] == pytest.approx(2 / 3)
    assert report["per_clip"] == [1.0, 0.0, 1.0]
    assert (report["metric"], report["reason"]) == ("accuracy", None)
    json.dumps(report, allow_nan=False)


def test_an_index_column_and_a_byte_order_mark_are_no_hindrance(write):
    path = write("p.csv", b"\xef\xbb\xbf,predict,labels\r\n0,dog,dog\r\n1,,cat\r\n")
    assert [c.prediction for c in read_answers(path).clips] == ["dog", ""]


def test_tsv_is_read(write):
    clips = read_answers(write("p.tsv", "predict\tlabels\na, b\tc\n")).clips
    assert (clips[0].prediction, clips[0].references) == ("a, b", ("c",))


def test_rows_of_one_id_are_the_references_of_one_clip(write):
    clips = read_answers(write("p.csv", "id,predict,labels\nx,a,b\ny,d,e\nx,a,c\n")).clips
    assert [(c.id, c.references) for c in clips] == [("x", ("b", "c")), ("y", ("e",))]


def test_json_lines_are_read(write):
    lines = [
        {"id": "x", "prediction": "a", "references": ["b", "a"]},
        {"id": "y", "prediction": "c", "references": "c"},
    ]
    path = write("p.jsonl", "\n".join(json.dumps(line) for line in lines) + "\n\n")
    report = score_file(path, "rouge-l")
    assert report["score"] == 1.0
    assert (report["num_clips"], report["num_samples"]) == (2, 3)


def test_a_json_list_is_read(write):
    path = write("p.json", json.dumps([{"prediction": "a", "references": ["a"]}] * 2))
    assert [c.id for c in read_answers(path).clips] == ["0", "1"]


def test_clips_without_an_id_are_told_apart_all_the_same(write):
    line = {"id": None, "prediction": "a", "references": ["a"]}
    path = write("p.jsonl", f"{json.dumps(line)}\n" * 3)
    assert [c.id for c in read_answers(path).clips] == ["0", "1", "2"]


def test_a_number_and_the_same_text_are_two_ids(write):
    lines = [{"id": name, "prediction": "a", "references": ["a"]} for name in (1, "1")]
    assert len(read_answers(write("p.json", json.dumps(lines))).clips) == 2


def test_a_format_is_known_by_its_content(write):
    assert len(read_answers(write("p.txt", "predict\tlabels\na\tb\n")).clips) == 1
    assert len(read_answers(write("p", '{"prediction": "a", "references": ["b"]}')).clips) == 1


def test_fields_of_any_length_are_read(write):
    text = "x" * 300_000
    assert read_answers(write("p.csv", f"predict,labels\n{text},y\n")).clips[0].prediction == text


def test_a_file_without_rows_has_a_reason(write):
    for name, content in (("p.csv", "predict,labels\n"), ("p.jsonl", "")):
        report = score_file(write(name, content), "accuracy")
        assert report["score"] is None
        assert "no samples" in report["reason"]


def test_a_metric_that_lacks_an_argument_gives_a_reason(write):
    report = score_file(write("p.csv", "predict,labels\na,b\n"), "MAP")
    assert (report["score"], report["raw"], report["per_clip"]) == (None, None, None)
    assert "--num-classes" in report["reason"]


def test_map_takes_its_options(write):
    path = write("p.csv", "predict,labels\na|b,a|b\n")
    report = score_file(path, "mAP", options=MetricOptions(num_classes=2, separator="|"))
    assert report["raw"] == 1.0
    assert report["per_clip"] is None


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("p.csv", "a,b\n1,2\n", r"has the columns: a, b\. Expected a header with 'predict'"),
        ("p.csv", "", "is empty. Expected a header"),
        ("p.csv", "predict,labels\na,b,c\n", "row 2 has 3 fields, the header 2"),
        ("p.csv", "id,predict,labels\nx,a,b\nx,c,d\n", "row 3: clip 'x' has two different answers"),
        ("p.csv", 'predict,labels\n"a"b,c\n', "line 2: no valid CSV"),
        ("p.csv", b"predict,labels\n\xff\xfe,a\n", r"is not UTF-8 text \(byte 15\)"),
        ("p.jsonl", "{oops}\n", "line 1 is no JSON"),
        ("p.jsonl", '{"prediction": "a"}\n', "line 1 holds prediction. Expected an object with"),
        ("p.jsonl", "[1]\n", "item 1 holds int"),
        ("p.jsonl", '{"prediction": 3, "references": ["a"]}\n', "'prediction' must be a text"),
        ("p.jsonl", '{"prediction": "a", "references": [3]}\n', "a list of texts"),
        ("p.jsonl", '{"id": 1, "prediction": "a", "references": ["a"]}\n' * 2, "'1' stands there"),
        ("p.csv", "id,predict,labels\nx,a,b\n,a,b\n,a,b\n", "row 3 has no id"),
        ("p.jsonl", f'{{"id": "1", {_REST}\n{{{_REST}\n', "line 2 has no id, unlike those before"),
        ("p.jsonl", f'{{{_REST}\n{{"id": "0", {_REST}\n', "line 2 has an id, unlike those before"),
        ("p.jsonl", f'{{"id": [1], {_REST}\n', "'id' must be a text or a number"),
        ("p.jsonl", '{"prediction": "a", "references": []}\n', "Clip 0 has no reference"),
        ("p.json", "[1, ", "is no JSON"),
        ("p.json", "[" * 100_000, "is no JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(write, name, content, text):
    with pytest.raises(ScoringError, match=text):
        score_file(write(name, content), "accuracy")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScoringError, match="There is no file"):
        read_answers(tmp_path / "nowhere.csv")


def test_an_unknown_metric(write):
    with pytest.raises(UnknownNameError, match="no metric named 'bleu'"):
        score_file(write("p.csv", "predict,labels\na,b\n"), "bleu")


def test_rows_without_any_value_are_counted_and_are_no_clips(write):
    """The empty rows that spreadsheets leave would be right answers: empty for empty."""
    answers = read_answers(write("p.csv", "predict,labels\ncat,dog\n,\n  ,\t\n\n"))
    assert ([c.prediction for c in answers.clips], answers.empty_rows) == (["cat"], 2)
    report = score_file(write("p.csv", "predict,labels\ncat,dog\n,\n,\n,\n"), "accuracy")
    assert (report["score"], report["num_clips"], report["empty_rows"]) == (0, 1, 3)
    # an answer that was left empty is a wrong one
    kept = read_answers(write("p.csv", "id,predict,labels\nx,,dog\n"))
    assert (len(kept.clips), kept.empty_rows) == (1, 0)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("predict,prediction,labels", "2 columns for the answer: 'predict' and 'prediction'"),
        ("predict,labels,label", "2 columns for the label: 'labels' and 'label'"),
        ("predict,labels,Labels", "2 columns for the label: 'labels' and 'labels'"),
        ("id,predict,labels,ID", "2 columns for the clip's id: 'id' and 'id'"),
    ],
)
def test_two_columns_of_one_meaning_are_refused(write, header, says):
    row = ",".join("a" for _ in header.split(","))
    with pytest.raises(ScoringError, match=says):
        read_answers(write("p.csv", f"{header}\n{row}\n"))


def test_a_file_of_some_of_a_tasks_clips_is_no_score_of_the_task(write):
    path = write("p.csv", "predict,labels\ndog,dog\ncat,cat\n")
    assert score_file(path, "accuracy")["failure"] is None
    assert score_file(path, "accuracy", expected=2)["failure"] is None
    report = score_file(path, "accuracy", expected=400)
    assert report["failure"] == "2 clips were answered; the task has 400"
    assert (report["score"], report["clips_expected"]) == (1.0, 400)
