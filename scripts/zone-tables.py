"""Writes test/conformance/data/zones.json: what schedules name around every change of clocks from 2020 to 2040.

An implementation that has nothing in common with ours: zones are read by Python's zoneinfo from the IANA data that the
package tzdata carries, cron expressions are expanded by croniter, recurrence rules by dateutil. What dateutil makes of
times that are skipped or repeated is written out here, because it reads no data beyond 2037 and not those of the package;
that it is what dateutil does is tried on the files of the system, and where it is not is written down as well. (From
version 4 on dateutil does otherwise.) Zones whose rules differ between releases of the data are there once for each,
because a runtime brings its own release.

    python3 -m venv venv && venv/bin/pip install croniter==7.0.0 python-dateutil==2.9.0.post0
    venv/bin/pip download --no-deps -d wheels tzdata==2025.2 tzdata==2025.3 ...   # one for each release
    venv/bin/python scripts/zone-tables.py wheels/*.whl
"""

import bisect
import hashlib
import json
import pathlib
import re
import sys
import zipfile
import zoneinfo
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from itertools import takewhile

import dateutil.tz
from croniter import croniter as Cron
from dateutil.rrule import rrulestr

BEGIN = datetime(2020, 1, 1, tzinfo=timezone.utc)
END = datetime(2041, 1, 1, tzinfo=timezone.utc)
AROUND = 30 * 3600  # seconds before and after each change
CRONS = ["*/20 * * * *", "30 0-3 * * *", "0 0 * * *"]
RRULES = [
    "DTSTART:20191201T000000\nRRULE:FREQ=HOURLY;BYMINUTE=0,30",
    "DTSTART:20191201T000000\nRRULE:FREQ=DAILY;BYHOUR=0,1,2,3,23;BYMINUTE=15",
]
ANCHOR = datetime(2019, 12, 31, 13, 30, tzinfo=timezone.utc)
INTERVALS = [21_600, 86_400, 90_000, 172_800]


def naive_seconds(wall):
    return int(wall.replace(tzinfo=timezone.utc).timestamp())


def walls_of_cron(expression):
    walls, cron = [], Cron(expression, datetime(2019, 12, 1))
    while not walls or walls[-1] < naive_seconds(datetime(2041, 2, 1)):
        walls.append(naive_seconds(cron.get_next(datetime)))
    return walls


def walls_of_rrule(text):
    return [naive_seconds(wall) for wall in takewhile(lambda wall: wall < datetime(2041, 2, 1), rrulestr(text))]


def local(second, zone):
    return datetime.fromtimestamp(second, timezone.utc).astimezone(zone)


def offset_at(second, zone):
    return int(local(second, zone).utcoffset().total_seconds())


def changes_of(zone):
    """(second, offset afterwards, whether either side is on negative daylight saving) for each change."""
    changes, step = [], 6 * 3600
    second = int(BEGIN.timestamp()) - 86_400
    before = offset_at(second, zone)
    while second < END.timestamp() + 86_400:
        after = offset_at(second + step, zone)
        if after != before:
            low, high = second, second + step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(middle, zone) == before else (low, middle)
            negative = any(local(s, zone).dst() < timedelta(0) for s in (low, high))
            changes.append((high, after, negative))
        before, second = after, second + step
    return changes


def second_of_wall(wall, zone):
    naive = datetime.fromtimestamp(wall, timezone.utc).replace(tzinfo=None)
    return int(naive.replace(tzinfo=zone, fold=0).timestamp())


def second_of_rule_wall(wall, zone, changes):
    """What dateutil does: clocks change when they show a certain standard time."""
    for at, after, negative in changes:
        before = offset_at(at - 1, zone)
        standard = max(before, after) if negative else min(before, after)
        if abs(wall - (at + standard)) < 86_400:
            if wall < at + standard or (before > after and wall < at + standard + before - after):
                return wall - before
            return wall - after
    return second_of_wall(wall, zone)


def within(walls, first, end):
    return walls[bisect.bisect_left(walls, first - 172_800):bisect.bisect_left(walls, end + 172_800)]


