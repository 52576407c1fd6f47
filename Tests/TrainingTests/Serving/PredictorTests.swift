import Glibc
import Kernels
import Testing
import TrainingContract

@testable import Training

@Suite(.timeLimit(.minutes(2))) struct PredictorTests {
    private static func weights(
        isDescribed: Bool = true, _ change: (inout Safetensors) -> Void = { _ in }
    ) throws(TrainingError) -> Safetensors {
        let network = Network(try smallPlan(), capacity: 1, backend: ReferenceBackend())
        network.parameters.initialize(seed: 7)
        var model = isDescribed ? network.model() : network.parameters.model()
        change(&model)
        return model
    }

    private static func predictor(_ model: Safetensors) throws(TrainingError) -> Predictor {
        try Predictor(model, name: "model.safetensors", backend: CPUBackend(threadCount: 2))
    }

    @Test(arguments: [true, false])
    func `the sizes come from the file, and the probabilities give the loss that training computes`(
        isDescribed: Bool
    ) async throws {
        let predictor = try Self.predictor(Self.weights(isDescribed: isDescribed))
        #expect(predictor.signature == ModelSignature(height: 12, width: 12, classCount: 10))
        let data = patterns(count: 70, side: 12, seed: 3)
        let probabilities = await predictor.probabilities(data.pixels.map(Float.init))
        #expect(probabilities.count == 700)
        var loss = 0.0
        for (image, label) in data.labels.enumerated() {
            let row = probabilities[(image * 10)..<(image * 10 + 10)]
            #expect(abs(row.reduce(0, +) - 1) < 1e-5)
            loss -= log(Double(row[image * 10 + Int(label)]))
        }
        // The specification's own words, over the same images.
        let network = Network(try smallPlan(), capacity: 70, backend: ReferenceBackend())
        try network.parameters.load(weights: Self.weights(), name: "model")
        data.fill(network.input, network.labels, with: (0..<70).map { UInt32($0) })
        #expect(abs(loss - network.evaluate(images: 70).sum) < 1e-3)
    }

    @Test func `an image's answer does not depend on those beside it`() async throws {
        let predictor = try Self.predictor(Self.weights())
        let pixels = patterns(count: 65, side: 12, seed: 4).pixels.map(Float.init)
        let together = await predictor.probabilities(pixels)
        for image in [0, 63, 64] {
            let alone = await predictor.probabilities(Array(pixels[(image * 144)..<(image * 144 + 144)]))
            for (index, value) in alone.enumerated() { #expect(abs(value - together[image * 10 + index]) < 1e-6) }
        }
    }

    @Test func `weights that are none are refused with a sentence`() throws {
        func problem(isDescribed: Bool = false, _ change: (inout Safetensors) -> Void) -> String {
            do throws(TrainingError) {
                _ = try Self.predictor(Self.weights(isDescribed: isDescribed, change))
                return "accepted"
            } catch {
                #expect(error.code == .badData)
                return error.message
            }
        }
        #expect(problem { _ in } == "accepted")
        #expect(
            problem { $0.entries.removeAll { $0.name == "conv1.weight" } }
                == "model.safetensors is no model that is known here: it has no tensor conv1.weight with 4 dimensions")
        #expect(problem { $0.entries.removeAll { $0.name == "fc2.bias" } }.contains("no tensor fc2.bias of shape"))
        #expect(problem { $0.entries[4].values[3] = .nan }.contains("diverged"))
        #expect(problem { $0.entries[0].shape = [3, 1, 9, 1] }.contains("do not belong together"))
        #expect(problem { $0.entries[4].shape = [5, 17 * 16] }.contains("do not belong together"))
        #expect(
            problem(isDescribed: true) { $0.entries.removeAll { $0.name == "conv1.weight" } }
                == "model.safetensors has no tensor conv1.weight of shape [3, 1, 3, 3]")
        #expect(
            problem(isDescribed: true) { $0.metadata["trainyard.model"] = "{" }.hasPrefix(
                "model.safetensors describes no model"))
        #expect(
            problem(isDescribed: true) { $0.metadata["trainyard.model"] = smallModel.text }
                == "model.safetensors: it does not say what images it takes")
        #expect(
            problem(isDescribed: true) {
                $0.metadata["trainyard.model"] = "{\"input\": [1, 4097, 12], \"layers\": []}"
            } == "model.safetensors: it does not say what images it takes")
    }
}
