#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bench/report.py makes of measurement files: rows, page, guard, and what it refuses."""
import datetime
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.environ.get("REPORT") or os.path.join(os.path.dirname(__file__), "../../bench/report.py")
SPEC = importlib.util.spec_from_file_location("report", SCRIPT)
report = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(report)

NOW = datetime.datetime(2026, 11, 20, 18, 49, tzinfo=datetime.timezone.utc)


def sample(who, load, metric, values, **more):
    return {"who": who, "load": load, "metric": metric, "unit": "", "values": values, **more}


def one(name, *samples, **more):
    return {name: {"name": name, "title": name, "samples": list(samples), **more}}


def rig1(viaduct, testpmd):
    samples = [sample(who, "1000 Call-IDs", "pps", values) for who, values in (("viaduct", viaduct), ("testpmd", testpmd))]
    return one("rig1", *samples,
               commit="0123456789abcdef", date="2026-11-20T15:48:57Z", versions={"dpdk": "22.11"})


def row_of(measurements, name):
    return next((row, result, why) for mark, row, result, why in report.rows_of(measurements) if mark["id"] == name)


class Rows(unittest.TestCase):
    def test_are_all_there_in_order_even_without_a_file(self):
        rows = report.rows_of({})
        self.assertEqual([row["id"] for _, row, _, _ in rows],
                         ["digest_vs_libosip2", "digest_vs_sofia", "stages_ns", "rig1_vs_testpmd", "rig2_vs_testpmd",
                          "rig3_vs_kamailio", "ab_stages", "ab_mix", "ab_stateful", "ab_stateful_mixed", "ab_digest",
                          "ab_worst_digest", "ab_worst_stages", "loss_on_change"])
        for _, row, result, why in rows:
            self.assertIsNone(row["value"])
            self.assertIsNone(row["reached"])
            self.assertEqual(result, "not yet")
            self.assertTrue(why)

    def test_pair_values_of_the_same_round(self):  # unpaired, the medians would give 20 / 40
        row, result, _ = row_of(rig1([10, 20, 40], [40, 20, 100]), "rig1_vs_testpmd")
        self.assertAlmostEqual(row["value"], 0.4)
        self.assertAlmostEqual(row["low"], 0.25)
        self.assertAlmostEqual(row["high"], 1)
        self.assertEqual(result, "reached, and the next")

    def test_a_mark_itself_is_reached(self):
        row, result, _ = row_of(rig1([1, 2, 3, 4], [10, 10, 10, 10]), "rig1_vs_testpmd")
        self.assertAlmostEqual(row["value"], 0.25)
        self.assertEqual(result, "reached")

    def test_refuse_rounds_that_do_not_pair(self):
        with self.assertRaisesRegex(report.Broken, "rounds do not pair: viaduct has 2, testpmd has 1"):
            report.rows_of(rig1([1, 2], [10]))

    def test_are_not_yet_when_a_peer_is_missing_or_measured_nothing(self):
        alone = one("rig1", sample("viaduct", "1000 Call-IDs", "pps", [1]))
        self.assertEqual(row_of(alone, "rig1_vs_testpmd")[2], "rig1.json has no testpmd, 1000 Call-IDs, pps")
        self.assertEqual(row_of(rig1([1], [0]), "rig1_vs_testpmd")[2], "testpmd measured 0")

    def test_times_have_the_longer_one_above_the_line(self):
        row, _, _ = row_of(one("message", sample("viaduct_best", "mix of 1000", "ns_per_message", [50, 60]),
                               sample("libosip2", "mix of 1000", "ns_per_message", [5000, 4200])), "digest_vs_libosip2")
        self.assertEqual((row["low"], row["high"], row["reached"]), (70, 100, True))

    def test_smaller_numbers_reach_a_mark_where_those_are_better(self):
        for value, expected in ((86, "not reached"), (85, "reached"), (56, "reached, and the next")):
            stages = one("pipeline", sample("stages", "1000 messages", "ns_per_packet", [value]))
            self.assertEqual(row_of(stages, "stages_ns")[1], expected)

    def test_count_every_lost_packet_of_every_rate(self):
        lost = one("no_pause", sample("quiet", "200000 packets/s", "lost", [7, 7]),
                   sample("changing", "200000 packets/s", "lost", [0, 2]),
                   sample("changing", "200000 packets/s", "longest_gap_us", [90, 90]),
                   sample("changing", "100000 packets/s", "lost", [1, 0]))
        row, result, _ = row_of(lost, "loss_on_change")
        self.assertEqual((row["value"], result), (3, "not reached"))
        none = one("no_pause", sample("changing", "1 packets/s", "lost", [0, 0]))
        self.assertEqual(row_of(none, "loss_on_change")[1], "reached, and the next")


def ab(loads, base="56424cc"):
    """loads: the load, values of the base and of the new build."""
    samples = [sample(who, load, "ns", values) for load, *both in loads for who, values in zip(("base", "new"), both)]
    return one("ab", *samples, versions={"base of ab": base})


