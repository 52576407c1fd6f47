import Encoding
import Kernels
import Testing
import TrainingContract

@testable import Training

private func layers(_ text: String) -> String { "{\"layers\": [\(text)]}" }

private func repeated(_ count: Int) -> String {
    Array(repeating: #"{"type": "conv2d", "outChannels": 1}"#, count: count).joined(separator: ", ")
}

struct ModelDescriptionTests {
    private func plan(_ text: String, side: Int = 12) throws(TrainingError) -> NetworkPlan {
        let description = try ModelDescription(parsing: Array(text.utf8), name: "m.json")
        return try NetworkPlan(description, height: side, width: side, name: "m.json")
    }

    @Test func `sizes follow from the layers before, and what fits into a pass is done there`() throws {
        let found = try plan(
            """
            {"layers": [{"type": "conv2d", "outChannels": 4}, {"type": "relu"}, {"type": "maxpool2d"},
              {"type": "flatten"}, {"type": "linear", "name": "head", "outFeatures": 10}]}
            """)
        #expect(
            found.stages == [
                .convolution(
                    ConvolutionShape(inputChannels: 1, outputChannels: 4, inputHeight: 12, inputWidth: 12),
                    .reluMaxPool),
                .linear(LinearShape(inputs: 100, outputs: 10)),
            ])
        #expect(
            found.parameters.map { "\($0.name) \($0.shape)" } == [
                "0.weight [4, 1, 3, 3]", "0.bias [4]", "head.weight [10, 100]", "head.bias [10]",
            ])
        #expect(found.classes == 10)
        // What is written into the weights' file gives the same plan.
        #expect(found.description.input == [1, 12, 12])
        #expect(try plan(found.description.text) == found)
        #expect(found.memoryBytes(images: 2) == 16 * (40 + 1010) + 8 * (144 + 2 * 110))
    }

    @Test(arguments: [
        ("[]", "describes no model"), ("{\"layers\": [{\"type\": \"conv3d\"}]}", "describes no model"),
        ("{\"layers\": [], \"optimizer\": \"sgd\"}", "optimizer is not known"),
        ("{\"layers\": [{\"type\": \"linear\", \"units\": 3}]}", "layers[0].units is not known"),
        ("{\"layers\": []}", "m.json: it has 0 layers; there may be 1 to 64"),
        ("{\"input\": [3, 12, 12], \"layers\": [{\"type\": \"flatten\"}]}", "input is [3, 12, 12], and the images"),
        (layers(#"{"type": "linear", "outFeatures": 10}"#), "layers[0] (linear): it needs a row of features"),
        (layers(#"{"type": "flatten"}, {"type": "flatten"}"#), "layers[1] (flatten): there is nothing left"),
        (
            layers(#"{"type": "flatten"}, {"type": "conv2d", "outChannels": 3}"#),
            "layers[1] (conv2d): it needs images"
        ),
        (layers(#"{"type": "conv2d"}"#), "layers[0] (conv2d): outChannels must be a number from 1 to 1024"),
        (
            layers(#"{"type": "conv2d", "outChannels": 3, "kernelSize": 5}"#),
            "kernelSize is 5; there is 3, with stride 1 and no padding"
        ),
        (layers(#"{"type": "relu"}"#), "layers[0] (relu): it must follow conv2d or linear"),
        (
            layers(#"{"type": "conv2d", "outChannels": 3}, {"type": "maxpool2d"}"#),
            "layers[1] (maxpool2d): it must follow conv2d and relu"
        ),
        (
            layers(#"{"type": "flatten"}, {"type": "linear", "outFeatures": 10}, {"type": "relu"}"#),
            "its last layer must be linear"
        ),
        (layers(#"{"type": "flatten", "outFeatures": 3}"#), "layers[0] (flatten) has no outFeatures"),
        (
            layers(
                #"{"type": "flatten"}, {"type": "linear", "name": "a", "outFeatures": 9}, "#
                    + #"{"type": "linear", "name": "a", "outFeatures": 10}"#),
            "layers[2] (linear): the name \"a\" is too long, empty or there twice"
        ),
        (
            layers(#"{"type": "conv2d", "outChannels": 1024}, "# + repeated(40)),
            "numbers, too many for this trainer"
        ),
        (
            layers(
                #"{"type": "flatten"}, {"type": "linear", "outFeatures": 65536}, "#
                    + #"{"type": "linear", "outFeatures": 65536}"#),
            "parameters, too many for this trainer"
        ),
        (layers(repeated(6)), "layers[5] (conv2d): nothing is left of its images, 2×2"),
    ])
    func `what is no model is refused with a sentence`(text: String, message: String) {
        let error = #expect(throws: TrainingError.self) { try plan(text, side: text.contains("1024") ? 200 : 12) }
        #expect(error?.code == .usage)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func `another model trains, is stopped, goes on, and its file says what it is`() async throws {
        let model = NetworkTests.models[3]
        func run(_ memory: MemoryStorage = MemoryStorage(), stop: Int? = nil) -> SmallRun {
            SmallRun(memory) { state in
                state.model = model
                state.configuration.epochs = 12
                state.stepsBeforeStop = stop
            }
        }
        let straight = run()
        guard case .finished(let last) = try await straight.train() else {
            Issue.record("the run did not finish")
            return
        }
        #expect(last.testAccuracy > 60)
        let stopped = run(stop: 25)
        _ = try await stopped.train()
        _ = try await run(stopped.memory).train()
        #expect(stopped.model != nil && stopped.model == straight.model)
        let file = try Safetensors(decoding: try #require(straight.model), name: "model")
        let predictor = try Predictor(file, name: "model", backend: CPUBackend(threadCount: 1))
        #expect(predictor.signature == ModelSignature(height: 12, width: 12, classCount: 12))
        let other = SmallRun(stopped.memory)
        let error = await #expect(throws: TrainingError.self) { try await other.train() }
        #expect(error?.code == .usage)
    }

    @Test func `a model that does not fit the memory or the classes is refused before it starts`() async {
        let small = SmallRun { $0.availableMemoryBytes = 10_000 }
        let memory = await #expect(throws: TrainingError.self) { try await small.train() }
        #expect(memory?.code == .unsupportedMachine)
        #expect(memory?.message.contains("take a smaller batchSize") == true)
        let few = SmallRun { $0.model = ModelDescription(layers: [.init(.flatten), .init(.linear, outFeatures: 9)]) }
        let classes = await #expect(throws: TrainingError.self) { try await few.train() }
        #expect(classes == TrainingError(.usage, "the model: its last layer has 9 features, and the data 10 classes"))
        #expect(few.memory.objects.isEmpty && small.memory.objects.isEmpty)
    }
}
