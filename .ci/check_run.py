"""Checks the object that `trainyard sandbox run --json` prints: one line on standard input."""
import json
import re
import sys

KEYS = {
    "state", "runID", "metrics", "imagesPerSecond", "capacityAttempts", "outputs", "cost",
    "cloudResourcesRemaining", "outputDirectory", "attempts", "restarts", "restartsCountTowardsMax", "reason",
}
# Values that a run may have instead of an undisturbed one's: check_run.py preempted=2
expected = dict(argument.split("=", 1) for argument in sys.argv[1:])
preempted = int(expected.get("preempted", 0))
epochs = int(expected.get("epochs", 1))


def check(condition, message):
    if not condition:
        sys.exit(f"check_run.py: {message}")


run = json.loads(sys.stdin.read())
check(set(run) == KEYS, f"the keys are {sorted(run)}")
check(run["state"] == "Complete", f"state is {run['state']}")
check(run["reason"] == "Succeeded", f"reason is {run['reason']}")
check(re.fullmatch(r"[a-z][-a-z0-9]*-[0-9a-f]{5}-r1", run["runID"]), f"runID is {run['runID']}")

metrics = run["metrics"]
check(set(metrics) == {"epoch", "train_loss", "test_loss", "test_accuracy"}, f"metrics are {metrics}")
check(metrics["epoch"] == epochs, f"epoch is {metrics['epoch']}")
check(85 <= metrics["test_accuracy"] <= 100, f"test_accuracy is {metrics['test_accuracy']}")
check(0 < metrics["test_loss"] < 1 and 0 < metrics["train_loss"] < 1, f"the losses are {metrics}")
check(run["imagesPerSecond"] > 50, f"imagesPerSecond is {run['imagesPerSecond']}")

searches = [(a["candidate"], a["zone"], a["result"]) for a in run["capacityAttempts"]]
if preempted:
    check([search[2] for search in searches] == ["Acquired"], f"the capacity attempts are {searches}")
else:
    check(
        searches == [("spot", "us-central1-a", "StockedOut"), ("spot", "us-central1-b", "Acquired")],
        f"the capacity attempts are {searches}",
    )

attempts = run["attempts"]
for attempt in attempts:
    check(set(attempt) == {"number", "cause", "fromStep", "toStep"}, f"an attempt is {attempt}")
check([a["number"] for a in attempts] == list(range(1, preempted + 2)), f"the attempts are {attempts}")
check([a["cause"] for a in attempts] == ["Preempted"] * preempted + ["Succeeded"], f"the attempts are {attempts}")
check(
    attempts[0]["fromStep"] == 0
    and all(0 < before["toStep"] == after["fromStep"] for before, after in zip(attempts, attempts[1:])),
    f"an attempt does not begin where the one before ended: {attempts}",
)
check(run["restarts"] == preempted, f"restarts is {run['restarts']}")
check(run["restartsCountTowardsMax"] == 0, f"restartsCountTowardsMax is {run['restartsCountTowardsMax']}")

outputs = {output["path"]: output for output in run["outputs"]}
check({"metrics.json", "model.safetensors"} <= set(outputs), f"the outputs are {sorted(outputs)}")
for path, output in outputs.items():
    check(output["verified"] is True, f"{path} is not verified")
    check(output["sizeBytes"] > 0 and output["crc32c"], f"{path} has no size or checksum: {output}")

cost = run["cost"]
check(set(cost) == {"currencyCode", "accrued", "hourlyRate", "basis"}, f"cost is {cost}")
check(cost["currencyCode"] == "USD" and float(cost["accrued"]) > 0, f"cost is {cost}")
check(run["cloudResourcesRemaining"] == 0, f"{run['cloudResourcesRemaining']} cloud resources remain")
print(
    f"{run['runID']}: {metrics['test_accuracy']} % after epoch {epochs}, {run['imagesPerSecond']} images/s, "
    f"{cost['accrued']} {cost['currencyCode']}, 0 cloud resources remain"
)