class AgainstTheBase(unittest.TestCase):
    def test_ratios_are_of_pairs_and_their_spread_leaves_out_the_outer_tenths(self):
        base, new = [100.0 + i for i in range(11)], [50.0] * 11
        row, result, _ = row_of(ab([("hash, 1000 INVITEs", base, new)]), "ab_stages")
        self.assertAlmostEqual(row["value"], 2.1)
        self.assertAlmostEqual(row["low"], 2.02)
        self.assertAlmostEqual(row["high"], 2.18)
        self.assertEqual(result, "reached, and the next")

    def test_the_worst_message_is_how_much_dearer_it_is(self):
        for new, expected in ((100, "reached, and the next"), (110, "reached"), (111, "not reached")):
            row, result, _ = row_of(ab([("worst message, all stages", [100], [new])]), "ab_worst_stages")
            self.assertAlmostEqual(row["value"], new / 100)
            self.assertEqual(result, expected)

    def test_a_mark_is_only_reached_against_its_own_base(self):
        _, result, why = row_of(ab([("hash, 1000 INVITEs", [190], [100])], base="v0.1.0"), "ab_stages")
        self.assertEqual((result, why),
                         ("not yet", "measured against v0.1.0: scripts/ab --base 56424cc --json build/bench/ab.json"))

    def test_limits_are_kept_by_the_better_of_two_runs_against_any_base(self):
        every = lambda ratio: ab([(mark["load"], [100], [100 / ratio]) for mark in report.MARKS["marks"]
                                  if mark["file"] == "ab"], base="v0.1.0")["ab"]
        self.assertEqual(report.judge_base([every(1)])[0], 0)
        self.assertEqual(report.judge_base([every(0.7)])[0], 1)
        self.assertEqual(report.judge_base([every(0.7), every(1)])[0], 0)
        code, lines = report.judge_base([every(0.85)])
        self.assertEqual(code, 1)
        self.assertEqual(lines[0], "FAIL  ab_stages                 0.85 (0.85 to 0.85)   at least 0.9")
        self.assertEqual(lines[5], "FAIL  ab_worst_digest           1.18 (1.18 to 1.18)   at most 1.1")

    def test_what_is_not_measured_fails(self):
        code, lines = report.judge_base([ab([])["ab"]])
        self.assertEqual(code, 1)
        self.assertIn("not measured", lines[0])


class Page(unittest.TestCase):
    def test_stands_alone_and_escapes_what_files_say(self):
        measurements = rig1([1], [2])
        measurements["rig1"]["notes"] = ["<script>alert(1)</script>"]
        measurements["rig1"]["samples"][1]["who"] = 'testpmd <&">'
        _, page, _ = report.make_report(measurements, NOW)
        for foreign in ("<script", "<link", "<img", "src=", "url(", "@import"):
            self.assertNotIn(foreign, page)
        self.assertIn("testpmd &lt;&amp;&quot;&gt;", page)

    def test_has_a_section_for_what_is_not_measured(self):
        _, page, _ = report.make_report({}, NOW)
        for name in report.MARKS["files"]:
            self.assertIn(f'<h2 id="{name}"', page)
        self.assertIn("0 of 14 marks reached", page)

    def test_survives_values_of_zero(self):
        _, page, _ = report.make_report(rig1([0, 0], [0, 0]), NOW)
        self.assertNotIn("nan", page)

    def test_warns_when_files_are_of_different_commits(self):
        other = {"rig2": dict(rig1([1], [2])["rig1"], name="rig2", commit="fedcba9876543210")}
        _, page, terminal = report.make_report({**rig1([1], [2]), **other}, NOW)
        warning = "The figures are not all of the same commit: rig1 0123456789, rig2 fedcba9876."
        self.assertIn(warning, page)
        self.assertIn("warning: " + warning, terminal)
        self.assertNotIn("warning", report.make_report(rig1([1], [2]), NOW)[2])

    def test_tells_the_age_of_a_measurement(self):
        measurement = rig1([1], [2])["rig1"]
        for minutes, expected in ((180, "3 hours"), (1, "1 minute"), (10 * 24 * 60, "10 days")):
            now = datetime.datetime.fromisoformat(measurement["date"]) + datetime.timedelta(minutes=minutes)
            self.assertEqual(report.age(measurement, now), expected)
        self.assertEqual(report.age({}, NOW), "unknown")

    def test_results_have_nulls_for_what_is_not_yet(self):
        results = json.loads(report.make_report(rig1([1], [2]), NOW)[0])
        self.assertEqual((results["commit"], results["versions"]["dpdk"], results["date"]),
                         ("0123456789abcdef", "22.11", "2026-11-20T18:49:00Z"))
        self.assertEqual(len(results["rows"]), len(report.MARKS["marks"]))
        self.assertIsNone(results["rows"][0]["value"])
        self.assertEqual((results["rows"][3]["id"], results["rows"][3]["reached"]), ("rig1_vs_testpmd", True))


