import Encoding

/// `metrics.json`: one object of equally long arrays, one element per epoch. Accuracies are percentages.
struct TrainingMetrics: Equatable, Sendable {
    var epoch: [Int]
    var trainLoss: [Double]
    var testLoss: [Double]
    var testAccuracy: [Double]
    /// Training images per second of each epoch; empty where the trainer does not say.
    var imagesPerSecond: [Double] = []

    /// Reads the file's bytes.
    ///
    /// - Throws: `RunError` with a sentence when an array is missing, not of numbers, empty or of another length.
    init(parsing bytes: [UInt8]) throws(RunError) {
        let object: JSONValue
        do {
            object = try JSONValue(parsing: bytes)
        } catch {
            throw RunError(.badData, "metrics.json is not JSON: \(error)")
        }
        epoch = try TrainingMetrics.column("epoch", of: object).map { Int($0) }
        trainLoss = try TrainingMetrics.column("train_loss", of: object)
        testLoss = try TrainingMetrics.column("test_loss", of: object)
        testAccuracy = try TrainingMetrics.column("test_accuracy", of: object)
        // Our own trainer's addition: other trainers write the four arrays above.
        imagesPerSecond = object["images_per_second"]?.arrayValue?.compactMap(\.doubleValue).filter { $0 > 0 } ?? []
        guard Set([epoch.count, trainLoss.count, testLoss.count, testAccuracy.count]).count == 1 else {
            throw RunError(.badData, "the arrays of metrics.json have different lengths")
        }
    }

    init(
        epoch: [Int], trainLoss: [Double], testLoss: [Double], testAccuracy: [Double], imagesPerSecond: [Double] = []
    ) {
        self.epoch = epoch
        self.trainLoss = trainLoss
        self.testLoss = testLoss
        self.testAccuracy = testAccuracy
        self.imagesPerSecond = imagesPerSecond
    }

    /// Training images per second of all epochs together, which have equally many images; nil where unknown.
    var overallImagesPerSecond: Double? {
        guard imagesPerSecond.count == epoch.count else { return nil }
        return Double(imagesPerSecond.count) / imagesPerSecond.reduce(0) { $0 + 1 / $1 }
    }

    /// The last epoch's values by the file's names.
    var last: JSONValue {
        .object([
            "epoch": epoch.last.map { .integer(Int64($0)) } ?? .null,
            "train_loss": trainLoss.last.map(JSONValue.number) ?? .null,
            "test_loss": testLoss.last.map(JSONValue.number) ?? .null,
            "test_accuracy": testAccuracy.last.map(JSONValue.number) ?? .null,
        ])
    }

    private static func column(_ name: String, of object: JSONValue) throws(RunError) -> [Double] {
        guard let elements = object[name]?.arrayValue else {
            throw RunError(.badData, "metrics.json has no array '\(name)'")
        }
        let values = elements.compactMap(\.doubleValue).filter { abs($0) < 1e15 }
        guard !values.isEmpty, values.count == elements.count else {
            throw RunError(
                .badData, "the array '\(name)' of metrics.json is empty or holds something else than numbers")
        }
        return values
    }
}
