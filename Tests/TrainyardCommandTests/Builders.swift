import Encoding

@testable import TrainyardCommand

/// A TrainingJob as the API server sends it, with the given status.
func job(epochs: String? = "2", status: JSONValue = .null) -> JobView {
    var object: JSONValue = [
        "metadata": ["name": "fashion-mnist", "namespace": "default"], "spec": ["trainer": [:]], "status": status,
    ]
    if let epochs { object.set(.string(epochs), at: ["spec", "trainer", "hyperparameters", "epochs"]) }
    return JobView(object)
}

func condition(_ type: String, _ status: Bool, _ reason: String, _ message: String = "") -> JSONValue {
    [
        "type": .string(type), "status": .string(status ? "True" : "False"), "reason": .string(reason),
        "message": .string(message), "lastTransitionTime": "2026-11-21T10:00:00Z",
    ]
}

func attempt(_ candidate: String, _ zone: String, _ result: String, code: String? = nil, count: Int64 = 1) -> JSONValue
{
    var attempt: JSONValue = [
        "candidate": .string(candidate), "zone": .string(zone), "result": .string(result), "count": .integer(count),
    ]
    attempt["code"] = code.map(JSONValue.string)
    return attempt
}

extension JobView {
    /// The same job with the trainer's progress.
    func training(
        percent: Int, epoch: Int, loss: Double = 0.4321, rate: Double = 1012.4, remaining: Int = 62,
        history: [Progress.Epoch] = []
    ) -> JobView {
        var job = self
        job.progress = Progress(
            percent: percent, epoch: epoch, totalEpochs: 2, remainingSeconds: remaining, trainLoss: loss,
            imagesPerSecond: rate, history: history)
        return job
    }
}

func epoch(_ number: Int, train: Double, test: Double, accuracy: Double) -> JobView.Progress.Epoch {
    JobView.Progress.Epoch(
        epoch: number, metrics: ["train_loss": train, "test_loss": test, "test_accuracy": accuracy])
}