class Guard(unittest.TestCase):
    @staticmethod
    def baseline(**ratios):
        return {"cpu": "a CPU", "level": "avx2", "ratios": ratios}

    def test_allows_ten_percent_and_no_more(self):
        for value, code in ((90.1, 0), (300, 0), (89.9, 1)):
            self.assertEqual(report.judge(self.baseline(a=100), [self.baseline(a=value)])[0], code)

    def test_takes_each_ratio_at_its_best_of_two_runs(self):
        was = self.baseline(a=100, b=100)
        self.assertEqual(report.judge(was, [self.baseline(a=50, b=100), self.baseline(a=100, b=50)])[0], 0)
        self.assertEqual(report.judge(was, [self.baseline(a=50, b=100), self.baseline(a=60, b=100)])[0], 1)

    def test_says_one_line_for_each_ratio(self):
        self.assertEqual(report.judge(self.baseline(a=100, b=10), [self.baseline(a=110, b=5)])[1],
                         ["ok    a                            110, baseline     100  +10.0 %",
                          "FAIL  b                              5, baseline      10  -50.0 %"])

    def test_misses_what_is_no_longer_measured(self):
        self.assertEqual(report.judge(self.baseline(a=1), [self.baseline()])[0], 1)

    def test_compares_nothing_with_another_cpu_or_level(self):
        for other in (dict(self.baseline(a=1), cpu="another"), dict(self.baseline(a=1), level="scalar")):
            code, lines = report.judge(self.baseline(a=100), [other])
            self.assertEqual(code, 0)
            self.assertIn("skipped: the baseline is of another CPU", lines[0])


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def run_on(self, *words):
        return subprocess.run([sys.executable, "-B", SCRIPT, *words], capture_output=True, text=True, check=False)

    def test_renews_and_judges_a_baseline_round_by_round(self):
        best = sample("viaduct_best", "mix of 1000", "ns_per_message", [10, 20, 10], level="avx2")
        peer = sample("libosip2", "mix of 1000", "ns_per_message", [900, 2000, 800])
        for name, made in {**one("message", best, peer), **one("pipeline")}.items():
            with open(self.path(name + ".json"), "w", encoding="utf-8") as file:
                json.dump(made, file)
        renewed = self.run_on("renew", self.path("baseline"), self.folder.name)
        self.assertEqual((renewed.returncode, renewed.stderr), (0, ""))
        with open(self.path("baseline"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {"cpu": report.cpu_model(), "level": "avx2",
                                               "ratios": {"digest_vs_libosip2": 90}})
        judged = self.run_on("guard", self.path("baseline"), self.folder.name)
        self.assertEqual(judged.returncode, 0)
        self.assertIn("+0.0 %", judged.stdout)

    def test_refuses_a_broken_file_in_one_line(self):
        good = '{"who":"a","load":"b","metric":"c","values":[1]}'
        of = lambda samples: '{"name":"rig1","samples":[' + samples + "]}"
        for text in ("", '{"name":"rig1","samples":[{"who":"v', "[]", '{"name":"rig1"}', '{"name":"rig2","samples":[]}',
                     of(good + "," + good), of('{"who":"a","load":"b","metric":"c","values":[]}'),
                     of('{"who":"a","load":"b","metric":"c","values":["1"]}'),
                     of('{"who":"a","load":"b","metric":"c","values":[null]}'), of('{"who":"a","load":"b","values":[1]}')):
            with open(self.path("rig1.json"), "w", encoding="utf-8") as file:
                file.write(text)
            refused = self.run_on("page", self.folder.name, self.path("out"))
            self.assertEqual(refused.returncode, 2, text)
            self.assertIn("rig1.json is broken: ", refused.stderr)
            self.assertEqual(refused.stderr.count("\n"), 1, refused.stderr)
            self.assertFalse(os.path.exists(self.path("out")))

    def test_judges_the_builds_of_the_folders_it_is_given(self):
        missing = self.run_on("base", self.folder.name)
        self.assertEqual((missing.returncode, missing.stderr),
                         (2, f"report: there is no ab.json in {self.folder.name} to judge\n"))
        with open(self.path("ab.json"), "w", encoding="utf-8") as file:
            json.dump(ab([("digest and hash", [90], [100])])["ab"], file)
        judged = self.run_on("base", self.folder.name)
        self.assertEqual(judged.returncode, 1)
        self.assertRegex(judged.stdout, "ok +ab_digest +0.9 ")

    def test_a_missing_baseline_is_said_in_one_line(self):
        missing = self.run_on("guard", self.path("none"), self.folder.name)
        self.assertEqual((missing.returncode, missing.stderr.count("\n")), (2, 1))


class Number(unittest.TestCase):
    def test_has_three_digits_and_no_exponent(self):
        for value, text in ((0, "0"), (0.3149, "0.31"), (0.0512, "0.051"), (2, "2"), (68.94, "68.9"), (578.2, "578"),
                            (9123456, "9,120,000"), (-1234, "-1,230")):
            self.assertEqual(report.number(value), text)


if __name__ == "__main__":
    unittest.main()
