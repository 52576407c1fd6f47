import Kernels
import Testing

@testable import Training

struct NetworkTests {
    /// Several of each kind, in every order that there is; with other names.
    static let models: [ModelDescription] = [
        smallModel, ModelDescription(layers: [.init(.flatten), .init(.linear, outFeatures: 10)]),
        ModelDescription(layers: [
            .init(.flatten), .init(.linear, outFeatures: 20), .init(.relu), .init(.linear, outFeatures: 15),
            .init(.linear, name: "head", outFeatures: 10),
        ]),
        ModelDescription(layers: [
            .init(.conv2d, outChannels: 4, kernelSize: 3), .init(.relu), .init(.maxpool2d, kernelSize: 2),
            .init(.conv2d, outChannels: 6), .init(.conv2d, outChannels: 3), .init(.relu), .init(.flatten),
            .init(.linear, outFeatures: 12),
        ]),
    ]

    private func network(
        _ backend: any Backend, images: Int, _ model: ModelDescription = smallModel
    ) throws -> Network {
        let network = Network(try smallPlan(model), capacity: images, backend: backend)
        network.parameters.initialize(seed: 5)
        patterns(count: images, side: 12, seed: 3).fill(
            network.input, network.labels, with: 0..<UInt32(images))
        return network
    }

    /// Along the gradient the loss grows by the gradient's square: wrong wiring between layers shows here.
    @Test(arguments: models) func `the gradient is the slope of the loss`(model: ModelDescription) throws {
        let network = try network(ReferenceBackend(), images: 6, model)
        _ = network.differentiate(images: 6)
        let values = network.parameters.values.elements, gradients = network.parameters.gradients.values
        let square = gradients.reduce(0) { $0 + Double($1) * Double($1) }
        let start = Array(values)
        func loss(_ step: Float) -> Double {
            for index in start.indices { values[index] = start[index] + step * gradients[index] }
            return network.evaluate(images: 6).sum / 6
        }
        let step: Float = 1e-3
        let slope = (loss(step) - loss(-step)) / (2 * Double(step))
        #expect(square > 1e-3)
        #expect(abs(slope / square - 1) < 1e-3)
    }

    @Test(arguments: models) func `the CPU trains as the reference does`(model: ModelDescription) throws {
        let networks = [
            try network(CPUBackend(threadCount: 2), images: 6, model),
            try network(ReferenceBackend(), images: 6, model),
        ]
        let backends: [any Backend] = [CPUBackend(threadCount: 2), ReferenceBackend()]
        let losses = zip(networks, backends).map { network, backend in
            (1...5).map { step in
                let loss = network.differentiate(images: 6).sum
                let parameters = network.parameters
                backend.adam(
                    AdamSettings(learningRate: 0.01), step: step, parameters: parameters.values,
                    gradients: parameters.gradients, firstMoments: parameters.firstMoments,
                    secondMoments: parameters.secondMoments)
                return loss
            }
        }
        // Adam divides by the gradient's size, so that rounding of tiny gradients shows in the weights.
        #expect(zip(losses[0], losses[1]).allSatisfy { abs($0 - $1) < 1e-3 * max(1, $1) })
        #expect(losses[0][4] < losses[0][0])
    }

    @Test func `the named models have PyTorch's numbers of parameters`() throws {
        let counts = try ModelDescription.named.mapValues { model in
            try NetworkPlan(model, height: 28, width: 28, name: "").parameters.reduce(0) { $0 + $1.shape.count }
        }
        #expect(counts == ["cnn": 1_199_882, "mlp": 669_706])
    }

    @Test func `weights start within PyTorch's bounds`() throws {
        let parameters = try network(ReferenceBackend(), images: 1).parameters
        for (index, parameter) in parameters.parameters.enumerated() {
            let bound = 1 / Float(parameter.fanIn).squareRoot()
            let largest = parameters.part(index, of: parameters.values).values.map(abs).max() ?? 0
            #expect(largest <= bound && largest > bound / 4)
        }
    }

    @Test func `pixels are normalized as everybody does`() {
        #expect(abs(Normalization.table[0] + 0.4242) < 1e-4)
        #expect(abs(Normalization.table[255] - 2.8215) < 1e-4)
    }
}
