"""Labels of files that headless runs wrote: shown, and taken away by a person who says why."""

import base64
import io
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from defender.quarantine.places import places
from defender.quarantine.store import entries
from defender.taint.files import KIND
from runtime.app import defender
from runtime.app.labelfile import LabelFile
from runtime.app.vouching import found
from runtime.errors import InputError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabelFile:
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return LabelFile(tmp_path / ".local/state/twinstep/defender/labels.jsonl")


def put(file: LabelFile, key: str, **said: Any) -> None:
    file.put(
        KIND, sha256(key.encode()).hexdigest(), json.dumps({"labels": ["untrusted/web:a.example"], **said}).encode()
    )


def said(*argv: str) -> str:
    out = io.StringIO()
    assert defender.run([*argv], out) == 0
    return out.getvalue()


def test_without_labels_there_is_one_sentence_and_nothing_is_made(file: LabelFile, tmp_path: Path) -> None:
    assert said("labels").startswith("no file is labelled in ")
    with pytest.raises(InputError, match="no file is labelled there"):
        defender.run(["trust", ".", "--why", "x"], io.StringIO())
    assert [one.name for one in tmp_path.iterdir()] == ["work"]


def test_labels_of_a_folder_are_shown_and_taken_away_and_others_stay(file: LabelFile, tmp_path: Path) -> None:
    work = tmp_path / "work"
    put(file, "a", path=f"{work}/a\x1b.py", hash="")
    put(file, "s", folder=str(work), begin=1, end=2)
    put(file, "b", path=f"{work}s/b.py", hash="")
    told = said("labels")
    assert told.count("untrusted/web:a.example") == 2
    assert "(what changed while a command ran)" in told
    assert "\x1b" not in told
    assert [one["command"] for one in json.loads(said("labels", "--json"))["labels"]] == [True, False]
    assert said("trust", ".", "--why", "read", "--who", "ann").startswith("2 labels taken away")
    assert said("labels").startswith("no file")
    assert [one.path for one in found(file, str(tmp_path))] == [f"{work}s/b.py"]
    (record,) = entries(places({"HOME": str(tmp_path)}), "labels.trusted")
    assert (record.body["by"], record.body["why"], record.body["count"]) == ("ann", "read", 2)


def test_without_a_reason_nothing_is_taken_away(file: LabelFile, tmp_path: Path) -> None:
    put(file, "a", path=str(tmp_path / "work/a.py"), hash="")
    with pytest.raises(InputError, match="--why TEXT"):
        defender.run(["trust"], io.StringIO())
    assert len(found(file, str(tmp_path))) == 1
    assert base64.b64decode(json.loads(file.path.read_text().split("\n")[1])["body"])
