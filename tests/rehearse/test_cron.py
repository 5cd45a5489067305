"""Section 8.1 of the language reference: the cron dialect, and each slot once whatever the clock does.

The oracle is a walk over every minute with a matcher of its own. Its wall clock is a ratchet: what it shows for the
first time fires, also what it skipped; what it shows again does not.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rehearse.errors import CronError, RehearseError
from rehearse.language.cron import Cron, parse_cron

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
KOLKATA, APIA, BEIRUT = ZoneInfo("Asia/Kolkata"), ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Beirut")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIELDS = "minute hour day-of-month month day-of-week year"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def stamps(firings: Iterable[datetime]) -> list[str]:
    return [f"{fired:%d %H:%M%z}" for fired in firings]


# --- the text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0 08 ? * * *", "2025-01-01 08:00"),
        ("0 8 * * ? *", "2025-01-01 08:00"),
        ("  0 8  * *\t? *\n", "2025-01-01 08:00"),
        ("*/20 * * * ? *", "2025-01-01 00:20"),
        ("1/10 0 * * ? *", "2025-01-01 00:01"),
        ("50/90 0 * * ? *", "2025-01-01 00:50"),
        ("59 23 31 12 ? 2199", "2199-12-31 23:59"),
        ("0 0 1 jan,Jul ? 2025/2", "2025-07-01 00:00"),
        ("0 0 ? * Mon-6 *", "2025-01-02 00:00"),
        ("0 9 ? * SUN-SAT *", "2025-01-01 09:00"),
        ("0 9 ? * L *", "2025-01-04 09:00"),  # the last day of a week is Saturday
        ("0 9 ? * 6L *", "2025-01-31 09:00"),
        ("0 9 ? * fril *", "2025-01-31 09:00"),
        ("0 9 ? * 3#2 *", "2025-01-14 09:00"),
        ("0 9 ? * tue#2 *", "2025-01-14 09:00"),
        ("0 9 ? * 5#5 *", "2025-01-30 09:00"),
        ("0 9 ? 2 2#5 *", "2044-02-29 09:00"),
        ("0 9 L * ? *", "2025-01-31 09:00"),
        ("0 9 L 2 ? *", "2025-02-28 09:00"),
        ("0 9 lw * ? *", "2025-01-31 09:00"),
        ("0 9 LW 5,8 ? *", "2025-05-30 09:00"),  # the 31st is a Saturday
        ("0 9 LW 8 ? *", "2025-08-29 09:00"),  # the 31st is a Sunday
        ("0 9 15W 2 ? *", "2025-02-14 09:00"),  # from a Saturday back
        ("0 9 15w 6 ? *", "2025-06-16 09:00"),  # from a Sunday on
        ("0 9 1W 2 ? *", "2025-02-03 09:00"),  # a Saturday, but January is another month
        ("0 9 31W 8 ? *", "2025-08-29 09:00"),  # a Sunday, but September is another month
        ("0 9 31W 2,4,6 ? *", None),  # no such day to be near to
        ("0 0 30 2 ? *", None),
        ("0 0 1 1 ? 1970-2024", None),
    ],
)
def test_texts_and_their_first_firing(text: str, first: str | None) -> None:
    cron = parse_cron(text)
    found = cron.next(utc(2025, 1, 1))
    assert (found and f"{found:%Y-%m-%d %H:%M}") == first
    assert cron.text == text
    assert parse_cron(text) is cron and hash(cron) and repr(cron) == f"Cron(text={text!r})"


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("61 8 * * ? *", "Invalid minute value: '61'", 0),
        ("0,61 8 * * ? *", "Invalid minute value: '0,61'", 2),
        ("? 8 * * ? *", "Invalid minute value: '?'", 0),
        ("/5 8 * * ? *", "Invalid minute value: '/5'", 0),
        ("*/0 8 * * ? *", "Invalid minute value: '*/0'", 0),
        ("*/99999 8 * * ? *", "Invalid minute value: '*/99999'", 0),
        ("*,5 8 * * ? *", "Invalid minute value: '*,5'", 0),
        ("5, 8 * * ? *", "Invalid minute value: '5,'", 2),
        ("*-5 8 * * ? *", "Invalid minute value: '*-5'", 0),
        ("001 8 * * ? *", "Invalid minute value: '001'", 0),
        ("٣ 8 * * ? *", "Invalid minute value: '٣'", 0),
        ("² 8 * * ? *", "Invalid minute value: '²'", 0),
        ("0 24 * * ? *", "Invalid hour value: '24'", 2),
        ("0 22-2 * * ? *", "Invalid hour value: '22-2'", 2),
        ("0 8 W * ? *", "Invalid day-of-month value: 'W'", 4),
        ("0 8 32W * ? *", "Invalid day-of-month value: '32W'", 4),
        ("0 8 1-15W * ? *", "Invalid day-of-month value: '1-15W'", 4),
        ("0 8 L-3 * ? *", "Invalid day-of-month value: 'L-3'", 4),
        ("0 8 3#2 * ? *", "Invalid day-of-month value: '3#2'", 4),
        ("0 8 1 13 ? *", "Invalid month value: '13'", 6),
        ("0 8 1 JANUARY ? *", "Invalid month value: 'JANUARY'", 6),
        ("0 8 ? * 0 *", "Invalid day-of-week value: '0'", 8),
        ("0 8 ? * ſUN *", "Invalid day-of-week value: 'ſUN'", 8),  # its upper case is SUN
        ("0 8 ? * FRI-MON *", "Invalid day-of-week value: 'FRI-MON'", 8),
        ("0 8 ? * 3#6 *", "Invalid day-of-week value: '3#6'", 8),
        ("0 8 ? * 3#2,5#3 *", "Invalid day-of-week value: '3#2,5#3'", 8),
        ("0 8 ? * 2,3#2 *", "Invalid day-of-week value: '2,3#2'", 10),
        ("0 8 ? * 0#2 *", "Invalid day-of-week value: '0#2'", 8),
        ("0 8 ? * L-2 *", "Invalid day-of-week value: 'L-2'", 8),
        ("0 8 ? * 2/2 *", "Invalid day-of-week value: '2/2'", 8),
        ("0 8 * * ? 1969", "Invalid year value: '1969'", 10),
        ("0 8 * * ? " + 5000 * "9", f"Invalid year value: '{5000 * '9'}'", 10),
        ("0 8 * * * *", "Invalid combination of day-of-month '*' and day-of-week '*'", 8),
        ("0 8 ? * ? *", "Invalid combination of day-of-month '?' and day-of-week '?'", 8),
        ("0 8 1 * 2 *", "Invalid combination of day-of-month '1' and day-of-week '2'", 8),
        ("0 8 * * MON *", "Invalid combination of day-of-month '*' and day-of-week 'MON'", 8),
        ("cron(0 8 * * ? *)", "The cron is wrapped in 'cron(...)'", 0),
        (" CRON (0 8 * * ? *", "The cron is wrapped in 'cron(...)'", 1),
        ("", "Incorrect number of values in the cron: 6 required, 0 provided", 0),
        (" @daily", "Incorrect number of values in the cron: 6 required, 1 provided", 0),
        ("0 8 * * ?", "Incorrect number of values in the cron: 6 required, 5 provided", 0),
        ("0\xa08 * * ? *", "Incorrect number of values in the cron: 6 required, 5 provided", 0),
        ("0 0 8 * * ? *", "Incorrect number of values in the cron: 6 required, 7 provided", 12),
    ],
)
def test_mistakes_are_named_where_they_are(text: str, message: str, offset: int) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(text)
    assert (str(caught.value), caught.value.offset) == (message, offset)
    assert caught.value.hint and caught.value.exit_code == 2 and isinstance(caught.value, RehearseError)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("61 8 * * ? *", "minute takes 0-59 with , - * /"),
        ("0 8 32 * ? *", "day-of-month takes 1-31 with , - * / or one of ? L LW 15W"),
        ("0 8 ? * 0 *", "day-of-week takes 1 (Sunday) to 7 or SUN-SAT with , - * or one of ? L 6L 3#2"),
        ("0/0 8 * * ? *", "a step is at least 1; minute takes 0-59 with , - * /"),
        ("0 22-2 * * ? *", "a range runs upwards, so write two, as in 'FRI-SAT,SUN-MON'; hour takes 0-23 with , - * /"),
        ("0 8 * * * *", "exactly one of the two is '?', the one that does not decide"),
        ("cron(0 8 * * ? *)", "write what is inside: '0 8 * * ? *'"),
        # Unix: five fields, no `?`, Sunday is 0 or 7, and a day fits when either of two decides.
        ("0 8 * * *", f"{FIELDS}; write '0 8 * * ? *'"),
        ("*/5 * 1 JAN *", f"{FIELDS}; write '*/5 * 1 JAN ? *'"),
        ("0 8 * * 1-5", f"{FIELDS}; write '0 8 ? * MON-FRI *'"),
        ("0 8 * * 0", f"{FIELDS}; write '0 8 ? * SUN *'"),
        ("0 8 * * 0,3,6", f"{FIELDS}; write '0 8 ? * SUN,WED,SAT *'"),
        ("0 8 * * 5-7", f"{FIELDS}; write '0 8 ? * FRI-SAT,SUN *'"),
        ("0 8 1 * 1", f"{FIELDS}; write '0 8 1 * ? *' and as a second schedule '0 8 ? * MON *'"),
        # This dialect, with the year forgotten.
        ("0 8 ? * 2", f"{FIELDS}; write '0 8 ? * 2 *'"),
        ("0 8 * * ?", f"{FIELDS}; write '0 8 * * ? *'"),
        # No cron of any kind.
        ("0 8 * * 9", FIELDS),
        ("at eight in the morning", FIELDS),
    ],
)
def test_hints_say_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(CronError) as caught:
        parse_cron(text)
    assert caught.value.hint == hint


LIKELY = st.text(alphabet="0123456789*/-,?LW# SUNMONjanſ٣²\t", max_size=40)
WORDS = [
    "*",
    "?",
    "0",
    "5",
    "L",
    "LW",
    "15W",
    "6L",
    "3#2",
    "mon",
    "FRI-SUN",
    "1-5/2",
    "*/3",
    "2025",
    "99",
    "٣",
    "cron(",
]
NEARLY = st.lists(st.sampled_from(WORDS), max_size=8)


@settings(max_examples=500)
@given(st.text() | LIKELY | NEARLY.map(" ".join))
@example("9" * 5000)
@example("*/" + "9" * 5000 + " 0 * * ? *")
def test_any_text_is_a_cron_or_a_cron_error(text: str) -> None:
    mistake = None
    try:
        parse_cron(text).ever()
    except CronError as error:
        mistake = error
    assert mistake is None or (0 <= mistake.offset <= len(text) and mistake.hint)


# --- against the oracle -----------------------------------------------------------------------------------------------


def listed(part: str, value: int, low: int, high: int, names: str = "") -> bool:
    def number(word: str) -> int:
        return low + names.split().index(word) if word in names.split() else int(word)

    for item in part.split(","):
        body, _, step = item.partition("/")
        begin, _, end = (str(low), "", str(high)) if body == "*" else body.partition("-")
        last = number(end) if end else high if step else number(begin)
        if number(begin) <= value <= last and (value - number(begin)) % int(step or 1) == 0:
            return True
    return False


def date_fits(text: str, day: date) -> bool:
    _, _, of_month, month, of_week, year = text.split()
    length = monthrange(day.year, day.month)[1]
    working = [n for n in range(1, length + 1) if day.replace(day=n).isoweekday() < 6]
    weekday = day.isoweekday() % 7 + 1
    if not (listed(month, day.month, 1, 12) and listed(year, day.year, 1970, 2199)):
        return False
    if of_month == "L":
        return day.day == length
    if of_month == "LW":
        return day.day == working[-1]
    if of_month.endswith("W"):
        wanted = int(of_month[:-1])
        return wanted <= length and day.day == sorted(working, key=lambda n: (abs(n - wanted), n))[0]
    if of_month != "?":
        return listed(of_month, day.day, 1, 31)
    if of_week == "L":
        return weekday == 7
    if of_week.endswith("L"):
        return weekday == int(of_week[:-1]) and day.day + 7 > length
    if "#" in of_week:
        wanted, nth = map(int, of_week.split("#"))
        return weekday == wanted and 7 * (nth - 1) < day.day <= 7 * nth
    return listed(of_week, weekday, 1, 7, "SUN MON TUE WED THU FRI SAT")


@lru_cache
def new_on_the_wall(zone: ZoneInfo, start: datetime, end: datetime) -> list[tuple[datetime, list[datetime]]]:
    """Each minute of (start, end], with the readings of the clock that it shows or has skipped for the first time."""
    moment = start - timedelta(hours=4)
    latest = moment.astimezone(zone).replace(tzinfo=None)
    minutes = []
    while moment < end:
        moment += MINUTE
        wall = moment.astimezone(zone).replace(tzinfo=None)
        fresh = [latest + n * MINUTE for n in range(1, int((wall - latest) / MINUTE) + 1)]
        latest = max(latest, wall)
        if moment > start:
            minutes.append((moment, fresh))
    return minutes


def walk(text: str, zone: ZoneInfo, start: datetime, end: datetime, exclude: frozenset[date]) -> list[datetime]:
    dates: dict[date, bool] = {}
    times: dict[tuple[int, int], bool] = {}
    found = []
    for moment, fresh in new_on_the_wall(zone, start, end):
        for wall in fresh:
            day, clock = wall.date(), (wall.hour, wall.minute)
            if clock not in times:
                minute, hour = text.split()[:2]
                times[clock] = listed(minute, wall.minute, 0, 59) and listed(hour, wall.hour, 0, 23)
            if times[clock] and day not in dates:
                dates[day] = day not in exclude and date_fits(text, day)
            if times[clock] and dates[day]:
                found.append(moment)
                break
    return found


WINDOWS = [
    (ZoneInfo(zone), datetime.fromisoformat(start).replace(tzinfo=UTC))
    for zone, starts in {
        "UTC": ["2024-02-27T11:00", "2025-12-30T00:00"],
        "Asia/Kolkata": ["2025-02-27T18:30"],
        "Europe/Berlin": ["2024-03-30T00:00", "2024-10-26T12:00", "2025-03-29T01:00", "2025-10-25T00:00"],
        "America/New_York": ["2025-03-08T00:00", "2025-11-01T00:00"],
        "Australia/Lord_Howe": ["2025-04-04T20:00", "2025-10-03T20:00"],
        "Asia/Beirut": ["2025-03-28T20:00", "2025-10-24T20:00"],  # midnight comes twice, or not at all
        "Pacific/Apia": ["2011-12-29T00:00"],  # a date is skipped
        "America/Havana": ["2025-03-08T00:00", "2025-11-01T00:00"],
    }.items()
    for start in starts
]

_numbers = st.integers(0, 59).map(str)
MINUTES = st.sampled_from(["*", "0", "30", "59", "0/15", "*/7", "5-50/9", "0,30", "29,31"]) | _numbers
HOURS = st.sampled_from(["*", "*", "0", "1", "2", "3", "23", "1-3", "*/2", "0,2/3"]) | st.integers(0, 23).map(str)
OF_MONTH = st.sampled_from(["*", "L", "LW", "29-31", "*/2", "1,8,9,26"]) | st.integers(1, 31).map("{}W".format)
OF_WEEK = st.sampled_from(["*", "SUN-SAT", "SUN", "7,1", "L", "1L", "7L", "1#1", "1#2", "1#4", "1#5", "7#5", "MON-THU"])
DAYS = st.tuples(OF_MONTH, st.just("?")) | st.tuples(st.just("?"), OF_WEEK)
CRONS = st.tuples(MINUTES, HOURS, DAYS, st.sampled_from(["*", "*", "3/7", "2,4,11"])).map(
    lambda parts: f"{parts[0]} {parts[1]} {parts[2][0]} {parts[3]} {parts[2][1]} *"
)


@settings(max_examples=250)
@given(CRONS, st.sampled_from(WINDOWS), st.integers(0, 3 * 24 * 3600), st.sets(st.integers(0, 3), max_size=2))
@example("0/15 * ? * * *", WINDOWS[3], 25 * 3600 + 1800, set())
@example("* * * * ? *", WINDOWS[5], 24 * 3600 + 1800, set())
def test_agrees_with_a_walk_over_every_minute(
    text: str, window: tuple[ZoneInfo, datetime], second: int, excluded: set[int]
) -> None:
    zone, start = window
    end, moment = start + 3 * DAY, start + timedelta(seconds=second)
    exclude = frozenset(start.date() + n * DAY for n in excluded)
    expected = walk(text, zone, start, end, exclude)
    cron = parse_cron(text)

    # Compared in UTC: a moment that its clock shows twice equals none of another zone (PEP 495).
    found = list(cron.between(start, end, zone, exclude))
    assert [fired.astimezone(UTC) for fired in found] == expected
    assert all(fired.tzinfo is zone for fired in found)
    later = [fired for fired in expected if fired > moment]
    earlier = [fired for fired in expected if fired < moment]
    following, preceding = cron.next(moment, zone, exclude), cron.previous(moment, zone, exclude)
    if later or following:
        assert following and (following.astimezone(UTC) == later[0] if later else following > end)
    if earlier or preceding:
        assert preceding and (preceding.astimezone(UTC) == earlier[-1] if earlier else preceding <= start)


@settings(max_examples=200)
@given(
    CRONS,
    st.datetimes(datetime(1960, 1, 1), datetime(2210, 1, 1), timezones=st.sampled_from([UTC, BERLIN, LORD_HOWE])),
    st.sampled_from([UTC, BERLIN, NEW_YORK, LORD_HOWE, KOLKATA, timezone(timedelta(hours=-3, minutes=-30))]),
)
def test_previous_undoes_next(text: str, moment: datetime, zone: ZoneInfo) -> None:
    cron, moment, instant = parse_cron(text), moment.astimezone(UTC), timedelta(microseconds=1)

    def following(after: datetime) -> datetime | None:
        return (found := cron.next(after, zone)) and found.astimezone(UTC)

    def preceding(before: datetime) -> datetime | None:
        return (found := cron.previous(before, zone)) and found.astimezone(UTC)

    assert cron.ever() == (preceding(utc(2300, 1, 1)) is not None)
    if after := following(moment):
        assert after > moment
        assert preceding(after) == (moment if following(moment - instant) == moment else preceding(moment))
        assert preceding(after + instant) == after
    if before := preceding(moment):
        assert before < moment
        assert following(before - instant) == before
        assert following(before) == (moment if preceding(moment + instant) == moment else following(moment))
    if before and after:
        found = [fired.astimezone(UTC) for fired in cron.between(before - instant, after, zone)]
        assert found in ([before, after], [before, moment, after])


# --- the clock changes ------------------------------------------------------------------------------------------------


CHANGES = [
    # The gap: at the first instant after it, and slots that meet there once.
    ("30 2 * * ? *", BERLIN, "2025-03-29", 3, ["29 02:30+0100", "30 03:00+0200", "31 02:30+0200"]),
    ("0/20 2 30 * ? *", BERLIN, "2025-03-30", 1, ["30 03:00+0200"]),
    ("30 2,3 * * ? *", BERLIN, "2025-03-30", 1, ["30 03:00+0200", "30 03:30+0200"]),
    ("0 2,3 30 * ? *", BERLIN, "2025-03-30", 1, ["30 03:00+0200"]),
    ("15 2 * * ? *", LORD_HOWE, "2025-10-04", 2, ["05 02:30+1100", "06 02:15+1100"]),
    ("0 8 * * ? *", APIA, "2011-12-29", 2, ["29 08:00-1000", "31 00:00+1400", "31 08:00+1400"]),  # without a 30th
    ("30 0 * * ? *", ZoneInfo("Africa/Monrovia"), "1972-01-07", 1, ["07 00:44+0000"]),  # from -00:44:30
    # The fold: the first time.
    ("30 2 * * ? *", BERLIN, "2025-10-25", 3, ["25 02:30+0200", "26 02:30+0200", "27 02:30+0100"]),
    ("45 1 * * ? *", LORD_HOWE, "2025-04-05", 1, ["06 01:45+1100"]),
]


@pytest.mark.parametrize(("text", "zone", "start", "days", "expected"), CHANGES)
def test_each_slot_fires_once_when_the_clock_changes(
    text: str, zone: ZoneInfo, start: str, days: int, expected: list[str]
) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert stamps(parse_cron(text).between(begin, begin + days * DAY, zone)) == expected


def test_a_change_off_the_whole_minute_is_found_to_the_second() -> None:
    monrovia = ZoneInfo("Africa/Monrovia")
    assert parse_cron("30 0 * * ? *").next(utc(1972, 1, 7), monrovia) == utc(1972, 1, 7, 0, 44, 30)


def test_asked_from_within_the_fold() -> None:
    cron = parse_cron("0/15 * ? * * *")
    first, second = (datetime(2025, 10, 26, 2, 20, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    for moment, around in ((first, ["26 02:15+0200", "26 02:30+0200"]), (second, ["26 02:45+0200", "26 03:00+0100"])):
        assert stamps(filter(None, (cron.previous(moment, BERLIN), cron.next(moment, BERLIN)))) == around
    # 02:45 of the first time is before 02:20 of the second, although its clock shows more.
    assert stamps(cron.between(first, second, BERLIN)) == ["26 02:30+0200", "26 02:45+0200"]


@pytest.mark.parametrize(("day", "times"), [("2025-03-30", 92), ("2025-10-26", 96), ("2025-06-01", 96)])
def test_a_frequent_cron_has_each_wall_clock_slot_once(day: str, times: int) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    end = (start + DAY).astimezone(UTC) - MINUTE
    found = list(parse_cron("0/15 * ? * * *").between(start - MINUTE, end, BERLIN))
    assert len(found) == times
    assert len({fired.replace(tzinfo=None) for fired in found}) == times


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_excluded_dates_are_those_of_the_zone() -> None:
    cron, holiday = parse_cron("0 8 * * ? *"), date(2025, 1, 2)
    # 08:00 in Kolkata is 02:30 UTC of the same date, 22:00 in New York is 03:00 UTC of the next one.
    assert cron.next(utc(2025, 1, 1, 12), KOLKATA, [holiday]) == utc(2025, 1, 3, 2, 30)
    late = parse_cron("0 22 * * ? *")
    assert late.next(utc(2025, 1, 2, 12), NEW_YORK, {holiday}) == utc(2025, 1, 4, 3)
    assert late.previous(utc(2025, 1, 3, 12), NEW_YORK, (holiday,)) == utc(2025, 1, 2, 3)
    # The 30th, which Apia skipped, would have fired when the 31st begins.
    found = cron.between(utc(2011, 12, 29), utc(2011, 12, 31), APIA, {date(2011, 12, 30)})
    assert stamps(found) == ["29 08:00-1000", "31 08:00+1400"]
    assert parse_cron("0 8 2 1 ? 2025").next(utc(2025, 1, 1), UTC, {holiday}) is None


def test_any_moment_will_do_that_is_aware() -> None:
    cron = parse_cron("0 0 * * ? *")
    with pytest.raises(TypeError):
        cron.next(datetime(2025, 1, 1))
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for zone in (UTC, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Niue")):
        first, last = cron.next(begin, zone), cron.previous(end, zone)
        assert first == datetime(1970, 1, 1, tzinfo=zone) and last == datetime(2199, 12, 31, tzinfo=zone)
        assert cron.previous(begin, zone) is None and cron.next(end, zone) is None
        assert list(parse_cron("0 0 1 1 ? 2199").between(begin, end, zone)) == [datetime(2199, 1, 1, tzinfo=zone)]


@pytest.mark.parametrize(
    ("text", "ever"),
    [("0 0 30 2 ? *", False), ("0 0 29 2 ? 2100", False), ("0 0 31 4,6,9,11 ? *", False), ("0 0 29 2 ? *", True)],
)
def test_ever(text: str, ever: bool) -> None:
    assert parse_cron(text).ever() is ever


@pytest.mark.parametrize(
    ("text", "after", "zone", "shortest"),
    [
        ("* * * * ? *", utc(2025, 1, 1), BERLIN, MINUTE),
        ("0/15 8-17 ? * MON-FRI *", utc(2025, 1, 1), BERLIN, 15 * MINUTE),
        ("0 8 * * ? *", utc(2025, 1, 1), UTC, DAY),
        ("0 8 * * ? *", utc(2025, 1, 1), BERLIN, timedelta(hours=23)),
        ("0 8 1,20 * ? *", utc(2025, 1, 1), UTC, 9 * DAY),  # February
        ("0 0 29 2 ? *", utc(2025, 1, 1), UTC, 1461 * DAY),
        ("30 2,3 * * ? *", utc(2025, 1, 1), BERLIN, 30 * MINUTE),  # 02:30 is in the gap and fires at 03:00
        ("0 0,4 26 10 ? 2025", utc(2025, 1, 1), BERLIN, timedelta(hours=5)),
        ("0 1,4 30 3 ? 2025", utc(2025, 1, 1), BERLIN, timedelta(hours=2)),
        ("0 2,3 30 3 ? 2025", utc(2025, 1, 1), BERLIN, None),  # one firing
        ("20,40 2,4 26 10 ? 2025", datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=1), BERLIN, 20 * MINUTE),
        ("20,40 2 26 10 ? 2025", datetime(2025, 10, 26, 2, 10, tzinfo=BERLIN, fold=1), BERLIN, None),
        ("0 8,9 31 12 ? 2025", utc(2025, 12, 31, 7, 30), UTC, timedelta(hours=1)),
        ("0 8,9 31 12 ? 2025", utc(2025, 12, 31, 8, 30), UTC, None),
        ("0 0 30 2 ? *", utc(2025, 1, 1), UTC, None),
        ("0 8 * * ? *", utc(2011, 12, 1), APIA, timedelta(hours=8)),  # the skipped date fires at midnight
    ],
)
def test_the_shortest_interval(text: str, after: datetime, zone: ZoneInfo, shortest: timedelta | None) -> None:
    assert parse_cron(text).shortest_interval(after, zone) == shortest


def placed(cron: Cron, after: datetime, zone: ZoneInfo) -> list[datetime]:
    """In UTC, to the end of the first date that is later than 366 days from the first firing."""
    found: list[datetime] = []
    for fired in cron.between(after, utc(2199, 12, 31), zone):
        if len(found) > 1 and found[-1] - found[0] > 366 * DAY and fired.date() > found[-1].astimezone(zone).date():
            break
        found.append(fired.astimezone(UTC))
    return found


FEW_MINUTES = st.sampled_from(["0", "30", "10,50", "0,59"])
FEW_HOURS = st.sampled_from(["2", "3", "1,2", "2,3", "0,2,4", "0,23", "1-3"])
FEW = st.tuples(FEW_MINUTES, FEW_HOURS, DAYS).map(
    lambda parts: f"{parts[0]} {parts[1]} {parts[2][0]} * {parts[2][1]} *"
)


@settings(max_examples=60)
@given(
    FEW | st.sampled_from(["0/10 1-4 ? * * *", "0/30 * ? * SUN *"]),
    st.integers(0, 366 * 24 * 60),
    st.sampled_from([UTC, BERLIN, NEW_YORK, LORD_HOWE, BEIRUT, ZoneInfo("America/Havana")]),
)
def test_the_shortest_interval_is_that_of_all_slots_placed(text: str, minute: int, zone: ZoneInfo) -> None:
    cron, after = parse_cron(text), utc(2024, 6, 1) + minute * MINUTE
    found = placed(cron, after, zone)
    assert cron.shortest_interval(after, zone) == min((b - a for a, b in pairwise(found)), default=None)
