import Encoding
import System
import Training

/// The Open Inference Protocol, version 2, over HTTP: what the model is, and answers in its form.
///
/// Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
struct InferenceProtocol: Sendable {
    var modelName: String
    var modelVersion: String?
    var signature: ModelSignature

    static let inputTypes = ["UINT8", "INT8", "INT16", "INT32", "INT64", "UINT16", "UINT32", "UINT64", "FP32", "FP64"]

    static var serverMetadata: JSONValue {
        ["name": "trainyard-trainer", "version": .string(Version.text), "extensions": []]
    }

    var modelMetadata: JSONValue {
        var metadata: JSONValue = [
            "name": .string(modelName), "platform": "trainyard_cnn",
            "inputs": [
                [
                    "name": "images", "datatype": "UINT8",
                    "shape": [-1, 1, .integer(Int64(signature.height)), .integer(Int64(signature.width))],
                ]
            ],
            "outputs": [
                ["name": "class", "datatype": "INT64", "shape": [-1]],
                ["name": "scores", "datatype": "FP32", "shape": [-1, .integer(Int64(signature.classCount))]],
            ],
        ]
        if let modelVersion { metadata["versions"] = [.string(modelVersion)] }
        return metadata
    }

    func reply(id: String?, outputs wanted: [String]?, _ predictions: Predictions) -> JSONValue {
        var outputs: [JSONValue] = []
        if wanted?.contains("class") ?? true {
            outputs.append([
                "name": "class", "datatype": "INT64", "shape": [.integer(Int64(predictions.count))],
                "data": .array(predictions.classes.map { .integer(Int64($0)) }),
            ])
        }
        if wanted?.contains("scores") ?? true {
            outputs.append([
                "name": "scores", "datatype": "FP32",
                "shape": [.integer(Int64(predictions.count)), .integer(Int64(signature.classCount))],
                "data": .array(predictions.probabilities.map(Predictions.number)),
            ])
        }
        var reply: JSONValue = ["model_name": .string(modelName), "outputs": .array(outputs)]
        if let modelVersion { reply["model_version"] = .string(modelVersion) }
        if let id { reply["id"] = .string(id) }
        return reply
    }
}

/// What the model says of some images.
struct Predictions: Sendable, Hashable {
    /// Of all classes, image after image.
    var probabilities: [Float]
    var classCount: Int

    var count: Int { probabilities.count / classCount }

    func row(_ image: Int) -> ArraySlice<Float> {
        probabilities[(image * classCount)..<((image + 1) * classCount)]
    }

    /// The most probable class of each image, the first of equals.
    var classes: [Int] { (0..<count).map { best($0).index } }

    func best(_ image: Int) -> (index: Int, score: Float) {
        var best = (index: 0, score: -Float.infinity)
        for (index, score) in row(image).enumerated() where score > best.score { best = (index, score) }
        return best
    }

    /// Six decimals: more say nothing.
    static func number(_ value: Float) -> JSONValue { .number((Double(value) * 1e6).rounded() / 1e6) }

    /// `{"predictions": [{"class": 9, "score": 0.98}, ...]}`, with all scores where they are wanted.
    func reply(withScores: Bool, version: String?) -> JSONValue {
        var predictions: [JSONValue] = []
        for image in 0..<count {
            let best = best(image)
            var prediction: JSONValue = ["class": .integer(Int64(best.index)), "score": Self.number(best.score)]
            if withScores { prediction["scores"] = .array(row(image).map(Self.number)) }
            predictions.append(prediction)
        }
        var reply: JSONValue = ["predictions": .array(predictions)]
        if let version { reply["modelVersion"] = .string(version) }
        return reply
    }
}
