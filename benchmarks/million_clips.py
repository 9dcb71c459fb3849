"""How long a million clips a day wait, simulated: `python benchmarks/million_clips.py`.

Clips are asked for at random over a day, and made by GPUs that pull from one queue, or that were given theirs in
advance, round robin. Nothing is measured: the seconds that clips take are assumed, and can be told with --mix. Needs
Python alone; about 10 seconds.
"""

from __future__ import annotations

import argparse
import heapq
import random
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.hosting.documents import with_part

DOCUMENTS = {name: Path(__file__).resolve().parents[1] / "docs" / name for name in ("batches.md", "batches.zh.md")}
DAY, HOUR = 86_400, 3_600
CLIPS, GPUS, SEED = 1_000_000, 200, 0
MIX = ((0.80, 3.0), (0.16, 26.0), (0.04, 150.0))
"""Shares of the clips, and the seconds of GPU time that one takes: clips, larger or longer ones, films."""
SLOWER = 3.0
LIFE, RETURN = 2 * HOUR, 90.0
"""Seconds, on average, until a host dies, and until it is there again with its model."""
HEAD = {
    False: ("", "GPUs at work", "p50", "p95"),
    True: ("", "GPU 利用率", "一半在此时间内完成", "95% 在此时间内完成"),
}
"""Of the table, in English and in Chinese."""


@dataclass(frozen=True)
class Case:
    """`slowness` of each GPU, 1 for the fast ones. mortal: its host dies now and then, and makes its clip anew."""

    english: str
    chinese: str
    slowness: tuple[float, ...]
    pulling: bool = True
    mortal: bool = False


@dataclass(frozen=True)
class Found:
    """Of a day: share of it that a GPU is at work; seconds until half and 95 % of the clips are there; all hours."""

    used: float
    half: float
    most: float
    hours: float


def cases(gpus: int) -> list[Case]:
    alike, mixed = (1.0,) * gpus, (1.0, SLOWER) * gpus
    both, half = f"{2 * gpus} GPUs, half of them {SLOWER:g} times slower", f"{2 * gpus} 个 GPU，一半慢 {SLOWER:g} 倍"
    deaths = f"each host dies every {LIFE / HOUR:g} h and is back after {RETURN:g} s"
    return [
        Case(f"{gpus} GPUs, pulling from one queue", f"{gpus} 个 GPU，从同一队列取任务", alike),
        Case(f"{gpus} GPUs, given out in advance", f"{gpus} 个 GPU，预先分配", alike, pulling=False),
        Case(f"{both}, pulling", f"{half}，按需取任务", mixed),
        Case(f"{both}, in advance", f"{half}，预先分配", mixed, pulling=False),
        Case(
            f"{gpus} GPUs, pulling; {deaths}",
            f"{gpus} 个 GPU，按需取任务；每个进程每 {LIFE / HOUR:g} 小时中断一次，{RETURN:g} 秒后恢复",
            alike,
            mortal=True,
        ),
    ]


def asked_for(clips: int, mix: Sequence[tuple[float, float]], source: random.Random) -> tuple[array, array]:
    """When each clip is asked for, in seconds of the day and in order, and the seconds a fast GPU takes for it."""
    times = array("d", sorted(source.uniform(0, DAY) for _ in range(clips)))
    bounds = list(accumulate(share for share, _ in mix))
    seconds = source.choices([seconds for _, seconds in mix], cum_weights=bounds, k=clips)
    return times, array("d", seconds)


def lives(source: random.Random) -> Iterator[float]:
    """Seconds that a host lives, again and again."""
    while True:
        yield source.expovariate(1 / LIFE)


def simulate(times: Sequence[float], seconds: Sequence[float], case: Case, source: random.Random) -> Found:
    """Clips begin in the order they were asked for. Of GPUs that wait, that which has waited longest takes the next."""
    count = len(case.slowness)
    host_lives = [lives(source) for _ in range(count)]
    dies = [next(life) if case.mortal else float("inf") for life in host_lives]
    free = [0.0] * count
    queue = [(0.0, gpu) for gpu in range(count)]
    waits, in_the_day, at_work = array("d"), 0.0, 0.0
    for number, (asked, fast) in enumerate(zip(times, seconds, strict=True)):
        if case.pulling:
            since, gpu = heapq.heappop(queue)
            while dies[gpu] <= max(since, asked):  # while it waited
                back = dies[gpu] + RETURN
                dies[gpu] = back + next(host_lives[gpu])
                since, gpu = heapq.heappushpop(queue, (max(since, back), gpu))
        else:
            gpu = number % count
            since = free[gpu]
        begins, takes = max(since, asked), fast * case.slowness[gpu]
        while begins + takes > dies[gpu]:  # with the clip half made
            at_work += dies[gpu] - begins
            begins = dies[gpu] + RETURN
            dies[gpu] = begins + next(host_lives[gpu])
        ends = begins + takes
        at_work += takes
        in_the_day += min(ends, DAY) - min(begins, DAY)
        waits.append(ends - asked)
        if case.pulling:
            heapq.heappush(queue, (ends, gpu))
        else:
            free[gpu] = ends
    ranked = sorted(waits)
    half, most = (ranked[int(share * (len(ranked) - 1))] for share in (0.5, 0.95))
    return Found(in_the_day / (count * DAY), half, most, at_work / HOUR)


