"""The one error of this package: what was found, what was expected, and how to fix it."""


class TrajectoryError(ValueError):
    """Says why some input cannot be a trajectory, a dataset or a skeleton.

    Attributes:
        code: Stable slug, for example ``frame-rate`` or ``ragged``.
        found: What the input holds, with the place where that is known.
        expected: What it must hold.
        fix: One sentence telling the reader what to do.
    """

    def __init__(self, code: str, *, found: str, expected: str, fix: str) -> None:
        self.code = code
        self.found = found
        self.expected = expected
        self.fix = fix
        super().__init__(f"{code}: found {found}; expected {expected}. {fix}")

    def __reduce__(self) -> tuple[object, ...]:
        """Give what rebuilds the error in another process."""
        return _rebuild, (self.code, self.found, self.expected, self.fix)


def _rebuild(code: str, found: str, expected: str, fix: str) -> TrajectoryError:
    return TrajectoryError(code, found=found, expected=expected, fix=fix)