def intervals_within(length, zone, first, end):
    days, rest = divmod(length, 86_400)
    start = ANCHOR.astimezone(zone).replace(tzinfo=None)
    about = (first - int(ANCHOR.timestamp())) // length
    for count in range(about - 3, about + (end - first) // length + 4):
        if days == 0:
            yield int(ANCHOR.timestamp()) + count * rest
        else:
            wall = (start + timedelta(days=count * days)).replace(tzinfo=zone, fold=0)
            yield int(wall.timestamp()) + count * rest


def digests_of(zone, changes, walls):
    found = {"cron": [], "interval": [], "rrule": []}
    middles = [at for at, _, _ in changes] + [int(datetime(y, 7, 1, tzinfo=timezone.utc).timestamp()) for y in (2020, 2040)]
    for middle in middles:
        first, end = middle - AROUND, middle + AROUND
        for expression in CRONS:
            seconds = {second_of_wall(w, zone) for w in within(walls[expression], first, end)}
            found["cron"] += sorted(s for s in seconds if first <= s < end)
        for text in RRULES:
            near = [c for c in changes if abs(c[0] - middle) < 1_000_000]
            seconds = {second_of_rule_wall(w, zone, near) for w in within(walls[text], first, end)}
            found["rrule"] += sorted(s for s in seconds if first <= s < end)
        for length in INTERVALS:
            seconds = set(intervals_within(length, zone, first, end))
            found["interval"] += sorted(s for s in seconds if first <= s < end)
    return {kind: hashlib.sha256("\n".join(map(str, all)).encode()).hexdigest()[:16] for kind, all in found.items()}


def differing_from_dateutil(directory="/usr/share/zoneinfo"):
    """The days of changes that dateutil reads otherwise than second_of_rule_wall does, for each zone."""
    found = {}
    for name in sorted(zoneinfo.available_timezones()):
        path = f"{directory}/{name}"
        with open(path, "rb") as file:
            zone = zoneinfo.ZoneInfo.from_file(file, key=name)
        theirs = dateutil.tz.tzfile(path)
        changes = changes_of(zone)
        for at, after, _ in changes:
            if at > datetime(2037, 9, 1, tzinfo=timezone.utc).timestamp():
                break
            offsets = (offset_at(at - 1, zone), after)
            near = [change for change in changes if abs(change[0] - at) < 1_000_000]
            for wall in range(at + min(offsets) - 7_200, at + max(offsets) + 7_200, 900):
                naive = datetime.fromtimestamp(wall, timezone.utc).replace(tzinfo=None)
                if int(naive.replace(tzinfo=theirs).timestamp()) != second_of_rule_wall(wall, zone, near):
                    days = found.setdefault(name, [])
                    day = f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d}"
                    if day not in days:
                        days.append(day)
    return found


def main(wheels):
    walls = {expression: walls_of_cron(expression) for expression in CRONS}
    walls |= {text: walls_of_rrule(text) for text in RRULES}
    groups, group_of_changes, of_bytes, zones, releases = [], {}, {}, {}, []
    for wheel in sorted(wheels):
        with zipfile.ZipFile(wheel) as data:
            release = re.search(r'IANA_VERSION = "(\w+)"', data.read("tzdata/__init__.py").decode())[1]
            releases.append(release)
            for name in data.read("tzdata/zones").decode().split():
                with data.open(f"tzdata/zoneinfo/{name}") as file:
                    content = file.read()
                if content not in of_bytes:
                    with data.open(f"tzdata/zoneinfo/{name}") as file:
                        zone = zoneinfo.ZoneInfo.from_file(file, key=name)
                    changes = changes_of(zone)
                    key = (offset_at(int(BEGIN.timestamp()), zone), tuple(changes))
                    if key not in group_of_changes:
                        group_of_changes[key] = len(groups)
                        groups.append({
                            "offset": key[0],
                            "changes": [[at, after] for at, after, _ in changes],
                            "negative": any(negative for _, _, negative in changes),
                            "digests": digests_of(zone, changes, walls),
                        })
                    of_bytes[content] = group_of_changes[key]
                of_release = zones.setdefault(name, [])
                if not of_release or of_release[-1][1] != of_bytes[content]:
                    of_release.append([release, of_bytes[content]])
            print(release, len(groups), file=sys.stderr)
    by = f"Python {sys.version.split()[0]} zoneinfo, croniter {version('croniter')}, dateutil {version('python-dateutil')}"
    head = {"by": by, "releases": releases, "around": AROUND, "crons": CRONS, "rrules": RRULES,
            "anchor": int(ANCHOR.timestamp()), "intervals": INTERVALS,
            "differingFromDateutil": differing_from_dateutil()}
    lines = [f'  {json.dumps(key)}: {json.dumps(value)}' for key, value in head.items()]
    lines.append('  "groups": [\n' + ",\n".join("    " + json.dumps(group, separators=(",", ":")) for group in groups) + "\n  ]")
    lines.append('  "zones": {\n' + ",\n".join(f"    {json.dumps(n)}: {json.dumps(z)}" for n, z in sorted(zones.items())) + "\n  }")
    target = pathlib.Path(__file__).parent.parent / "test/conformance/data/zones.json"
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


main(sys.argv[1:])
