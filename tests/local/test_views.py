"""Objects as tables, and as their metadata."""

from __future__ import annotations

from typing import Any

import pytest

from pyjob_magic.local.apiserver.views import View
from pyjob_magic.local.objects import seconds
from pyjob_magic.local.resources import CONFIG_MAPS, JOBS
from pyjob_magic.local.status import StatusError, failure
from tests.data import read

RECORDED = read("list-as-table.json")
JOB_LIST, ONE_JOB = RECORDED["list"], RECORDED["list"]["items"][0]
NOW = seconds(ONE_JOB["metadata"]["creationTimestamp"])


def view(kind: str, **params: str) -> View:
    return View.asked_for(f"application/json;as={kind};v=v1;g=meta.k8s.io", params)


def undescribed(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table without the sentences about its columns, which are our own."""
    definitions = [dict(column) for column in table["columnDefinitions"]]
    assert all(column.pop("description") for column in definitions)
    return {**table, "columnDefinitions": definitions}


def test_a_table_is_the_one_that_a_real_server_sent() -> None:
    """With the same columns, cells and metadata."""
    assert undescribed(view("Table").of(JOBS, JOB_LIST, NOW)) == RECORDED["table"]


def test_one_object_is_a_table_of_one_row() -> None:
    """The table has the version of the object."""
    table = view("Table").of(JOBS, ONE_JOB, NOW + 60)
    assert [row["cells"] for row in table["rows"]] == [["mnist-qvnjb", None, "60s"]]
    assert table["metadata"] == {"resourceVersion": "278"}


def test_a_page_says_that_there_is_more() -> None:
    """The token and the number of what is left are part of the table."""
    rest = {"continue": "abc", "remainingItemCount": 3}
    page = {**JOB_LIST, "metadata": {**JOB_LIST["metadata"], **rest}}
    assert view("Table").of(JOBS, page, NOW)["metadata"] == {"resourceVersion": "282", **rest}


def test_rows_with_whole_objects() -> None:
    """Also where a list leaves out the kind of its items."""
    bare = {"metadata": {"name": "c", "resourceVersion": "1"}, "data": {"a": "b"}}
    body = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "9"}, "items": [bare]}
    table = view("Table", includeObject="Object").of(CONFIG_MAPS, body, NOW)
    assert table["rows"][0]["object"] == {"kind": "ConfigMap", "apiVersion": "v1", **bare}


def test_rows_without_objects() -> None:
    """Cells are all there is."""
    table = view("Table", includeObject="None").of(JOBS, ONE_JOB, NOW)
    assert list(table["rows"][0]) == ["cells"]


def test_rows_with_parts_that_do_not_exist() -> None:
    """400, before anything else."""
    with pytest.raises(StatusError, match='unrecognized includeObject value: "Half"'):
        view("Table", includeObject="Half")


def test_the_metadata_of_an_object() -> None:
    """And nothing of the rest."""
    assert view("PartialObjectMetadata").of(JOBS, ONE_JOB, NOW) == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": ONE_JOB["metadata"],
    }


def test_the_metadata_of_a_list() -> None:
    """One entry for each object."""
    found = view("PartialObjectMetadataList").of(JOBS, JOB_LIST, NOW)
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["metadata"] == {"resourceVersion": "282"}
    assert [item["metadata"] for item in found["items"]] == [
        job["metadata"] for job in JOB_LIST["items"]
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("PartialObjectMetadata", JOB_LIST), ("PartialObjectMetadataList", ONE_JOB)],
)
def test_a_list_is_no_object_and_an_object_no_list(kind: str, body: dict[str, Any]) -> None:
    """406 says what it is."""
    with pytest.raises(StatusError, match=f"you requested {kind}, but the answer is a PyTorchJob"):
        view(kind).of(JOBS, body, NOW)


def test_a_status_stays_one() -> None:
    """Nobody wants a failure as a table."""
    status = failure(404, "NotFound", "it is not there")
    assert view("Table").of(JOBS, status, NOW) is status


def test_objects_as_they_are() -> None:
    """Who asks for nothing particular gets the very object."""
    plain = View.asked_for("application/json", {"includeObject": "Half"})
    assert plain.of(JOBS, ONE_JOB, NOW) is ONE_JOB
    assert plain.events(JOBS) is None


def test_a_watch_names_the_columns_once() -> None:
    """Each watch does, in its first event."""
    for _ in range(2):
        shape = view("Table").events(JOBS)
        assert shape is not None
        first, second = shape(ONE_JOB, NOW), shape(ONE_JOB, NOW)
        assert len(first["columnDefinitions"]) == 3
        assert second["columnDefinitions"] is None
        assert first["rows"] == second["rows"] != []


def test_a_bookmark_is_a_table_without_rows() -> None:
    """It is about no object, and tells a version."""
    shape = view("Table").events(JOBS)
    assert shape is not None
    bookmark = {"kind": "PyTorchJob", "metadata": {"resourceVersion": "7"}}
    table = shape(bookmark, NOW)
    assert (table["metadata"], table["rows"]) == ({"resourceVersion": "7"}, [])


def test_a_watch_of_metadata() -> None:
    """Each event carries the metadata of one object."""
    shape = view("PartialObjectMetadata").events(JOBS)
    assert shape is not None
    assert shape(ONE_JOB, NOW)["kind"] == "PartialObjectMetadata"


def test_a_watch_has_no_lists() -> None:
    """406 instead of something else than was asked for."""
    with pytest.raises(StatusError, match="a watch sends single objects"):
        view("PartialObjectMetadataList").events(JOBS)
