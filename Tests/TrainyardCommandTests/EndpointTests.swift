import Encoding
import Testing

@testable import TrainyardCommand

@Suite struct `Endpoints of a run` {
    private static func prediction(_ index: Int, _ predicted: Int, _ milliseconds: Double)
        -> EndpointResult.Prediction
    {
        .init(index: index, predicted: predicted, score: 0.9876, label: 9, milliseconds: milliseconds)
    }

    private static let result = EndpointResult(
        url: "http://127.0.0.1:1", modelVersion: "v1",
        predictions: [prediction(0, 9, 1.234), prediction(1, 9, 2), prediction(2, 7, 30), prediction(3, 9, 1.5)],
        coldStartMilliseconds: 41.5)

    @Test func `the result is counted from the answers`() {
        #expect(
            Self.result.json == [
                "url": "http://127.0.0.1:1", "modelVersion": "v1", "predictions": 4, "accuracy": 75.0,
                "p50Milliseconds": 1.5, "p99Milliseconds": 30.0, "coldStartMilliseconds": 41.5,
            ])
        #expect(Self.result.shown == "3 of 4 right, latency 1.50 ms (half of them) to 30.00 ms (99 %)")
        #expect(EndpointResult().accuracy == nil)
        #expect(EndpointResult().shown == nil)
        #expect(EndpointResult().rows.isEmpty)
    }

    @Test func `an answer is told with what it should have been`() {
        #expect(
            EndpointRun.line(Self.prediction(5, 9, 1.234), isFashion: true)
                == "image 5: class 9 (ankle boot), score 0.988, right, 1.23 ms")
        #expect(
            EndpointRun.line(Self.prediction(5, 7, 1.234), isFashion: false)
                == "image 5: class 7, score 0.988, wrong, it is 9, 1.23 ms")
    }

    @Test func `test images are read, and what is none is refused`() throws {
        let folder = try LocalFiles.makeTemporaryFolder(prefix: "\(StateFolder.temporaryParent)/trainyard-test-")
        defer { LocalFiles.removeFolder(folder) }
        #expect(throws: RunError.self) { try TestImages(folder: folder) }
        let images: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2] + [1, 2, 3, 4, 5, 6, 7, 8]
        let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 4] + [9, 8, 7, 6]
        try LocalFiles.write(images, to: "\(folder)/t10k-images-idx3-ubyte")
        try LocalFiles.write(labels, to: "\(folder)/t10k-labels-idx1-ubyte")
        let read = try TestImages(folder: folder)
        #expect(read.pixelCount == 2)
        #expect(read.sample(2).map(\.index) == [0, 2])
        #expect(read.sample(2).map(\.pixels) == [[1, 2], [5, 6]])
        #expect(read.sample(9).map(\.label) == [9, 8, 7, 6])
        try LocalFiles.write(Array(images.dropLast()), to: "\(folder)/t10k-images-idx3-ubyte")
        let short = #expect(throws: RunError.self) { try TestImages(folder: folder) }
        #expect(short?.code == .badData)
    }

    @Test func `one ModelEndpoint is followed, a second one is refused with its place`() throws {
        let endpoint = "apiVersion: trainyard.dev/v1alpha1\nkind: ModelEndpoint\nmetadata: {name: a}\n"
        let one = try ManifestFile.read("f.yaml", text: endpoint)
        #expect(try ManifestFile.modelEndpoint(in: one)?.title == "modelendpoint/a")
        #expect(try ManifestFile.modelEndpoint(in: []) == nil)
        let two = try ManifestFile.read("f.yaml", text: endpoint + "---\n" + endpoint)
        let error = #expect(throws: RunError.self) { try ManifestFile.modelEndpoint(in: two) }
        #expect(error?.message.hasPrefix("f.yaml:5:1: a second ModelEndpoint") == true, "\(error?.message ?? "")")
    }
}
