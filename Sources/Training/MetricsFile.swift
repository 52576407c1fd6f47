import Encoding

/// `metrics.json`: one object of equally long arrays, one element for each epoch.
enum MetricsFile {
    static func encoded(_ history: [EpochMetrics]) -> [UInt8] {
        let columns: JSONValue = [
            "epoch": .array(history.map { .integer(Int64($0.epoch)) }),
            "train_loss": .array(history.map { .number($0.trainLoss) }),
            "test_loss": .array(history.map { .number($0.testLoss) }),
            "test_accuracy": .array(history.map { .number($0.testAccuracy) }),
            "images_per_second": .array(history.map { .number($0.imagesPerSecond) }),
        ]
        return Array(columns.prettyPrinted().utf8)
    }
}
