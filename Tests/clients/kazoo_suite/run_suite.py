"""Runs kazoo's own test suite and writes one line per test: outcome and name.

    python Tests/clients/kazoo_suite/run_suite.py --server zookeeper --out expected.txt
    python Tests/clients/kazoo_suite/run_suite.py --server jackdaw --select test_lock

The first line renews what `test_kazoo_suite.py` compares with.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import kazoo

HERE = pathlib.Path(__file__).resolve().parent


def outcomes(report):
    """{test name: passed | failed | skipped} of a JUnit report."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}".removeprefix("kazoo.tests.")
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            found[name] = "failed"
        elif "skipped" in kinds:
            found[name] = "skipped"
        else:
            found.setdefault(name, "passed")
    return found


def run(server, logs, select=None, seconds=1800, modules=None, tls=True):
    """Runs the suite in a process of its own, for its cluster ends with its process."""
    report = pathlib.Path(logs) / "report.xml"
    targets = [f"kazoo.tests.{module}" for module in modules] if modules else ["kazoo.tests"]
    command = [
        sys.executable, "-m", "pytest", "-p", "kazoo_cluster", "--pyargs", *targets, "-q",
        "--timeout", "120", "--durations", "10", "--junitxml", report, "-p", "no:cacheprovider",
        "--rootdir", pathlib.Path(kazoo.__file__).parents[1],
        "-o", "junit_logging=no"]
    if select:
        command += ["-k", select]
    environment = {
        **os.environ, "PYTHONPATH": str(HERE), "KAZOO_SUITE_SERVER": server,
        "KAZOO_SUITE_LOGS": str(logs), "KAZOO_SUITE_TLS": "yes" if tls else "no"}
    # The suite waits longer there for what this plugin does not need.
    environment.pop("CI", None)
    log = pathlib.Path(logs) / "suite.log"
    with open(log, "wb") as output:
        subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT,
                       stdin=subprocess.DEVNULL, cwd=logs, timeout=seconds, check=False)
    return outcomes(report)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["jackdaw", "zookeeper"], default="jackdaw")
    parser.add_argument("--out", help="file to write; standard output otherwise")
    parser.add_argument("--select", help="as pytest's -k")
    parser.add_argument("--module", action="append", help="test_lock, test_client, …")
    parser.add_argument("--logs", help="folder for the servers' logs and the report")
    arguments = parser.parse_args()
    logs = arguments.logs or tempfile.mkdtemp()
    pathlib.Path(logs).mkdir(parents=True, exist_ok=True)
    found = run(arguments.server, logs, arguments.select, modules=arguments.module)
    text = "".join(f"{outcome} {name}\n" for name, outcome in sorted(found.items()))
    if arguments.out:
        pathlib.Path(arguments.out).write_text(text)
    else:
        print(text, end="")
    print(f"logs: {logs}", file=sys.stderr)


if __name__ == "__main__":
    main()
