"""How many cases, and which. In CI some with a fixed seed; `--cases 400 --seed 7 tests/fuzz` for a long run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fuzz")
    group.addoption(
        "--cases", type=int, default=None, help="how many cases of each fuzz test (default: the test's own)"
    )
    group.addoption("--seed", type=int, default=0, help="another seed makes other cases (default: 0)")


@pytest.fixture
def fuzz_seed(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--seed", default=0)


@pytest.fixture
def fuzz_cases(request: pytest.FixtureRequest) -> int | None:
    return request.config.getoption("--cases", default=None)
