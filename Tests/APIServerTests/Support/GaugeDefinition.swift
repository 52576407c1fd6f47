import Encoding
import YAML

/// Custom resources with what 1.30 and later have: rules in CEL, ratcheting, fields to select by, int-or-string.
enum GaugeDefinition {
    static let json = parsed(text)

    /// A kind of its own, for scenarios that change its definition.
    static func meter(word: String, high: String) -> JSONValue {
        parsed(
            """
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: meters.rules.example.dev}
            spec:
              group: rules.example.dev
              scope: Namespaced
              names: {kind: Meter, plural: meters}
              versions:
              - name: v1
                served: true
                storage: true
                subresources: {status: {}}
                schema:
                  openAPIV3Schema:
                    type: object
                    properties:
                      spec:
                        type: object
                        properties:
                          color: {type: string}
                          word: \(word)
                          high: \(high)
                          parts:
                            type: array
                            x-kubernetes-list-type: map
                            x-kubernetes-list-map-keys: [name]
                            items:
                              type: object
                              required: [name]
                              properties: {name: {type: string}, word: \(word)}
                      status: {type: object, properties: {level: {type: integer}}}
            """)
    }

    private static func parsed(_ text: String) -> JSONValue {
        do {
            return try YAML.document(text).json
        } catch {
            preconditionFailure("the definition is a constant: \(error)")
        }
    }

    private static let text = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: gauges.rules.example.dev}
        spec:
          group: rules.example.dev
          scope: Namespaced
          names: {kind: Gauge, listKind: GaugeList, plural: gauges, singular: gauge, shortNames: [gg], categories: [all]}
          versions:
          - name: v1
            served: true
            storage: true
            subresources: {status: {}}
            selectableFields: [{jsonPath: .spec.color}, {jsonPath: .spec.low}]
            schema:
              openAPIV3Schema:
                type: object
                required: [spec]
                x-kubernetes-validations:
                - {rule: 'self.metadata.name.startsWith("g")', message: names start with g}
                properties:
                  spec:
                    type: object
                    required: [low, high]
                    x-kubernetes-validations:
                    - rule: self.low <= self.high
                      messageExpression: '(self.high > 3 ? "much" : "little") + " is below low"'
                      fieldPath: .low
                    - rule: '!has(self.mode) || self.mode != "B" || has(self.port)'
                      message: mode B needs a port
                      reason: FieldValueRequired
                      fieldPath: .port
                    - rule: '!has(oldSelf.word) || has(self.word)'
                      message: a word stays
                      reason: FieldValueForbidden
                    properties:
                      low: {type: integer}
                      high: {type: integer}
                      mode: {type: string, enum: [A, B], default: A}
                      port: {x-kubernetes-int-or-string: true}
                      color: {type: string, enum: [Red, Blue]}
                      word:
                        type: string
                        maxLength: 20
                        x-kubernetes-validations:
                        - {rule: self == oldSelf, message: a word never changes}
                      parts:
                        type: array
                        maxItems: 5
                        x-kubernetes-list-type: map
                        x-kubernetes-list-map-keys: [name]
                        x-kubernetes-validations:
                        - {rule: 'self.all(p, p.name != "bad") && self.exists_one(p, p.name == "main")'}
                        items:
                          type: object
                          required: [name, weight]
                          properties:
                            name: {type: string, maxLength: 10}
                            weight: {type: integer}
                          x-kubernetes-validations:
                          - {rule: self.weight < 10, message: too heavy, fieldPath: .weight}
                          - {rule: self.weight >= oldSelf.weight, message: a part never gets lighter}
                      tags:
                        type: array
                        maxItems: 5
                        x-kubernetes-list-type: set
                        items:
                          type: string
                          maxLength: 10
                          x-kubernetes-validations:
                          - {rule: 'self.matches("^t[0-9]$")', message: 'tags are t0 to t9', reason: FieldValueDuplicate}
                      limits:
                        type: object
                        maxProperties: 3
                        additionalProperties: {type: string, maxLength: 10}
                        x-kubernetes-validations:
                        - {rule: 'self.all(k, k.size() < 5)', message: keys are short}
                      divisor: {type: integer, x-kubernetes-validations: [{rule: 10 / self > 0}]}
                  status:
                    type: object
                    properties:
                      level: {type: integer, x-kubernetes-validations: [{rule: self >= 0, message: never below zero}]}
        """
}
