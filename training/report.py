"""Tables for people: what was written, what was measured."""

from pathlib import Path

from rich.table import Table

from trajectories.dataset import Dataset


def describe(dataset: Dataset, folder: Path) -> Table:
    """Give a table of the splits of a dataset that was stored in ``folder``."""
    table = Table(title=f"{dataset.name} in {folder}", title_justify="left")
    for column in ("split", "sequences", "frames", "entities", "features", "labels"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for key, split in dataset.splits.items():
        lengths = sorted(set(split.lengths))
        table.add_row(
            key,
            str(len(split)),
            "–".join(str(length) for length in lengths[:: max(len(lengths) - 1, 1)]),
            str(len(dataset.entities)),
            " ".join(dataset.features),
            "yes" if split.relations is not None else "no",
        )
    table.caption = f"sha256 {dataset.fingerprint[:16]}…"
    return table
