"""Writes test/conformance/data/expressions.jsonl: what croniter and dateutil make of expressions drawn by lot, in UTC.

    python3 -m venv venv && venv/bin/pip install croniter==7.0.0 python-dateutil==2.9.0.post0
    venv/bin/python scripts/expression-tables.py
"""

import json
import pathlib
import random
import signal
from datetime import datetime, timedelta, timezone
from itertools import islice, takewhile

from croniter import croniter
from croniter.croniter import CroniterBadDateError
from dateutil.rrule import rrulestr

LOTS = random.Random(20260101)
EACH = 400
TIMES = 12
LAST = datetime(2249, 12, 1)  # ours end in 2250
DAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"]


def second(wall):
    return int(wall.replace(tzinfo=timezone.utc).timestamp())


def some(first, last, most=4):
    return sorted(LOTS.sample(range(first, last + 1), LOTS.randint(1, min(most, last - first + 1))))


def listed(values):
    return ",".join(map(str, values))


def cron_field(first, last, names=None):
    kind = LOTS.random()
    if kind < 0.35:
        return "*"
    if kind < 0.5:
        return f"*/{LOTS.randint(2, max(2, (last - first) // 2))}"
    if kind < 0.6:
        low, high = sorted(LOTS.sample(range(first, last + 1), 2))
        return f"{low}-{high}" + (f"/{LOTS.randint(1, 4)}" if LOTS.random() < 0.5 else "")
    if kind < 0.65:
        return f"{LOTS.randint(first, last - 1)}/{LOTS.randint(1, 7)}"
    if kind < 0.75 and names:
        low, high = LOTS.sample(names, 2)
        return f"{low}-{high}"  # also across the end
    return listed(some(first, last))


def cron():
    months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    date = LOTS.choice([lambda: cron_field(1, 31), lambda: cron_field(1, 31), lambda: "L", lambda: "?", lambda: "15,L", lambda: "28-L"])()
    day_or = LOTS.random() < 0.7
    weekday = LOTS.choice([
        lambda: cron_field(0, 6, [name.lower() for name in ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]]),
        lambda: cron_field(0, 7), lambda: cron_field(0, 6),
        lambda: f"{LOTS.randint(0, 6)}#{LOTS.randint(1, 5)}", lambda: f"L{LOTS.randint(0, 6)}", lambda: "1#1,3#2",
    ])()
    if "#" in weekday or weekday.startswith("L"):
        day_or = False  # there croniter takes both days together in any case
    fields = [cron_field(0, 59), cron_field(0, 23), date, cron_field(1, 12, months), weekday]
    if LOTS.random() < 0.25:
        fields.append(cron_field(0, 59))
    return " ".join(fields), day_or


def cron_case():
    expression, day_or = cron()
    start = datetime(LOTS.randint(2020, 2040), LOTS.randint(1, 12), LOTS.randint(1, 28), LOTS.randint(0, 23), LOTS.randint(0, 59))
    times = []
    try:
        walls = croniter(expression, start - timedelta(seconds=1), day_or=day_or, ret_type=datetime)
        times = [second(walls.get_next()) for _ in range(TIMES)]
    except CroniterBadDateError:
        return None
    return {"kind": "cron", "cron": expression, "dayOr": day_or, "from": second(start), "seconds": times}


def rule(start):
    frequency = LOTS.choice(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
    parts = [f"FREQ={frequency}"]
    if LOTS.random() < 0.5:
        parts.append(f"INTERVAL={LOTS.randint(2, 7)}")
    if LOTS.random() < 0.3:
        parts.append(f"WKST={LOTS.choice(DAYS)}")
    signed = lambda first, last: listed(v if LOTS.random() < 0.6 else -v for v in some(first, last))
    if LOTS.random() < 0.3:
        parts.append(f"BYMONTH={listed(some(1, 12))}")
    long = frequency in ("YEARLY", "MONTHLY")
    kind = LOTS.random()
    if kind < 0.2:
        parts.append(f"BYMONTHDAY={signed(1, 31)}")
    elif kind < 0.5:
        days = LOTS.sample(DAYS, LOTS.randint(1, 4))
        numbered = long and LOTS.random() < 0.6  # dateutil takes MO,2TU for what is both
        parts.append("BYDAY=" + ",".join((f"{LOTS.choice([1, 2, 3, -1, -2])}" if numbered else "") + day for day in days))
    elif kind < 0.6 and frequency == "YEARLY":
        parts.append(f"BYWEEKNO={listed(v if LOTS.random() < 0.8 else -1 for v in some(1, 52))}")
    elif kind < 0.7 and frequency in ("YEARLY", "DAILY", "HOURLY"):
        parts.append(f"BYYEARDAY={signed(1, 366)}")
    if LOTS.random() < 0.3:
        parts.append(f"BYHOUR={listed(some(0, 23))}")
    if LOTS.random() < 0.3:
        parts.append(f"BYMINUTE={listed(some(0, 59))}")
    if LOTS.random() < 0.2:
        parts.append(f"BYSECOND={listed(some(0, 59))}")
    if LOTS.random() < 0.2:
        parts.append(f"BYSETPOS={signed(1, 5)}")
    end = LOTS.random()
    if end < 0.15:
        parts.append(f"COUNT={LOTS.randint(1, 300)}")
    elif end < 0.3:
        parts.append(f"UNTIL={(start + timedelta(days=LOTS.randint(1, 4000))):%Y%m%dT%H%M%S}")
    return ";".join(parts)


def rrule_case():
    start = datetime(LOTS.randint(2019, 2022), LOTS.randint(1, 12), LOTS.randint(1, 28), LOTS.randint(0, 23), LOTS.randint(0, 59), LOTS.choice([0, 0, 30]))
    lines = [f"DTSTART:{start:%Y%m%dT%H%M%S}", f"RRULE:{rule(start)}"]
    if LOTS.random() < 0.15:
        lines.append(f"RRULE:{rule(start)}")
    if LOTS.random() < 0.15:
        lines.append(f"EXRULE:{rule(start)}")
    if LOTS.random() < 0.15:
        lines.append("RDATE:" + ",".join(f"{start + timedelta(days=LOTS.randint(0, 900)):%Y%m%dT%H%M%S}" for _ in range(3)))
    text = "\n".join(lines)
    near = [wall for wall in islice(rrulestr(text, forceset=True), 30)]
    if not near:
        return None
    if LOTS.random() < 0.2:
        text += "\nEXDATE:" + ",".join(f"{wall:%Y%m%dT%H%M%S}" for wall in LOTS.sample(near, min(3, len(near))))
    begin = LOTS.choice([start, near[len(near) // 2], start + timedelta(days=LOTS.randint(0, 700))])
    walls = takewhile(lambda wall: wall < LAST, (wall for wall in rrulestr(text, forceset=True) if wall >= begin))
    return {"kind": "rrule", "rrule": text, "from": second(begin), "seconds": [second(wall) for wall in islice(walls, TIMES)]}


def drawn(case):
    found = 0
    while found < EACH:
        signal.alarm(3)  # some rules that never fire are sought until the year 9999
        try:
            made = case()
        except (ValueError, TimeoutError):  # dateutil refuses rules whose hours and the like cannot be met
            continue
        finally:
            signal.alarm(0)
        if made is not None:
            found += 1
            yield json.dumps(made, separators=(",", ":"))


def out_of_time(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, out_of_time)
target = pathlib.Path(__file__).parent.parent / "test/conformance/data/expressions.jsonl"
target.write_text("\n".join([*drawn(cron_case), *drawn(rrule_case)]) + "\n")
