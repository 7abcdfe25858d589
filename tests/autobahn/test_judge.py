"""Tests of `judge` with small made-up reports.

Run: python3 tests/autobahn/test_judge.py
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import pathlib
import sys
import tempfile
import unittest

# Importing `judge` must not leave a directory of bytecode in the checkout.
sys.dont_write_bytecode = True


def load_judge():
    # Its file has no suffix, so that a plain import does not find it.
    path = str(pathlib.Path(__file__).resolve().parent / "judge")
    loader = importlib.machinery.SourceFileLoader("judge", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("judge", loader))
    loader.exec_module(module)
    return module


judge = load_judge()


def result(behavior="OK", close="OK", duration=10):
    return {
        "behavior": behavior,
        "behaviorClose": close,
        "duration": duration,
        "remoteCloseCode": 1000,
    }


class Judge(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.report = pathlib.Path(directory.name)

    def write(self, agents):
        for agent, cases in agents.items():
            for case, entry in cases.items():
                entry["reportfile"] = f"{agent}_case_{case.replace('.', '_')}.json"
                detail = {
                    "description": f"What case {case}<br/><br/>tries &amp; why.",
                    "expectation": "An echo.",
                    "result": "Actual events differ from any expected.",
                    "resultClose": "Connection was properly closed",
                }
                (self.report / entry["reportfile"]).write_text(json.dumps(detail))
        (self.report / "index.json").write_text(json.dumps(agents))

    def judge(self, expect):
        """Returns the exit status and all that was printed."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = judge.main(["--expect", str(expect), str(self.report)])
        return status, output.getvalue()

    def test_all_ok_passes(self):
        self.write({"us": {"1.1.1": result(), "2.1": result(), "10.1.1": result()}})
        status, output = self.judge(3)
        self.assertEqual(status, 0)
        self.assertEqual(
            output.splitlines()[0],
            "us: 3 cases, 3 OK, 0 NON-STRICT, 0 INFORMATIONAL, 0 UNIMPLEMENTED, 0 FAILED, "
            "0 unclean closes",
        )
        self.assertNotIn("BAD", output)

    def test_informational_passes_in_the_behavior_and_in_the_close(self):
        self.write({"us": {"7.1.6": result("INFORMATIONAL", "INFORMATIONAL")}})
        status, output = self.judge(1)
        self.assertEqual(status, 0)
        self.assertIn("1 INFORMATIONAL", output)

    def test_non_strict_fails(self):
        self.write({"us": {"6.4.1": result("NON-STRICT"), "6.4.2": result()}})
        status, output = self.judge(2)
        self.assertEqual(status, 1)
        self.assertIn("1 OK, 1 NON-STRICT", output)
        self.assertIn("BAD: 6.4.1 behavior NON-STRICT, behaviorClose OK", output)
        self.assertIn("description: What case 6.4.1 tries & why.\n", output)
        self.assertIn("result: Actual events differ from any expected.\n", output)
        self.assertNotIn("6.4.2", output)

    def test_every_bad_close_fails(self):
        for close in ("UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED", "NON-STRICT", None):
            with self.subTest(close=close):
                self.write({"us": {"7.1.1": result(close=close)}})
                status, output = self.judge(1)
                self.assertEqual(status, 1)
                self.assertIn("1 OK", output)
                self.assertIn("1 unclean closes", output)
                self.assertIn(f"BAD: 7.1.1 behavior OK, behaviorClose {close}", output)

    def test_unimplemented_fails(self):
        self.write({"us": {"12.1.1": result("UNIMPLEMENTED")}})
        status, output = self.judge(1)
        self.assertEqual(status, 1)
        self.assertIn("1 UNIMPLEMENTED", output)

    def test_failed_fails(self):
        self.write({"us": {"1.1.1": result("FAILED")}})
        self.assertEqual(self.judge(1)[0], 1)

    def test_an_unknown_behavior_fails_and_is_counted(self):
        self.write({"us": {"1.1.1": result("SPLENDID")}})
        status, output = self.judge(1)
        self.assertEqual(status, 1)
        self.assertIn("0 FAILED, 1 SPLENDID", output)

    def test_a_missing_case_fails(self):
        self.write({"us": {"1.1.1": result()}})
        status, output = self.judge(2)
        self.assertEqual(status, 1)
        self.assertIn("BAD: 1 cases ran, but 2 were expected", output)

    def test_a_case_too_many_fails(self):
        self.write({"us": {"1.1.1": result(), "1.1.2": result()}})
        status, output = self.judge(1)
        self.assertEqual(status, 1)
        self.assertIn("BAD: 2 cases ran, but 1 were expected", output)

    def test_one_bad_agent_among_good_ones_fails(self):
        self.write({"bad": {"1.1.1": result("FAILED")}, "good": {"1.1.1": result()}})
        status, output = self.judge(1)
        self.assertEqual(status, 1)
        self.assertIn("good: 1 cases, 1 OK", output)

    def test_a_report_without_agents_is_no_report(self):
        self.write({})
        self.assertEqual(self.judge(0)[0], 2)

    def test_an_agent_without_cases_fails(self):
        self.write({"us": {}})
        self.assertEqual(self.judge(1)[0], 1)

    def test_no_report_is_told_apart_from_a_bad_one(self):
        status, output = self.judge(1)
        self.assertEqual(status, 2)
        self.assertIn("no report to judge", output)

    def test_a_torn_report_is_no_report(self):
        (self.report / "index.json").write_text('{"us": {')
        self.assertEqual(self.judge(1)[0], 2)

    def test_a_bad_case_without_its_own_report_is_still_told(self):
        self.write({"us": {"1.1.1": result("FAILED")}})
        (self.report / "us_case_1_1_1.json").unlink()
        status, output = self.judge(1)
        self.assertEqual(status, 1)
        self.assertIn("BAD: 1.1.1 behavior FAILED", output)

    def test_durations_are_summed_by_group_in_numeric_order(self):
        self.write(
            {
                "us": {
                    "10.1.1": result(duration=500),
                    "9.1.1": result(duration=1500),
                    "9.10.1": result(duration=2500),
                    "1.1.1": result(duration=40),
                }
            }
        )
        output = self.judge(4)[1]
        self.assertIn("seconds by group: 1: 0.04, 9: 4.00, 10: 0.50; 4.54 in all", output)

    def test_bad_cases_are_told_in_numeric_order(self):
        self.write({"us": {"9.10.1": result("FAILED"), "9.2.1": result("FAILED")}})
        output = self.judge(2)[1]
        self.assertLess(output.index("9.2.1"), output.index("9.10.1"))


if __name__ == "__main__":
    unittest.main()
