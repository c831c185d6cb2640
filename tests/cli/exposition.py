#!/usr/bin/env python3
"""Is standard input Prometheus' text exposition format, 0.0.4? Exit code 0, or 1 and why.

In place of `promtool check metrics`, which has no package without the whole server
(100 MB). As strict as that, and more: it parses every line by the grammar of the format,
and checks families (HELP and TYPE once, before their samples, and together), names and
suffixes, escapes, duplicates, base units, and that histograms are cumulative, end with
+Inf, and agree with their _count. With arguments MOST it also bounds the number of samples
of one family.
"""

import math
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)(?: (-?\d+))?")
META = re.compile(rf"# (HELP|TYPE) ({NAME}) (.*)")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
NOT_BASE = re.compile(r"(milliseconds|microseconds|minutes|hours|bits|percent|_ms|_us)(_|$)")

complaints = []


def complain(number, text):
    complaints.append(f"line {number}: {text}")


def labels_of(number, text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        if not match:
            complain(number, f"labels cannot be read: {text[at:]}")
            return {}
        if match[1] in labels or match[1].startswith("__"):
            complain(number, f"label {match[1]}")
        labels[match[1]] = match[2]
        at = match.end()
    if text.endswith(","):
        complain(number, "a comma without a label")
    return labels


def value_of(number, text):
    try:
        if not re.fullmatch(r"[+-]?(Inf|NaN|[0-9.]+([eE][+-]?[0-9]+)?)", text):
            raise ValueError
        return float(text)
    except ValueError:
        complain(number, f"no number: {text}")
        return 0.0


def family_of(name, types):
    """The family a sample is of, and its suffix."""
    for suffix in ("_bucket", "_sum", "_count"):
        base = name[: -len(suffix)]
        if name.endswith(suffix) and types.get(base) in ("histogram", "summary"):
            return base, suffix
    return name, ""


def check_family(name, kind, number):
    if kind not in TYPES:
        complain(number, f"no type: {kind}")
    if (kind == "counter") != name.endswith("_total"):
        complain(number, f"{name}: a counter, and nothing else, ends in _total")
    if NOT_BASE.search(name):
        complain(number, f"{name}: seconds and bytes are the units")
    if kind != "histogram" and name.endswith(("_bucket", "_sum", "_count")):
        complain(number, f"{name}: is named as a part of a histogram")


def check_histogram(name, key, parts):
    buckets = parts.get("_bucket", [])
    bounds = [bound for bound, _ in buckets]
    counts = [count for _, count in buckets]
    where = f"{name} {dict(key)}"
    if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != math.inf:
        complaints.append(f"{where}: bounds do not grow up to +Inf: {bounds}")
    if counts != sorted(counts):
        complaints.append(f"{where}: not cumulative: {counts}")
    if "_count" not in parts or "_sum" not in parts or counts[-1:] != [parts["_count"]]:
        complaints.append(f"{where}: _count, _sum and the last bucket do not agree")
    elif parts["_count"] == 0 and parts["_sum"] != 0:
        complaints.append(f"{where}: a sum of nothing")


def check(text, most):
    types, helps, closed, seen, histograms, sizes = {}, set(), set(), set(), {}, {}
    current = None
    if text and not text.endswith("\n"):
        complain(0, "the last line has no end")
    for number, line in enumerate(text.split("\n")[:-1], 1):
        meta = META.fullmatch(line)
        sample = SAMPLE.fullmatch(line)
        if meta:
            word, family, rest = meta.groups()
            if family in closed or (word == "TYPE" and family in types):
                complain(number, f"{word} of {family} comes too late")
            if word == "HELP" and (family in helps or not rest):
                complain(number, f"HELP of {family} twice, or empty")
            if word == "HELP":
                helps.add(family)
            else:
                types[family] = rest
                check_family(family, rest, number)
        elif sample:
            labels = labels_of(number, sample[2] or "")
            family, suffix = family_of(sample[1], types)
            if family not in types or family not in helps:
                complain(number, f"{family} has no TYPE or no HELP")
            value = value_of(number, sample[3])
            key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
            if (sample[1], tuple(sorted(labels.items()))) in seen:
                complain(number, f"{sample[1]} {labels} twice")
            seen.add((sample[1], tuple(sorted(labels.items()))))
            sizes[family] = sizes.get(family, 0) + 1
            if types.get(family) == "histogram":
                parts = histograms.setdefault((family, key), {})
                if suffix == "_bucket":
                    bound = value_of(number, labels.get("le", "missing"))
                    parts.setdefault(suffix, []).append((bound, value))
                elif suffix:
                    parts[suffix] = value
                else:
                    complain(number, f"{sample[1]} is no part of a histogram")
            elif "le" in labels:
                complain(number, "only buckets have le")
            if types.get(family) == "counter" and not 0 <= value < math.inf:
                complain(number, "a counter is a number of at least 0")
        elif line and not (line.startswith("#") and not line.startswith(("# HELP", "# TYPE"))):
            complain(number, f"cannot be read: {line}")
        if meta or sample:
            name = meta[2] if meta else family
            if name != current and name in closed:
                complain(number, f"the lines of {name} do not stand together")
            if current and name != current:
                closed.add(current)
            current = name
    for (name, key), parts in histograms.items():
        check_histogram(name, key, parts)
    for family, count in sizes.items():
        if count > most:
            complaints.append(f"{family} has {count} samples, more than {most}")


check(sys.stdin.buffer.read().decode("utf-8"), int(sys.argv[1]) if len(sys.argv) > 1 else 10000)
print("\n".join(complaints))
sys.exit(1 if complaints else 0)
