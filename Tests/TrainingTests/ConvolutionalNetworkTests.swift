import Kernels
import Testing

@testable import Training

struct ConvolutionalNetworkTests {
    private func network(_ backend: any Backend, images: Int) -> ConvolutionalNetwork {
        let network = ConvolutionalNetwork(smallArchitecture, capacity: images, backend: backend)
        network.parameters.initialize(seed: 5)
        patterns(count: images, side: 12, seed: 3).fill(
            network.input, network.labels, with: 0..<UInt32(images))
        return network
    }

    /// Along the gradient the loss grows by the gradient's square: wrong wiring between layers shows here.
    @Test func `the gradient is the slope of the loss`() {
        let network = network(ReferenceBackend(), images: 6)
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

    @Test func `the CPU trains as the reference does`() {
        let networks = [network(CPUBackend(threadCount: 2), images: 6), network(ReferenceBackend(), images: 6)]
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
        #expect(zip(losses[0], losses[1]).allSatisfy { abs($0 - $1) < 1e-3 })
        #expect(losses[0][4] < losses[0][0])
    }

    @Test func `the published network has PyTorch's number of parameters`() {
        let parameters = ConvolutionalNetwork.Architecture().parameters
        #expect(parameters.reduce(0) { $0 + $1.shape.count } == 1_199_882)
    }

    @Test func `weights start within PyTorch's bounds`() {
        let parameters = network(ReferenceBackend(), images: 1).parameters
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
