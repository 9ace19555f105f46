#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the measurement files of build/bench into a report, and judges them against a baseline.

  report.py page IN OUT              IN/*.json -> OUT/results.json and OUT/index.html, and a table on stdout
  report.py guard BASELINE RUN...    exit 1 if a ratio of message.json and pipeline.json is over 10 % worse
                                     than in BASELINE in the best of the folders RUN
  report.py renew BASELINE RUN       make RUN the baseline
  report.py base RUN...              exit 1 if a ratio of ab.json to the base build is beyond its limit in the best
                                     of the folders RUN

marks.json says what is compared. Exit 2: something is missing or broken, in one line. bench/README.md has the format.
"""
import datetime
import html
import json
import math
import os
import platform
import statistics
import subprocess
import sys

TOLERANCE = 0.10
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "marks.json"), encoding="utf-8") as marks_file:
    MARKS = json.load(marks_file)


class Broken(Exception):
    """One line for the user."""


def read_measurement(folder, name):
    """The file NAME.json of a folder; None if there is none."""
    path = os.path.join(folder, name + ".json")
    try:
        with open(path, encoding="utf-8") as file:
            made = json.load(file)
        if made["name"] != name:
            raise ValueError(f"it calls itself {made['name']}")
        seen = set()
        for sample in made["samples"]:
            key = (sample["who"], sample["load"], sample["metric"])
            if key in seen:
                raise ValueError(f"it has two samples {', '.join(key)}")
            seen.add(key)
            if not sample["values"] or not all(type(value) in (int, float) for value in sample["values"]):
                raise ValueError(f"the sample {', '.join(key)} has no values, or one that is not a number")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Broken(f"{path} is broken: {error}".replace("\n", " ")) from error
    return made


def read_all(folder):
    found = {name: read_measurement(folder, name) for name in MARKS["files"]}
    return {name: made for name, made in found.items() if made}


def find(measurement, who, load, metric):
    for sample in measurement["samples"]:
        if (sample["who"], sample["load"], sample["metric"]) == (who, load, metric):
            return sample
    return None


def ratios(above, below):
    """Round by round, because the machine's noise hits both programs of a round."""
    if len(above["values"]) != len(below["values"]):
        raise Broken(f"rounds do not pair: {above['who']} has {len(above['values'])}, {below['who']} has "
                     f"{len(below['values'])} ({above['load']}, {above['metric']}); measure again")
    if 0 in below["values"]:
        return []
    return [a / b for a, b in zip(above["values"], below["values"])]


def derive(mark, measurements):
    """The values of a mark and, if there are none, the reason."""
    made = measurements.get(mark["file"])
    if made is None:
        return [], f"not measured: there is no {mark['file']}.json"
    if mark.get("sum"):
        samples = [s for s in made["samples"] if (s["who"], s["metric"]) == (mark["above"], mark["metric"])]
        values = [sum(sum(s["values"]) for s in samples)] if samples else []
        return values, "" if values else f"{mark['file']}.json has no {mark['above']}, {mark['metric']}"
    base = made.get("versions", {}).get("base of ab")
    if mark.get("base") not in (None, base):
        return [], f"measured against {base}: scripts/ab --base {mark['base']} --json build/bench/ab.json"
    return sampled(mark, made)


def sampled(mark, made):
    samples = []
    for who in (mark["above"], mark.get("below")):
        if who is None:
            continue
        samples.append(find(made, who, mark["load"], mark["metric"]))
        if samples[-1] is None:
            return [], f"{mark['file']}.json has no {who}, {mark['load']}, {mark['metric']}"
    if len(samples) == 1:
        return samples[0]["values"], ""
    values = ratios(*samples)
    return values, "" if values else f"{mark['below']} measured 0"


def quantile(values, share):
    """Between the two nearest values, in proportion."""
    ordered = sorted(values)
    below = int(share * (len(ordered) - 1))
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (share * (len(ordered) - 1) - below) * (ordered[above] - ordered[below])


def spread_of(mark, values):
    """Rounds are few, and all count; of hundreds of short chunks the outer tenths say nothing."""
    return (quantile(values, 0.1), quantile(values, 0.9)) if mark["file"] == "ab" else (min(values), max(values))


def is_at_least(mark, limit, value):
    return value >= limit if mark["better"] == "larger" else value <= limit


def rows_of(measurements):
    rows = []
    for mark in MARKS["marks"]:
        values, why = derive(mark, measurements)
        row = {"id": mark["id"], "value": None, "low": None, "high": None, "reach": mark["reach"],
               "stretch": mark["stretch"], "reached": None}
        result = "not yet"
        if values:
            middle = statistics.median(values)
            low, high = spread_of(mark, values)
            row.update(value=middle, low=low, high=high)
            row["reached"] = is_at_least(mark, mark["reach"], middle)
            result = "not reached"
            if row["reached"]:
                result = "reached, and the next" if is_at_least(mark, mark["stretch"], middle) else "reached"
        rows.append((mark, row, result, why))
    return rows


def number(value):
    """Three significant digits, thousands with commas, no exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, min(2 if abs(value) >= 0.1 else 3, 2 - math.floor(math.log10(abs(value)))))
    rounded = round(value, 2 - math.floor(math.log10(abs(value)))) if abs(value) >= 1000 else value
    text = f"{rounded:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cpu_model():
    def field(key):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.split(":")[0].strip() == key), "")
    name = field("model name")
    if not name:
        return "unknown"
    return f"{name} (family {field('cpu family')}, model {field('model')})" if field("cpu family") else name


def commit_of_tree():
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)bench/report",
                  ":(top,exclude)bench/baseline.json", ":(top,exclude)*.md")
    return (git("rev-parse", "HEAD") or "unknown") + ("-dirty" if changed else "")


def age(measurement, now):
    try:
        minutes = int((now - datetime.datetime.fromisoformat(measurement["date"])).total_seconds() // 60)
    except (KeyError, ValueError, TypeError):
        return "unknown"
    for limit, size, unit in ((120, 1, "minute"), (48 * 60, 60, "hour"), (None, 24 * 60, "day")):
        if limit is None or minutes < limit:
            count = max(0, minutes) // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "unknown"


def write(path, text):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".part", path)


def table(head, rows):
    cells = lambda tag, row: "".join(f"<{tag}>{cell}</{tag}>" for cell in row)
    return (f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>" +
            "".join(f"<tr>{cells('td', row)}</tr>\n" for row in rows) + "</tbody></table>\n")


def section(measurement, now):
    """One file: its notes, and each sample with a bar that compares it within its load and metric."""
    e = html.escape
    largest = {}
    for sample in measurement["samples"]:
        key = (sample["load"], sample["metric"])
        largest[key] = max(largest.get(key, 0), statistics.median(sample["values"]))
    rows = []
    for sample in measurement["samples"]:
        middle = statistics.median(sample["values"])
        share = 100 * middle / (largest[sample["load"], sample["metric"]] or 1)
        remarks = "; ".join(f"{k}: {v}" for k, v in sample.items()
                            if k not in ("who", "load", "metric", "unit", "values") and isinstance(v, str))
        who = e(sample["who"]) + (f" <small>{e(remarks)}</small>" if remarks else "")
        rows.append((e(sample["load"]), e(sample["metric"]), who, f"{number(middle)} {e(sample.get('unit', ''))}",
                     f"{number(min(sample['values']))} to {number(max(sample['values']))}",
                     f'<div class="bar" style="width:{max(0.0, share):.0f}%"></div>'))
    text = f'<h2 id="{e(measurement["name"])}">{e(measurement.get("title", measurement["name"]))}</h2>\n'
    commit = e(measurement.get("commit", "unknown"))
    text += f"<p>Measured {age(measurement, now)} before this page, commit {commit}.</p>\n"
    text += "".join(f"<p>{e(note)}</p>\n" for note in measurement.get("notes", []))
    text += table(("Load", "Metric", "Program", "Median", "Low to high", "Within its load and metric"), rows)
    return text + "".join(f"<pre>{e(command)}</pre>\n" for command in measurement.get("commands", []))


STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884;
vertical-align:top}td:last-child{min-width:8rem}.bar{background:#4b94f0;height:.8rem}pre{overflow-x:auto;white-space:pre-wrap}
small{opacity:.7}"""


def page(measurements, rows, facts, warnings, now):
    e = html.escape
    reached = sum(1 for _, row, _, _ in rows if row["reached"])
    marks = [(f"{e(mark['what'])}<br><small>against {e(mark['against'])}</small>",
              f"{number(row['value'])} {mark['unit']}" if values else "-",
              f"{number(row['low'])} to {number(row['high'])}" if values else "-",
              number(mark["reach"]), number(mark["stretch"]), result + (f"<br><small>{e(why)}</small>" if why else ""))
             for mark, row, result, why in rows for values in [row["value"] is not None]]
    body = "<h1>Viaduct, measured next to other programs</h1>\n"
    body += f"<p><strong>{reached} of {len(rows)} marks reached.</strong> Values are medians of all rounds; a ratio is "
    body += "taken within each round. Machines differ: compare ratios, not times, between this page and yours.</p>\n"
    body += "".join(f"<p><strong>Note.</strong> {e(warning)}</p>\n" for warning in warnings)
    head = ("What", "Measured", "Low to high", "Mark", "Next mark", "Result")
    body += '<h2 id="marks">Marks</h2>\n' + table(head, marks)
    for name in MARKS["files"]:
        if name in measurements:
            body += section(measurements[name], now)
        else:
            body += f'<h2 id="{name}">{name}</h2>\n<p>Not measured yet.</p>\n'
    body += '<h2 id="machine">Machine and versions</h2>\n'
    body += table(("", ""), [(e(key), e(value)) for key, value in facts.items()])
    body += '<h2 id="repeat">Repeat it</h2>\n<pre>scripts/bench    # as root on Debian 12, nothing else running</pre>\n'
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Viaduct, measured</title>'
            f"<style>{STYLE}</style></head><body>\n{body}</body></html>\n")


def make_report(measurements, now):
    """(results.json, index.html, table for the terminal)"""
    rows = rows_of(measurements)
    commits = {name: made.get("commit") or "unknown" for name, made in measurements.items()}
    commit = next(iter(commits.values())) if len(set(commits.values())) == 1 else commit_of_tree()
    warnings = []
    if len(set(commits.values())) > 1:
        which = ", ".join(f"{name} {what[:10]}" for name, what in commits.items())
        warnings.append(f"The figures are not all of the same commit: {which}.")
    if any(what.endswith("-dirty") for what in commits.values()):
        warnings.append("The tree that was measured had changes that are not committed.")
    versions = {}
    for made in measurements.values():
        for what, version in made.get("versions", {}).items():
            versions.setdefault(what, [])
            if version not in versions[what]:
                versions[what].append(version)
    versions = {what: ", ".join(all_of) for what, all_of in sorted(versions.items())}
    machine = {"cpu": cpu_model(), "cores": str(os.cpu_count()), "kernel": platform.release()}
    date = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    results = {"machine": machine, "commit": commit, "versions": versions, "date": date,
               "rows": [row for _, row, _, _ in rows]}
    lines = [f"{'ROW':<20} {'VALUE':>9}  {'LOW TO HIGH':<19} {'REACH':>7} {'STRETCH':>7}  RESULT"]
    for mark, row, result, why in rows:
        value, spread = ("-", "-") if row["value"] is None else (
            number(row["value"]), f"{number(row['low'])} to {number(row['high'])}")
        lines.append(f"{mark['id']:<20} {value:>9}  {spread:<19} {number(mark['reach']):>7} "
                     f"{number(mark['stretch']):>7}  {result}{f' ({why})' if why else ''}")
    lines += [f"{name:<10} measured {age(made, now)} ago, commit {commits[name][:10]}"
              for name, made in measurements.items()]
    lines += [f"warning: {warning}" for warning in warnings]
    facts = {**machine, **versions, "commit": commit, "date": date}
    return json.dumps(results, indent=1) + "\n", page(measurements, rows, facts, warnings, now), "\n".join(lines)


def measured_baseline(folder):
    made = {"cpu": cpu_model(), "level": "", "ratios": {}}
    measurements = read_all(folder)
    for name, (file, metric, peer, ours) in MARKS["guard"].items():
        if file not in measurements:
            raise Broken(f"there is no {file}.json in {folder} to judge")
        above, below = (find(measurements[file], *one, metric) for one in (peer, ours))
        if above is None or below is None:  # a library or a vector level that is not there
            continue
        values = ratios(above, below)
        if values:
            made["ratios"][name] = round(statistics.median(values), 2)
        made["level"] = below.get("level", made["level"])
    return made


def judge(baseline, runs):
    """(exit code, lines): each ratio at its best of all runs."""
    for run in runs:
        if (run["cpu"], run["level"]) != (baseline["cpu"], baseline["level"]):
            return 0, [f"skipped: the baseline is of another CPU ({baseline['cpu']}, {baseline['level']}; this is "
                       f"{run['cpu']}, {run['level']}); renew it with scripts/bench --baseline"]
    code, lines = 0, []
    for name, was in baseline["ratios"].items():
        best = max((run["ratios"][name] for run in runs if name in run["ratios"]), default=None)
        is_worse = best is None or best < was * (1 - TOLERANCE)
        code = code or int(is_worse)
        change = "not measured: is the library installed?" if best is None else f"{100 * (best / was - 1):+.1f} %"
        lines.append(f"{'FAIL' if is_worse else 'ok':<5} {name:<24} {'-' if best is None else number(best):>7}, "
                     f"baseline {number(was):>7}  {change}")
    return code, lines


def judge_base(runs):
    """(exit code, lines): each ratio to the base build at its best of all runs, against its limit."""
    code, lines = 0, []
    for mark in MARKS["marks"]:
        if mark["file"] != "ab":
            continue
        found = [values for values, _ in (sampled(mark, made) for made in runs) if values]
        best = (max if mark["better"] == "larger" else min)(found, key=statistics.median, default=None)
        is_good = best is not None and is_at_least(mark, mark["limit"], statistics.median(best))
        code = code or int(not is_good)
        measured = "not measured"
        if best is not None:
            low, high = spread_of(mark, best)
            measured = f"{number(statistics.median(best)):>5} ({number(low)} to {number(high)})"
        least = "at least" if mark["better"] == "larger" else "at most"
        lines.append(f"{'ok' if is_good else 'FAIL':<5} {mark['id']:<24} {measured:<22} {least} {number(mark['limit'])}")
    return code, lines


def main(words):
    match words:
        case ["page", source, target]:
            results, index, terminal = make_report(read_all(source), datetime.datetime.now(datetime.timezone.utc))
            os.makedirs(target, exist_ok=True)
            write(os.path.join(target, "results.json"), results)
            write(os.path.join(target, "index.html"), index)
            print(f"{terminal}\npage: {target}/index.html")
            return 0
        case ["guard", path, *folders] if folders:
            try:
                with open(path, encoding="utf-8") as file:
                    baseline = json.load(file)
            except (OSError, ValueError) as error:
                raise Broken(f"{path}: {error}") from error
            code, lines = judge(baseline, [measured_baseline(folder) for folder in folders])
            print("\n".join(lines))
            return code
        case ["base", *folders] if folders:
            runs = [read_measurement(folder, "ab") for folder in folders]
            if None in runs:
                raise Broken(f"there is no ab.json in {folders[runs.index(None)]} to judge")
            code, lines = judge_base(runs)
            print("\n".join(lines))
            return code
        case ["renew", path, folder]:
            made = measured_baseline(folder)
            write(path, json.dumps(made, indent=1) + "\n")
            print(f"{path}: {len(made['ratios'])} ratios of {made['cpu']}, {made['level']}")
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Broken, OSError, KeyError, TypeError, AttributeError, ValueError) as problem:
        print(f"report: {problem}", file=sys.stderr)
        sys.exit(2)
