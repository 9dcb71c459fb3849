"""Networks of this project are made without start values, which come from files: a test that forgets to give them some
reads whatever the memory held, which is mostly zeros and sometimes not a number. Here it is never a number."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def memory_that_nothing_wrote_is_not_a_number() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
