import Encoding
import Testing

@testable import Operator

@Suite struct StatusCodingTests {
    @Test func `an untouched status reads as in progress with empty lists`() throws {
        let status: TrainingJob.Status = try JSONValue.object(["observedGeneration": -1]).decode()
        #expect(status == TrainingJob.Status())
    }

    @Test func `empty lists are left out of the wire form`() throws {
        var status = TrainingJob.Status()
        status.resources = [CloudResource(externalRef: "//container.googleapis.com/a/b", role: "NodePool", run: 1)]
        let value = try JSONValue(encoding: status)
        #expect(
            value == [
                "observedGeneration": -1,
                "resources": [
                    [
                        "externalRef": "//container.googleapis.com/a/b", "role": "NodePool", "run": 1,
                        "state": "Intent",
                    ]
                ],
            ])
        #expect(try value.decode(TrainingJob.Status.self) == status)
    }
}
