import Encoding
import Testing

@testable import TrainyardCommand

@Suite struct `Setting a field` {
    private static let schema = SchemaAssignment(schema: [
        "properties": [
            "spec": [
                "type": "object",
                "properties": [
                    "suspend": ["type": "boolean"], "maxRestarts": ["type": "integer"], "ratio": ["type": "number"],
                    "size": ["x-kubernetes-int-or-string": true],
                    "trainer": [
                        "type": "object",
                        "properties": [
                            "hyperparameters": ["type": "object", "additionalProperties": ["type": "string"]]
                        ],
                    ],
                    "candidates": [
                        "type": "array",
                        "items": [
                            "type": "object",
                            "properties": [
                                "name": ["type": "string"],
                                "zones": ["type": "array", "items": ["type": "string"]],
                            ],
                        ],
                    ],
                ],
            ]
        ]
    ])

    private static let object: JSONValue = [
        "spec": ["trainer": ["hyperparameters": ["epochs": "2"]], "candidates": [["name": "spot"]]]
    ]

    @Test(
        arguments: [
            (
                "a string stays one", "spec.trainer.hyperparameters.epochs=5", ["spec", "trainer", "hyperparameters"],
                ["epochs": "5"]
            ),
            (
                "a key with a dot", "spec.trainer.hyperparameters.a.b=x", ["spec", "trainer", "hyperparameters"],
                ["epochs": "2", "a.b": "x"]
            ),
            ("an integer", "spec.maxRestarts=3", ["spec", "maxRestarts"], 3),
            ("a number", "spec.ratio=0.5", ["spec", "ratio"], 0.5),
            ("a boolean", "spec.suspend=true", ["spec", "suspend"], true),
            ("a size as a number", "spec.size=4", ["spec", "size"], 4),
            ("a size as text", "spec.size=4Gi", ["spec", "size"], "4Gi"),
            ("a list's element", "spec.candidates.0.name=x", ["spec", "candidates"], [["name": "x"]]),
            ("a new element", "spec.candidates.1.name=x", ["spec", "candidates"], [["name": "spot"], ["name": "x"]]),
            (
                "a whole list", #"spec.candidates.0.zones=["a"]"#, ["spec", "candidates"],
                [["name": "spot", "zones": ["a"]]]
            ),
            (
                "a label", "metadata.labels.app.kubernetes.io/name=x", ["metadata", "labels"],
                ["app.kubernetes.io/name": "x"]
            ),
        ] as [(String, String, [String], JSONValue)])
    func `takes the type from the schema`(_ name: String, _ text: String, _ path: [String], _ value: JSONValue) throws {
        let changed = try Self.schema.applying(assignment(text), to: Self.object)
        #expect(changed.value(at: path) == value)
    }

    @Test(arguments: [
        ("spec.trainr.x=1", "spec has no field 'trainr'; did you mean 'trainer'?"),
        (
            "spec.zzzzzzzz=1",
            "spec has no field 'zzzzzzzz'; it has candidates, maxRestarts, ratio, size, suspend, trainer"
        ),
        ("spec.suspend.x=1", "spec.suspend has no fields below it"),
        ("spec.suspend=yes", "the field takes true or false, not 'yes'"),
        ("spec.maxRestarts=1.5", "the field takes an integer, not '1.5'"),
        ("spec.candidates=x", "the field takes a list or an object, as JSON, not 'x'"),
        (
            "spec.candidates.2.name=x",
            "spec.candidates is a list, '2' is no place in it (use 0 to 1; the last one appends)"
        ),
        (
            "status.state=x",
            "only fields below spec and metadata can be set, for example spec.trainer.hyperparameters.epochs"
        ),
    ])
    func `is refused with a sentence`(_ text: String, _ message: String) throws {
        let assignment = try assignment(text)
        #expect(throws: RunError(.usage, "--set \(assignment.pathText): \(message)")) {
            try Self.schema.applying(assignment, to: Self.object)
        }
    }

    private func assignment(_ text: String) throws -> Assignment {
        guard case .sandboxRun(let options) = try Invocation(arguments: ["sandbox", "run", "f", "--set", text]) else {
            throw UsageError(message: "no run", topic: .sandboxRun)
        }
        return try #require(options.assignments.first)
    }
}
