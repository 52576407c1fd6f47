import Kernels
import Testing

/// One convolution's inputs, and what a backend makes of them, both ways.
private struct Case {
    let shape: ConvolutionShape
    let epilogue: ConvolutionEpilogue
    let images: Int
    let input: Tensor
    let weight: Tensor
    let bias: Tensor
    let gradient: Tensor

    init(_ shape: ConvolutionShape, _ epilogue: ConvolutionEpilogue, images: Int, seed: UInt64 = 1) {
        var random = Seeded(seed)
        self.shape = shape
        self.epilogue = epilogue
        self.images = images
        input = random.tensor([images, shape.inputCount])
        weight = random.tensor(shape.weightShape)
        bias = random.tensor([shape.outputChannels])
        gradient = random.tensor([images, shape.resultCount(epilogue)])
    }

    struct Result {
        let output: [Float]
        let places: [UInt8]
        let inputGradient: [Float]
        let weightGradient: [Float]
        let biasGradient: [Float]
    }

    func run(on backend: any Backend) -> Result {
        let output = Tensor([images, shape.resultCount(epilogue)])
        let maxima = epilogue == .reluMaxPool ? ByteTensor(count: images * shape.pooledCount) : nil
        backend.convolutionForward(
            shape, epilogue, images: images, input: input, weight: weight, bias: bias, output: output, maxima: maxima)
        let inputGradient = Tensor(input.shape), weightGradient = Tensor(weight.shape)
        let biasGradient = Tensor(bias.shape)
        backend.convolutionBackward(
            shape, epilogue, images: images, input: input, weight: weight, output: output, maxima: maxima,
            outputGradient: gradient, inputGradient: inputGradient, weightGradient: weightGradient,
            biasGradient: biasGradient)
        return Result(
            output: output.values, places: maxima.map { Array($0.elements) } ?? [],
            inputGradient: inputGradient.values, weightGradient: weightGradient.values,
            biasGradient: biasGradient.values)
    }
}

struct ConvolutionTests {
    /// Float32 sums of up to 3,000 products of numbers below 1: an error of some √3000 · 2⁻²⁴ of the largest; Winograd's
    /// transforms make it some eight times as large (measured: 1.3e-6 of the largest for 32 planes of 26×26).
    static let limit = 5e-6

    static let shapes: [ConvolutionShape] = [
        ConvolutionShape(inputChannels: 1, outputChannels: 1, inputHeight: 3, inputWidth: 3),
        ConvolutionShape(inputChannels: 1, outputChannels: 32, inputHeight: 28, inputWidth: 28),
        ConvolutionShape(inputChannels: 32, outputChannels: 64, inputHeight: 26, inputWidth: 26),
        ConvolutionShape(inputChannels: 3, outputChannels: 5, inputHeight: 7, inputWidth: 19),
        ConvolutionShape(inputChannels: 17, outputChannels: 3, inputHeight: 5, inputWidth: 11),
        ConvolutionShape(inputChannels: 2, outputChannels: 4, inputHeight: 4, inputWidth: 27),
        ConvolutionShape(inputChannels: 4, outputChannels: 17, inputHeight: 9, inputWidth: 51),
        ConvolutionShape(inputChannels: 5, outputChannels: 7, inputHeight: 4, inputWidth: 10),
        // From 8 planes on by Winograd's method: less than a tile, tiles over both edges, several blocks of tiles,
        // channels that are no multiple of a vector.
        ConvolutionShape(inputChannels: 8, outputChannels: 8, inputHeight: 3, inputWidth: 3),
        ConvolutionShape(inputChannels: 9, outputChannels: 17, inputHeight: 9, inputWidth: 13),
        ConvolutionShape(inputChannels: 17, outputChannels: 33, inputHeight: 11, inputWidth: 52),
        ConvolutionShape(inputChannels: 16, outputChannels: 8, inputHeight: 30, inputWidth: 7),
        ConvolutionShape(inputChannels: 8, outputChannels: 70, inputHeight: 6, inputWidth: 6),
    ]

    @Test(arguments: shapes, ConvolutionEpilogue.allCases)
    func `the CPU agrees with the reference`(shape: ConvolutionShape, epilogue: ConvolutionEpilogue) {
        for images in shape.inputChannels > 16 ? [1, 2] : [1, 3, 5] {
            let work = Case(shape, epilogue, images: images)
            let expected = work.run(on: ReferenceBackend())
            let actual = work.run(on: CPUBackend(threadCount: 2))
            #expect(relativeError(actual.output, expected.output) < Self.limit)
            #expect(actual.places == expected.places)
            #expect(relativeError(actual.inputGradient, expected.inputGradient) < Self.limit)
            #expect(relativeError(actual.weightGradient, expected.weightGradient) < Self.limit)
            #expect(relativeError(actual.biasGradient, expected.biasGradient) < Self.limit)
        }
    }

