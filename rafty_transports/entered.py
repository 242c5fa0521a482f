"""What is entered once, by `async with`, and runs while inside.

Law: *a thing that has run is not run again: whoever wants another run builds another one.*
"""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self


class EnteredOnce:
    """An asynchronous context manager around `_run`, which yields once."""

    _context: AbstractAsyncContextManager[Self] | None = None

    def _run(self) -> AbstractAsyncContextManager[Self]:
        """What happens from the beginning of the block to its end."""
        raise TypeError(f"{type(self).__name__} does not say what runs inside its block")

    async def __aenter__(self) -> Self:
        if self._context is not None:
            raise RuntimeError(f"a {type(self).__name__} is entered once; build another one")
        self._context = self._run()
        return await self._context.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._context is None:
            raise RuntimeError(f"this {type(self).__name__} was never entered")
        return await self._context.__aexit__(kind, error, traceback)
