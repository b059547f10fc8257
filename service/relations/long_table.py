"""The long table: one row per pair and frame, for spreadsheets and data frames."""

import io
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pyarrow
from pyarrow import csv, parquet

from service.relations import selection
from service.relations.tables import RelationTable
from service.schemas.requests import InferRelationsRequest

CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"

arrow: Any = pyarrow  # it ships no complete types
write_csv: Any = cast("Any", csv).write_csv
write_parquet: Any = cast("Any", parquet).write_table


def encode_relations(
    request: InferRelationsRequest, tables: Sequence[RelationTable], media_type: str
) -> bytes:
    """Give the selected tables as CSV or Parquet bytes, one under the other.

    Columns: sequence, frame, time, source, target, type, p, entropy, p_0…p_{K−1}, estimator. Time
    is the frame over the frame rate, in seconds; entropy is in nats; absent pairs have no row.
    """
    rows = [
        _columns(index, selection.apply(table, request.select), trajectory.frame_rate)
        for index, (table, trajectory) in enumerate(zip(tables, request.each(), strict=True))
    ]
    joined = arrow.concat_tables([arrow.table(columns) for columns in rows])
    sink = io.BytesIO()
    if media_type == PARQUET:
        write_parquet(joined, sink)
    else:
        write_csv(joined, sink)
    return sink.getvalue()


def _columns(sequence: int, table: RelationTable, frame_rate: float) -> dict[str, Any]:
    present = ~np.isnan(table.probabilities[:, :, 0])
    frame, pair = np.nonzero(present)
    probabilities = table.probabilities[frame, pair]
    best = probabilities.argmax(axis=1)
    frames = np.asarray(table.frames, dtype=np.int64)[frame]
    safe = np.maximum(probabilities, np.finfo(np.float32).tiny)
    return {
        "sequence": np.full(len(frame), sequence, np.int64),
        "frame": frames,
        "time": frames / frame_rate,
        "source": arrow.array(np.array(table.sources, dtype=object)[pair], arrow.string()),
        "target": arrow.array(np.array(table.targets, dtype=object)[pair], arrow.string()),
        "type": arrow.array(np.array(table.relation_types, dtype=object)[best], arrow.string()),
        "p": np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0],
        "entropy": -(probabilities * np.log(safe)).sum(axis=1),
        **{f"p_{kind}": probabilities[:, kind] for kind in range(probabilities.shape[1])},
        "estimator": arrow.array([table.estimator] * len(frame), arrow.string()),
    }