    @Test(arguments: [3, 9]) func `results are the same bits for every number of threads`(inputs: Int) {
        let shape = ConvolutionShape(inputChannels: inputs, outputChannels: 2 * inputs, inputHeight: 12, inputWidth: 13)
        let work = Case(shape, .reluMaxPool, images: 71)
        let one = work.run(on: CPUBackend(threadCount: 1))
        for threadCount in [2, 3, 8] {
            let many = work.run(on: CPUBackend(threadCount: threadCount))
            #expect(many.output == one.output)
            #expect(many.inputGradient == one.inputGradient)
            #expect(many.weightGradient == one.weightGradient)
            #expect(many.biasGradient == one.biasGradient)
        }
    }

    @Test func `a NaN in the image reaches the output and the pooled maximum`() {
        let shape = ConvolutionShape(inputChannels: 1, outputChannels: 4, inputHeight: 6, inputWidth: 6)
        for epilogue in ConvolutionEpilogue.allCases {
            let work = Case(shape, epilogue, images: 1)
            work.input.elements[14] = .nan
            let expected = work.run(on: ReferenceBackend())
            let actual = work.run(on: CPUBackend(threadCount: 1))
            #expect(actual.output.contains { $0.isNaN })
            #expect(actual.output.map(\.isNaN) == expected.output.map(\.isNaN))
            #expect(actual.weightGradient.map(\.isNaN) == expected.weightGradient.map(\.isNaN))
        }
    }

    /// Winograd's method computes 16 results together: a NaN reaches at least those that the formula says.
    @Test func `a NaN reaches the results of its tiles and no other image`() {
        let shape = ConvolutionShape(inputChannels: 9, outputChannels: 10, inputHeight: 10, inputWidth: 10)
        for epilogue in ConvolutionEpilogue.allCases {
            let work = Case(shape, epilogue, images: 2)
            work.input.elements[14] = .nan
            let expected = work.run(on: ReferenceBackend())
            let actual = work.run(on: CPUBackend(threadCount: 1))
            #expect(zip(actual.output, expected.output).allSatisfy { $0.isNaN || !$1.isNaN })
            #expect(actual.output.prefix(shape.resultCount(epilogue)).contains { $0.isNaN })
            #expect(!actual.output.dropFirst(shape.resultCount(epilogue)).contains { $0.isNaN })
            #expect(zip(actual.weightGradient, expected.weightGradient).allSatisfy { $0.isNaN || !$1.isNaN })
        }
    }

    @Test(arguments: [(2, 3), (8, 9)]) func `no images give zero gradients`(inputs: Int, outputs: Int) {
        let shape = ConvolutionShape(inputChannels: inputs, outputChannels: outputs, inputHeight: 4, inputWidth: 5)
        let result = Case(shape, .relu, images: 0).run(on: CPUBackend(threadCount: 2))
        #expect(result.weightGradient == [Float](repeating: 0, count: shape.weightCount))
        #expect(result.biasGradient == [Float](repeating: 0, count: outputs))
    }

    @Test func `the reference gradients equal numeric ones`() {
        let shape = ConvolutionShape(inputChannels: 2, outputChannels: 3, inputHeight: 5, inputWidth: 6)
        var random = Seeded(7)
        let x = random.doubles(2 * shape.inputCount), w = random.doubles(shape.weightCount)
        let b = random.doubles(3), dy = random.doubles(2 * shape.outputCount)
        func loss(_ x: [Double], _ w: [Double], _ b: [Double]) -> Double {
            zip(Reference.convolution(shape, images: 2, input: x, weight: w, bias: b), dy).reduce(0) {
                $0 + $1.0 * $1.1
            }
        }
        expectNumericGradient(
            Reference.convolutionInputGradient(shape, images: 2, outputGradient: dy, weight: w), of: x
        ) {
            loss($0, w, b)
        }
        expectNumericGradient(
            Reference.convolutionWeightGradient(shape, images: 2, outputGradient: dy, input: x), of: w
        ) {
            loss(x, $0, b)
        }
        expectNumericGradient(Reference.convolutionBiasGradient(shape, images: 2, outputGradient: dy), of: b) {
            loss(x, w, $0)
        }
    }

    @Test func `the reference pooling gradient equals the numeric one`() {
        var random = Seeded(3)
        let x = random.doubles(2 * 5 * 7), dy = random.doubles(2 * 2 * 3)
        let places = Reference.maxPool(x, planes: 2, height: 5, width: 7).places
        let gradient = Reference.maxPoolGradient(places: places, outputGradient: dy, planes: 2, height: 5, width: 7)
        expectNumericGradient(gradient, of: x) {
            zip(Reference.maxPool($0, planes: 2, height: 5, width: 7).values, dy).reduce(0) { $0 + $1.0 * $1.1 }
        }
    }
}

/// Compares with central differences: their error is about h² plus rounding over h, 1e-9 at h = 1e-5.
func expectNumericGradient(
    _ gradient: [Double], of point: [Double], sourceLocation: SourceLocation = #_sourceLocation,
    _ function: ([Double]) -> Double
) {
    let step = 1e-5
    var largest = 0.0
    for index in point.indices {
        var high = point, low = point
        high[index] += step
        low[index] -= step
        largest = max(largest, abs((function(high) - function(low)) / (2 * step) - gradient[index]))
    }
    #expect(largest < 1e-7, sourceLocation: sourceLocation)
}