def assumed(clips: int, mix: Sequence[tuple[float, float]], chinese: bool) -> str:
    """What was simulated."""
    parts = ", ".join(f"{share:.0%} {seconds:g} s" for share, seconds in mix)
    if chinese:
        return f"一天内随机到来 {clips:,} 个短片；每个所需的 GPU 时间（假设）：{parts}。"
    return f"{clips:,} clips, asked for at random over a day. GPU time of each, assumed: {parts}."


def table(found: dict[Case, Found], chinese: bool) -> str:
    """In markdown."""
    unit = "秒" if chinese else "s"
    lines = [f"| {' | '.join(HEAD[chinese])} |", "|---|---|---|---|"]
    for case, each in found.items():
        name = case.chinese if chinese else case.english
        lines.append(f"| {name} | {each.used:.0%} | {each.half:,.0f} {unit} | {each.most:,.0f} {unit} |")
    return "\n".join(lines)


def cost(clips: int, gpus: int, work: float, price: float | None, chinese: bool) -> str:
    """What the clips take, `work` in hours, and what a day of these GPUs is paid for."""
    hours = gpus * DAY / HOUR
    if chinese:
        text = f"{clips:,} 个这样的短片需 {work:,.0f} GPU 小时；{gpus} 个 GPU 一天为 {hours:,.0f} 小时"
        text += "，乘以每小时的价格"
        return f"{text}。" if price is None else f"{text}：每小时 {price:g} 时为 {hours * price:,.0f}。"
    text = f"{clips:,} such clips are {work:,.0f} GPU hours of work. "
    text += f"{gpus} GPUs for a day are {hours:,.0f} hours, times the price of an hour"
    return f"{text}." if price is None else f"{text}: at {price:g} an hour {hours * price:,.0f}."


def parse_arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"in a day (default {CLIPS:,})")
    parser.add_argument("--gpus", type=int, default=GPUS, help=f"default {GPUS}")
    parser.add_argument(
        "--mix",
        type=_share,
        nargs="+",
        default=MIX,
        metavar="SHARE:SECONDS",
        help=f"GPU seconds of a clip (default {' '.join(f'{share:g}:{seconds:g}' for share, seconds in MIX)})",
    )
    parser.add_argument("--price", type=float, help="of a GPU for an hour, in any currency")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the random numbers (default {SEED})")
    parser.add_argument("--write", action="store_true", help=f"put the tables into docs/{' and '.join(DOCUMENTS)}")
    arguments = parser.parse_args(given)
    if arguments.clips < 1 or arguments.gpus < 1:
        parser.error("--clips and --gpus are at least 1")
    return arguments


def _share(text: str) -> tuple[float, float]:
    share, _, seconds = text.partition(":")
    try:
        read = float(share), float(seconds)
    except ValueError:
        read = 0.0, 0.0
    if min(read) <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no share with seconds: write them as 0.8:3")
    return read


def main(given: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(given)
    times, seconds = asked_for(arguments.clips, arguments.mix, random.Random(arguments.seed))
    found = {case: simulate(times, seconds, case, random.Random(arguments.seed + 1)) for case in cases(arguments.gpus)}
    first = next(iter(found.values()))
    for name, document in DOCUMENTS.items():
        chinese = name.endswith(".zh.md")
        paid = cost(arguments.clips, arguments.gpus, first.hours, arguments.price, chinese)
        text = "\n\n".join((assumed(arguments.clips, arguments.mix, chinese), table(found, chinese), paid))
        if not chinese:
            print(text)
        if arguments.write:
            written = with_part(document.read_text(encoding="utf-8"), "million_clips.py", text)
            document.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
